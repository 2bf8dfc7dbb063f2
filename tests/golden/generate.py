"""Records of device events as they stand on the wire, and what every decoder must make of them.

    python tests/golden/generate.py

adds the cases below that `device_event.json` does not have yet. It never rewrites one: bytes that were valid once
are in somebody's log, so the cases outlive the code that wrote them. A record is `hex`, then `repeat` `times` over;
an event has the default of every field that its case does not name.

It also writes `readings.json` and `limits.json`, with which JUnit configures the JVM decoder as the job does.
"""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from schemas.codec import HEADER_BYTES, SCHEMAS, VERSIONS, decode, encode, header, header_of, readings_json
from schemas.errors import Reason, RejectedEvent
from schemas.events import DeviceEvent
from schemas.limits import LIMITS, limits_json

GOLDEN = Path(__file__).with_name("device_event.json")
READINGS = Path(__file__).with_name("readings.json")
LIMITS_FILE = Path(__file__).with_name("limits.json")
ARRIVAL = 1_760_000_000_000
MIB = 1 << 20


class Case(NamedTuple):
    name: str
    hex: str
    reason: Reason | None = None
    repeat: str = ""
    times: int = 0


def record_of(case: dict[str, Any]) -> bytes:
    """The bytes of one case of the file."""
    return bytes.fromhex(case["hex"]) + bytes.fromhex(case.get("repeat", "")) * case.get("times", 0)


def event(**changes: Any) -> DeviceEvent:
    return msgspec.structs.replace(PLAIN, **changes)


PLAIN = DeviceEvent(
    event_id="e-1",
    device_id="device-1",
    type="telemetry",
    event_time=ARRIVAL - 1_000,
    sequence=7,
    metrics={"temperature": 21.5, "humidity": 40.0},
    attributes={"site": "hall 4", "firmware": "1.2.3"},
    correlation_id="c-1",
)


def valid_cases() -> Iterator[Case]:
    events = {
        "plain": PLAIN,
        "no correlation_id": event(correlation_id=None),
        "empty correlation_id": event(correlation_id=""),
        "lifecycle, no metrics": event(type="registered", metrics={}),
        "no attributes": event(attributes={}),
        "unicode": event(
            device_id="gerät-☃-🛰", metrics={"température": 1.0, "温度": 2.0}, attributes={"ü": "\u0000\ufffd\uffff"}
        ),
        "ids of 256 characters": event(event_id="e" * 256, device_id="d" * 256),
        "ids of 128 astral characters": event(event_id="🛰" * 128, device_id="😀" * 128),
        "ids of 256 characters of two bytes": event(event_id="é" * 256, device_id="ü" * 256),
        "metric name of 128 astral characters": event(metrics={"😀" * 128: 1.0}),
        "negative sequence": event(sequence=-1),
        "smallest sequence": event(sequence=-(2**63)),
        "largest sequence": event(sequence=2**63 - 1),
        "extreme doubles": event(
            metrics={"max": 1e60, "min": -1e60, "tiny": 5e-324, "negative zero": -0.0, "exact": 0.1 + 0.2}
        ),
        "oldest time": event(event_time=LIMITS.earliest_time),
        "furthest future": event(event_time=ARRIVAL + LIMITS.ahead_of_arrival_ms),
        "a type of its own": event(type=""),
        "type and correlation_id as long as they may be": event(type="é" * 128, correlation_id="ü" * 256),
        "64 attributes": event(attributes={f"a{i}": str(i) for i in range(64)}),
        "attributes as long as they may be": event(attributes={"n" * 128: "v" * 256, "é" * 128: "🛰" * 128}),
        "attribute without a value": event(attributes={"site": ""}),
        "1000 metrics": event(metrics={f"m{i}": float(i) for i in range(1_000)}),
    }
    for version in VERSIONS:
        for name, each in events.items():
            yield Case(f"v{version}: {name}", encode(each, version).hex())
    for version in (2, 3):
        yield Case(f"v{version}: metrics in two blocks, one with its size", crafted(_two_blocks(), version))
        yield Case(
            f"v{version}: of two readings of one metric the last counts",
            crafted(_metrics(("t", 1.0), ("u", 2.0), ("t", 3.0)), version),
        )


def correction_cases() -> Iterator[Case]:
    def v3(name: str, reason: Reason | None = None, **changes: Any) -> Case:
        return Case(f"v3 correction: {name}", encode(event(type="correction", **changes), 3).hex(), reason)

    yield v3("plain", corrects="e-0")
    yield v3("takes the event out", corrects="e-0", metrics={})
    yield v3("of itself", corrects="e-1")
    yield v3("id of 128 astral characters", corrects="🛰" * 128)
    yield v3("id of 129 astral characters", Reason.ID_TOO_LONG, corrects="🛰" * 129)
    yield v3("empty id", Reason.EMPTY_ID, corrects="")
    yield v3("id of 257 characters", Reason.ID_TOO_LONG, corrects="e" * 257)
    yield v3("id of 257 astral characters", Reason.ID_TOO_LONG, corrects="😀" * 257)
    yield v3("order: device_id before corrects", Reason.ID_TOO_LONG, device_id="d" * 257, corrects="")
    yield v3("order: corrects before time", Reason.EMPTY_ID, corrects="", event_time=0)
    yield Case(
        "v3 correction: UTF-8: stray byte in corrects",
        crafted(_metrics(), 3)[:-2] + (b"\x02" + _text(b"\xff")).hex(),
        Reason.MALFORMED_BODY,
    )
    for version in (1, 2):
        record = encode(event(corrects="e-0"), version).hex()
        yield Case(f"v{version}: what it corrects is lost", record)


def acknowledgement_cases() -> Iterator[Case]:
    whole = {"rule": "too-hot", "by": "ada", "began_at": str(ARRIVAL - 60_000), "at": str(ARRIVAL)}
    furthest = ARRIVAL + LIMITS.ahead_of_arrival_ms
    for name, attributes, is_good in (
        ("whole", whole, True),
        ("of a rule alone", {"rule": "a"}, True),
        ("of a rule of 63 characters", {"rule": "0" + "a_.-" * 15 + "zz"}, True),
        ("the furthest future", {"rule": "a", "at": str(furthest)}, True),
        ("zeros in front", {"rule": "a", "at": "0" * 13, "began_at": "0"}, True),
        ("of no rule", {"by": "ada"}, False),
        ("of an empty rule", whole | {"rule": ""}, False),
        ("of a rule of 64 characters", whole | {"rule": "a" * 64}, False),
        ("of a rule with #", whole | {"rule": "a#b"}, False),
        ("of a rule with a line feed at its end", whole | {"rule": "a\n"}, False),
        ("at thirty digits", whole | {"at": "9" * 30}, False),
        ("at nineteen digits", whole | {"at": "9" * 19}, False),
        ("at thirteen digits, too far in the future", whole | {"at": str(furthest + 1)}, False),
        ("at no time", whole | {"at": ""}, False),
        ("at a time with a sign", whole | {"at": "+1"}, False),
        ("at digits that are not ASCII", whole | {"at": "١٢٣"}, False),
        ("at a word", whole | {"at": "now"}, False),
        ("began at fourteen digits", whole | {"began_at": "1" * 14}, False),
        ("began at a negative time", whole | {"began_at": "-1"}, False),
    ):
        reason = None if is_good else Reason.BAD_ACKNOWLEDGEMENT
        acknowledged = event(type="alert_acknowledged", metrics={}, attributes=attributes)
        yield Case(f"acknowledgement: {name}", encode(acknowledged, 3).hex(), reason)
    other = event(type="acknowledged", attributes={"at": "9" * 30})
    yield Case("acknowledgement: another type may say anything", encode(other, 3).hex())
    yield Case(
        "acknowledgement: v1 has no attributes",
        encode(event(type="alert_acknowledged"), 1).hex(),
        Reason.BAD_ACKNOWLEDGEMENT,
    )


def microsecond_cases() -> Iterator[Case]:
    """occurred_at as v3 has it, and what becomes of the milliseconds of v1 and v2 at the ends of their range."""
    earliest, latest = LIMITS.earliest_time * 1_000, (ARRIVAL + LIMITS.ahead_of_arrival_ms) * 1_000
    for name, micros, reason in (
        ("the last of a millisecond", ARRIVAL * 1_000 + 999, None),
        ("the first of a millisecond", ARRIVAL * 1_000 + 1, None),
        ("the first of 2000", earliest, None),
        ("the last of 1999", earliest - 1, Reason.TIME_TOO_OLD),
        ("the last within 10 min of arrival", latest + 999, None),
        ("the first beyond 10 min of arrival", latest + 1_000, Reason.TIME_IN_FUTURE),
        ("milliseconds taken for microseconds", ARRIVAL, Reason.TIME_TOO_OLD),
        ("nanoseconds taken for microseconds", ARRIVAL * 1_000_000, Reason.TIME_IN_FUTURE),
        ("the epoch", 0, Reason.TIME_TOO_OLD),
        ("just before the epoch", -1, Reason.TIME_TOO_OLD),
        ("negative", -ARRIVAL * 1_000, Reason.TIME_TOO_OLD),
        ("smallest", -(2**63), Reason.TIME_TOO_OLD),
        ("largest", 2**63 - 1, Reason.TIME_IN_FUTURE),
    ):
        yield Case(f"v3 occurred_at: {name}", crafted(_metrics(), 3, time=micros), reason)
    most, least = (2**63 - 1) // 1_000, -(2**63) // 1_000
    for version in (1, 2):
        for name, millis, reason in (
            ("the most whose microseconds fit 64 bits", most, Reason.TIME_IN_FUTURE),
            ("one too many for 64 bits of microseconds", most + 1, Reason.TIME_IN_FUTURE),
            ("microseconds that would wrap to a plausible time", ARRIVAL + 2**61, Reason.TIME_IN_FUTURE),
            ("microseconds that would wrap from below", ARRIVAL - 2**61, Reason.TIME_TOO_OLD),
            ("the least whose microseconds fit 64 bits", least + 1, Reason.TIME_TOO_OLD),
            ("one too few for 64 bits of microseconds", least, Reason.TIME_TOO_OLD),
            ("largest", 2**63 - 1, Reason.TIME_IN_FUTURE),
            ("smallest", -(2**63), Reason.TIME_TOO_OLD),
        ):
            yield Case(f"v{version} event_time: {name}", crafted(_metrics(), version, time=millis), reason)


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
    yield Case(f"{prefix}cut inside a number", (start + _strings() + b"\x80\xa0").hex(), Reason.MALFORMED_BODY)
    for name, text in {
        "stray byte": b"\xff",
        "overlong": b"\xc0\x80",
        "surrogate": b"\xed\xa0\x80",
        "half a character": b"\xe2\x82",
        "beyond U+10FFFF": b"\xf4\x90\x80\x80",
    }.items():
        yield Case(
            f"{prefix}UTF-8: {name} in device_id", crafted(_metrics(), version, device_id=text), Reason.MALFORMED_BODY
        )
    yield Case(
        f"{prefix}UTF-8: stray byte in a metric name",
        crafted(_block(1, _text(b"\xff") + _double(1.0)) + b"\0", version),
        Reason.MALFORMED_BODY,
    )
    yield Case(f"{prefix}string of 2 GiB", (start + _long(2**31 - 1)).hex(), Reason.TRUNCATED_BODY)
    yield Case(f"{prefix}string of 2^62 bytes", (start + _long(2**62)).hex(), Reason.TRUNCATED_BODY)
    yield Case(f"{prefix}string of negative length", (start + _long(-5)).hex() + "616263", Reason.TRUNCATED_BODY)
    yield Case(
        f"{prefix}2^31-1 metrics announced",
        (start + _strings() + _times(version) + _long(2**31 - 1)).hex(),
        Reason.TRUNCATED_BODY,
    )
    yield Case(
        f"{prefix}2^40 metrics announced",
        (start + _strings() + _times(version) + _long(2**40)).hex(),
        Reason.TRUNCATED_BODY,
    )
    yield Case(
        f"{prefix}-2^40 metrics announced",
        (start + _strings() + _times(version) + _long(-(2**40)) + _long(9)).hex(),
        Reason.TRUNCATED_BODY,
    )
    for branch, byte, reason in (
        (2, "04", Reason.MALFORMED_BODY),
        (-1, "01", Reason.TRUNCATED_BODY),
        (-3, "05", Reason.MALFORMED_BODY),
    ):
        yield Case(f"{prefix}branch {branch} of a union of two", crafted(_metrics(), version)[:-2] + byte, reason)
    yield Case(f"{prefix}1 MiB of zeros as a body", start.hex(), Reason.MALFORMED_BODY, "00", MIB - 10)
    yield Case(f"{prefix}1 MiB of 0xff as a body", start.hex(), Reason.TRUNCATED_BODY, "ff" * 9 + "01", MIB // 10 - 1)
    yield Case(f"{prefix}1 MiB of noise as a body", start.hex(), Reason.MALFORMED_BODY, "5a17f003", MIB // 4 - 3)


def check_cases() -> Iterator[Case]:
    for name, reason, changes in (
        ("empty event_id", Reason.EMPTY_ID, {"event_id": ""}),
        ("empty device_id", Reason.EMPTY_ID, {"device_id": ""}),
        ("event_id of 257 characters", Reason.ID_TOO_LONG, {"event_id": "e" * 257}),
        ("device_id of 257 characters", Reason.ID_TOO_LONG, {"device_id": "d" * 257}),
        ("device_id of 257 astral characters", Reason.ID_TOO_LONG, {"device_id": "😀" * 257}),
        ("ids of 256 astral characters", Reason.ID_TOO_LONG, {"event_id": "🛰" * 256, "device_id": "😀" * 256}),
        ("event_id of 129 astral characters", Reason.ID_TOO_LONG, {"event_id": "🛰" * 129}),
        ("device_id of 513 bytes", Reason.ID_TOO_LONG, {"device_id": "☃" * 171}),
        ("type of 129 characters", Reason.TYPE_TOO_LONG, {"type": "t" * 129}),
        ("type of 257 bytes", Reason.TYPE_TOO_LONG, {"type": "☃" * 85 + "é"}),
        ("correlation_id of 257 characters", Reason.CORRELATION_ID_TOO_LONG, {"correlation_id": "c" * 257}),
        ("correlation_id of 513 bytes", Reason.CORRELATION_ID_TOO_LONG, {"correlation_id": "☃" * 171}),
        (
            "65 attributes",
            Reason.TOO_MANY_ATTRIBUTES,
            {"attributes": {f"a{i}": str(i) for i in range(65)}},
        ),
        ("empty attribute name", Reason.BAD_ATTRIBUTE_NAME, {"attributes": {"": "v"}}),
        ("attribute name of 129 characters", Reason.BAD_ATTRIBUTE_NAME, {"attributes": {"a" * 129: "v"}}),
        ("attribute name of 258 bytes", Reason.BAD_ATTRIBUTE_NAME, {"attributes": {"☃" * 86: "v"}}),
        ("attribute name with #", Reason.BAD_ATTRIBUTE_NAME, {"attributes": {"a#b": "v"}}),
        ("attribute name with a tab", Reason.BAD_ATTRIBUTE_NAME, {"attributes": {"a\tb": "v"}}),
        ("attribute of 257 characters", Reason.ATTRIBUTE_TOO_LONG, {"attributes": {"site": "v" * 257}}),
        ("attribute of 513 bytes", Reason.ATTRIBUTE_TOO_LONG, {"attributes": {"site": "☃" * 171}}),
        ("order: ids before type", Reason.EMPTY_ID, {"device_id": "", "type": "t" * 129}),
        (
            "order: type before correlation_id",
            Reason.TYPE_TOO_LONG,
            {"type": "t" * 129, "correlation_id": "c" * 257},
        ),
        (
            "order: correlation_id before time",
            Reason.CORRELATION_ID_TOO_LONG,
            {"correlation_id": "c" * 257, "event_time": 0},
        ),
        ("order: metrics before attributes", Reason.BAD_METRIC_NAME, {"metrics": {"": 1.0}, "attributes": {"": "v"}}),
        (
            "order: attributes as written, value",
            Reason.ATTRIBUTE_TOO_LONG,
            {"attributes": {"z": "v" * 257, "": "v"}},
        ),
        (
            "order: attributes before what acknowledges",
            Reason.BAD_ATTRIBUTE_NAME,
            {"type": "alert_acknowledged", "attributes": {"": "v"}},
        ),
        ("last millisecond of 1999", Reason.TIME_TOO_OLD, {"event_time": LIMITS.earliest_time - 1}),
        ("negative time", Reason.TIME_TOO_OLD, {"event_time": -1}),
        ("smallest time", Reason.TIME_TOO_OLD, {"event_time": -(2**63)}),
        ("too far in the future", Reason.TIME_IN_FUTURE, {"event_time": ARRIVAL + LIMITS.ahead_of_arrival_ms + 1}),
        ("largest time", Reason.TIME_IN_FUTURE, {"event_time": 2**63 - 1}),
        ("1001 metrics", Reason.TOO_MANY_METRICS, {"metrics": {f"m{i}": float(i) for i in range(1_001)}}),
        ("NaN", Reason.BAD_METRIC_VALUE, {"metrics": {"t": float("nan")}}),
        ("infinity", Reason.BAD_METRIC_VALUE, {"metrics": {"t": float("inf")}}),
        ("negative infinity", Reason.BAD_METRIC_VALUE, {"metrics": {"t": float("-inf")}}),
        ("1e61", Reason.BAD_METRIC_VALUE, {"metrics": {"t": 1e61}}),
        ("just above 1e60", Reason.BAD_METRIC_VALUE, {"metrics": {"t": -1.0000000000000002e60}}),
        ("empty metric name", Reason.BAD_METRIC_NAME, {"metrics": {"": 1.0}}),
        ("metric name of 129 characters", Reason.BAD_METRIC_NAME, {"metrics": {"m" * 129: 1.0}}),
        ("metric name with #", Reason.BAD_METRIC_NAME, {"metrics": {"a#b": 1.0}}),
        ("metric name with {", Reason.BAD_METRIC_NAME, {"metrics": {"a{b": 1.0}}),
        ("metric name with }", Reason.BAD_METRIC_NAME, {"metrics": {"a}b": 1.0}}),
        ("metric name with a line feed", Reason.BAD_METRIC_NAME, {"metrics": {"a\nb": 1.0}}),
        ("order: id before time", Reason.EMPTY_ID, {"device_id": "", "event_time": 0}),
        ("order: event_id before device_id", Reason.ID_TOO_LONG, {"event_id": "e" * 257, "device_id": ""}),
        ("order: time before metrics", Reason.TIME_TOO_OLD, {"event_time": 0, "metrics": {"": 1.0}}),
        ("order: name before value", Reason.BAD_METRIC_NAME, {"metrics": {"#": float("nan")}}),
        ("order: metrics as written, value", Reason.BAD_METRIC_VALUE, {"metrics": {"zz": float("nan"), "#": 1.0}}),
        ("order: metrics as written, name", Reason.BAD_METRIC_NAME, {"metrics": {"#": 1.0, "aa": float("nan")}}),
    ):
        yield Case(f"check: {name}", encode(event(**changes), 2).hex(), reason)
        if abs(changes.get("event_time", 0)) < 2**53:  # `microsecond_cases` go further
            yield Case(f"v3 check: {name}", encode(event(**changes), 3).hex(), reason)


def crafted(metrics: bytes, version: int = 2, device_id: bytes = b"d", time: int | None = None) -> str:
    """A record that no encoder would write, in hex; what `version` has after metrics is empty or null."""
    rest = bytes({1: 0, 2: 2, 3: 3}[version])
    return (header(version) + _strings(device_id) + _times(version, time) + metrics + rest).hex()


def _strings(device_id: bytes = b"d") -> bytes:
    return _text(b"e") + _text(device_id) + _text(b"telemetry")


def _times(version: int, time: int | None = None) -> bytes:
    arrival = ARRIVAL * (1_000 if version == 3 else 1)
    return _long(arrival if time is None else time) + _long(1)


def _metrics(*readings: tuple[str, float]) -> bytes:
    entries = b"".join(_text(name.encode()) + _double(value) for name, value in readings)
    return (_block(len(readings), entries) if readings else b"") + b"\0"


def _two_blocks() -> bytes:
    first, second = _text(b"t") + _double(1.0), _text(b"u") + _double(2.0)
    return _block(1, first) + _long(-1) + _long(len(second)) + second + b"\0"


def _block(count: int, entries: bytes) -> bytes:
    return _long(count) + entries


def _text(utf8: bytes) -> bytes:
    return _long(len(utf8)) + utf8


def _double(value: float) -> bytes:
    return struct.pack("<d", value)


def _long(value: int) -> bytes:
    zigzag = (value << 1) ^ (value >> 63)
    out = bytearray()
    while zigzag > 0x7F:
        out.append(zigzag & 0x7F | 0x80)
        zigzag >>= 7
    return bytes([*out, zigzag])


def outcome(record: bytes) -> dict[str, Any]:
    try:
        return {"event": msgspec.to_builtins(decode(record, ARRIVAL))}
    except RejectedEvent as rejected:
        return {"reason": str(rejected.reason)}


def as_json(case: Case) -> dict[str, Any]:
    described = {"name": case.name, "hex": case.hex, "arrival": ARRIVAL}
    if case.times:
        described |= {"repeat": case.repeat, "times": case.times}
    found = outcome(record_of(described))
    if found.get("reason") != case.reason:
        raise SystemExit(f"{case.name}: the codec says {found}, not {case.reason}")
    return described | found


def main() -> None:
    known = json.loads(GOLDEN.read_text("utf-8")) if GOLDEN.exists() else []
    names = {case["name"] for case in known}
    cases = [
        *valid_cases(),
        *header_cases(),
        *body_cases(),
        *check_cases(),
        *correction_cases(),
        *acknowledgement_cases(),
        *microsecond_cases(),
        *unknown_version_cases(),
    ]
    known += [as_json(case) for case in cases if case.name not in names]
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in known)
    GOLDEN.write_text(f"[\n{lines}\n]\n", "utf-8")
    READINGS.write_text(json.dumps(json.loads(readings_json()), indent=1) + "\n", "utf-8")
    LIMITS_FILE.write_text(json.dumps(json.loads(limits_json()), indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
