"""Golden records that cannot be read: of no header, no known version, or no whole body."""

from collections.abc import Iterator

from telefold.schemas.codec import HEADER_BYTES, SCHEMAS, VERSIONS, encode, header, header_of
from telefold.schemas.errors import Reason
from tests.golden import wire
from tests.golden.cases import PLAIN, Case

MIB = 1 << 20


def unknown_version_cases() -> Iterator[Case]:
    """A schema that no release will have, in place of one that this release does not have yet."""
    field = {"name": "of_a_later_release", "type": ["null", "string"], "default": None}
    later = SCHEMAS[3] | {"fields": [*SCHEMAS[3]["fields"], field]}
    record = header_of(later) + encode(PLAIN, 3)[HEADER_BYTES:] + b"\0"
    yield Case("a version newer than any known", record.hex(), Reason.UNKNOWN_FINGERPRINT)


def header_cases() -> Iterator[Case]:
    v2 = header(2).hex()
    yield Case("empty record", "", Reason.EMPTY_RECORD)
    yield Case("one byte", "c3", Reason.BAD_HEADER)
    yield Case("marker alone", "c301", Reason.BAD_HEADER)
    yield Case("header cut short", v2[:-2], Reason.BAD_HEADER)
    yield Case("JSON", b'{"event_id": "e-1", "device_id": "device-1"}'.hex(), Reason.BAD_HEADER)
    yield Case("marker of another version", "c302" + encode(PLAIN, 2).hex()[4:], Reason.BAD_HEADER)
    yield Case("1 MiB of noise", "", Reason.BAD_HEADER, "5a17f003", MIB // 4)
    yield Case(
        "fingerprint of no schema", "c3010123456789abcdef" + encode(PLAIN, 2).hex()[20:], Reason.UNKNOWN_FINGERPRINT
    )
    yield Case("fingerprint in the wrong byte order", f"c301{header(2)[:1:-1].hex()}", Reason.UNKNOWN_FINGERPRINT)


def body_cases() -> Iterator[Case]:
    for version in VERSIONS:
        record = encode(PLAIN, version)
        for length in (10, 11, 13, 14, 30, 33, 60, len(record) - 1):
            yield Case(f"v{version}: cut to {length} bytes", record[:length].hex(), Reason.TRUNCATED_BODY)
        yield Case(f"v{version}: a byte too many", record.hex() + "00", Reason.MALFORMED_BODY)
    yield Case("v1 body under the header of v2", (header(2) + encode(PLAIN, 1)[10:]).hex(), Reason.TRUNCATED_BODY)
    yield Case("v2 body under the header of v1", (header(1) + encode(PLAIN, 2)[10:]).hex(), Reason.MALFORMED_BODY)
    yield Case("v2 body under the header of v3", (header(3) + encode(PLAIN, 2)[10:]).hex(), Reason.TRUNCATED_BODY)
    yield Case("v3 body under the header of v2", (header(2) + encode(PLAIN, 3)[10:]).hex(), Reason.MALFORMED_BODY)
    yield from malformed_cases(2, "")
    yield from malformed_cases(3, "v3: ")


def malformed_cases(version: int, prefix: str) -> Iterator[Case]:
    start = header(version)
    yield Case(f"{prefix}cut inside a number", (start + wire.strings() + b"\x80\xa0").hex(), Reason.MALFORMED_BODY)
    for name, text in {
        "stray byte": b"\xff",
        "overlong": b"\xc0\x80",
        "surrogate": b"\xed\xa0\x80",
        "half a character": b"\xe2\x82",
        "beyond U+10FFFF": b"\xf4\x90\x80\x80",
    }.items():
        yield Case(
            f"{prefix}UTF-8: {name} in device_id",
            wire.crafted(wire.metrics(), version, device_id=text),
            Reason.MALFORMED_BODY,
        )
    yield Case(
        f"{prefix}UTF-8: stray byte in a metric name",
        wire.crafted(wire.block(1, wire.text(b"\xff") + wire.double(1.0)) + b"\0", version),
        Reason.MALFORMED_BODY,
    )
    yield Case(f"{prefix}string of 2 GiB", (start + wire.long(2**31 - 1)).hex(), Reason.TRUNCATED_BODY)
    yield Case(f"{prefix}string of 2^62 bytes", (start + wire.long(2**62)).hex(), Reason.TRUNCATED_BODY)
    yield Case(f"{prefix}string of negative length", (start + wire.long(-5)).hex() + "616263", Reason.TRUNCATED_BODY)
    yield Case(
        f"{prefix}2^31-1 metrics announced",
        (start + wire.strings() + wire.times(version) + wire.long(2**31 - 1)).hex(),
        Reason.TRUNCATED_BODY,
    )
    yield Case(
        f"{prefix}2^40 metrics announced",
        (start + wire.strings() + wire.times(version) + wire.long(2**40)).hex(),
        Reason.TRUNCATED_BODY,
    )
    yield Case(
        f"{prefix}-2^40 metrics announced",
        (start + wire.strings() + wire.times(version) + wire.long(-(2**40)) + wire.long(9)).hex(),
        Reason.TRUNCATED_BODY,
    )
    for branch, byte, reason in (
        (2, "04", Reason.MALFORMED_BODY),
        (-1, "01", Reason.TRUNCATED_BODY),
        (-3, "05", Reason.MALFORMED_BODY),
    ):
        yield Case(
            f"{prefix}branch {branch} of a union of two", wire.crafted(wire.metrics(), version)[:-2] + byte, reason
        )
    yield Case(f"{prefix}1 MiB of zeros as a body", start.hex(), Reason.MALFORMED_BODY, "00", MIB - 10)
    yield Case(f"{prefix}1 MiB of 0xff as a body", start.hex(), Reason.TRUNCATED_BODY, "ff" * 9 + "01", MIB // 10 - 1)
    yield Case(f"{prefix}1 MiB of noise as a body", start.hex(), Reason.MALFORMED_BODY, "5a17f003", MIB // 4 - 3)
