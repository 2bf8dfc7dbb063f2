"""Bytes on the wire as Avro has them, put together into records that no encoder would write."""

import struct

from telefold.schemas.codec import header
from tests.golden.cases import ARRIVAL


def crafted(metrics: bytes, version: int = 2, device_id: bytes = b"d", time: int | None = None) -> str:
    """A record that no encoder would write, in hex; what `version` has after metrics is empty or null."""
    rest = bytes({1: 0, 2: 2, 3: 3}[version])
    return (header(version) + strings(device_id) + times(version, time) + metrics + rest).hex()


def strings(device_id: bytes = b"d") -> bytes:
    return text(b"e") + text(device_id) + text(b"telemetry")


def times(version: int, time: int | None = None) -> bytes:
    arrival = ARRIVAL * (1_000 if version == 3 else 1)
    return long(arrival if time is None else time) + long(1)


def metrics(*readings: tuple[str, float]) -> bytes:
    entries = b"".join(text(name.encode()) + double(value) for name, value in readings)
    return (block(len(readings), entries) if readings else b"") + b"\0"


def two_blocks() -> bytes:
    first, second = text(b"t") + double(1.0), text(b"u") + double(2.0)
    return block(1, first) + long(-1) + long(len(second)) + second + b"\0"


def block(count: int, entries: bytes) -> bytes:
    return long(count) + entries


def text(utf8: bytes) -> bytes:
    return long(len(utf8)) + utf8


def double(value: float) -> bytes:
    return struct.pack("<d", value)


def long(value: int) -> bytes:
    zigzag = (value << 1) ^ (value >> 63)
    out = bytearray()
    while zigzag > 0x7F:
        out.append(zigzag & 0x7F | 0x80)
        zigzag >>= 7
    return bytes([*out, zigzag])
