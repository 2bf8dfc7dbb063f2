"""Records that a Kinesis Producer Library aggregated into one: read back as the consumers of the job read them.

Source: https://github.com/awslabs/amazon-kinesis-producer/blob/master/aggregation-format.md
"""

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

_MAGIC = b"\xf3\x89\x9a\xc2"
_DIGEST_BYTES = 16
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_LONGEST_VARINT = 70
_KEYS, _HASH_KEYS, _RECORDS = 1, 2, 3
_KEY_INDEX, _HASH_KEY_INDEX, _DATA = 1, 2, 3
_LONGEST_KEY = 256
_CUT = "…"


class UserRecord(NamedTuple):
    """One record of an aggregate, in which it lies at its sub-sequence number."""

    partition_key: str
    data: bytes


class HashKeys(NamedTuple):
    """The hash keys of a shard, both ends included."""

    first: int
    last: int


def user_records(data: bytes, shard: HashKeys) -> list[UserRecord] | None:
    """The records that `data` is an aggregate of, or None if it is none.

    An aggregate with a record of another shard, as a split leaves them, holds nothing: its producer sends all of it
    again. What follows a record that names no key is left out. Both are what the Kinesis consumers of AWS do.
    """
    if not data.startswith(_MAGIC) or len(data) <= len(_MAGIC) + _DIGEST_BYTES:
        return None
    message, digest = data[len(_MAGIC) : -_DIGEST_BYTES], data[-_DIGEST_BYTES:]
    if hashlib.md5(message, usedforsecurity=False).digest() != digest:
        return None
    try:
        fields = list(_fields(message))
        keys = [value.decode() for number, value in fields if number == _KEYS and isinstance(value, bytes)]
        hash_keys = [value.decode() for number, value in fields if number == _HASH_KEYS and isinstance(value, bytes)]
        parts = [dict(_fields(value)) for number, value in fields if number == _RECORDS and isinstance(value, bytes)]
    except ValueError:
        return None
    if any(_KEY_INDEX not in part or _DATA not in part for part in parts):
        return None
    return _in_shard(parts, keys, hash_keys, shard)


def kept_key(key: str) -> str:
    """The key, or its beginning and an ellipsis where Kinesis would refuse it as that of a record.

    Kinesis bounds the key of an aggregate, but not those of the records within.
    """
    return key if 1 <= len(key) <= _LONGEST_KEY else key[: _LONGEST_KEY - 1] + _CUT


def _in_shard(
    parts: list[dict[int, int | bytes]], keys: list[str], hash_keys: list[str], shard: HashKeys
) -> list[UserRecord]:
    found: list[UserRecord] = []
    for part in parts:
        key_index, hash_key_index, data = part[_KEY_INDEX], part.get(_HASH_KEY_INDEX), part[_DATA]
        try:
            key = keys[int(key_index)]
            hashed = _hash(key) if hash_key_index is None else int(hash_keys[int(hash_key_index)])
        except (IndexError, ValueError):
            return found
        if not shard.first <= hashed <= shard.last:
            return []
        found.append(UserRecord(kept_key(key), bytes(data)))
    return found


def _hash(partition_key: str) -> int:
    return int.from_bytes(hashlib.md5(partition_key.encode(), usedforsecurity=False).digest())


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a protocol buffer by number; ValueError where there is none."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        if kind == _BYTES:
            length, at = _varint(message, at)
        elif kind in (_FIXED64, _FIXED32):
            length = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"there are no fields of kind {kind}")
        if at + length > len(message):
            raise ValueError("a field ends behind the message")
        yield number, message[at : at + length]
        at += length


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, _LONGEST_VARINT, 7):
        if at >= len(message):
            raise ValueError("a number ends behind the message")
        byte, at = message[at], at + 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number is longer than 64 bits")
