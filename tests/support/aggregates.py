"""Aggregates as a Kinesis Producer Library makes them."""

import hashlib
from collections.abc import Sequence

MAGIC = b"\xf3\x89\x9a\xc2"


def aggregate(records: Sequence[tuple[str, bytes]], hash_key: int | None = None) -> bytes:
    """Records of (partition key, data) in one; with `hash_key`, each asks for the shard of that."""
    keys = list(dict.fromkeys(key for key, _ in records))
    message = b"".join(_field(1, key.encode()) for key in keys)
    if hash_key is not None:
        message += _field(2, str(hash_key).encode())
    for key, data in records:
        asked = b"" if hash_key is None else b"\x10\x00"
        message += _field(3, b"\x08" + _varint(keys.index(key)) + asked + _field(3, data))
    return sealed(message)


def sealed(message: bytes) -> bytes:
    return MAGIC + message + hashlib.md5(message, usedforsecurity=False).digest()


def _field(number: int, value: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
