"""Golden records of events: good ones, and those that a check rejects."""

from collections.abc import Iterator
from typing import Any

from telefold.schemas.codec import VERSIONS, encode
from telefold.schemas.errors import Reason
from telefold.schemas.limits import LIMITS
from tests.golden import wire
from tests.golden.cases import ARRIVAL, PLAIN, Case, event


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
        yield Case(f"v{version}: metrics in two blocks, one with its size", wire.crafted(wire.two_blocks(), version))
        yield Case(
            f"v{version}: of two readings of one metric the last counts",
            wire.crafted(wire.metrics(("t", 1.0), ("u", 2.0), ("t", 3.0)), version),
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
        wire.crafted(wire.metrics(), 3)[:-2] + (b"\x02" + wire.text(b"\xff")).hex(),
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
        yield Case(f"v3 occurred_at: {name}", wire.crafted(wire.metrics(), 3, time=micros), reason)
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
            yield Case(f"v{version} event_time: {name}", wire.crafted(wire.metrics(), version, time=millis), reason)


def check_cases() -> Iterator[Case]:
    checks: tuple[tuple[str, Reason, dict[str, Any]], ...] = (
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
    )
    for name, reason, changes in checks:
        yield Case(f"check: {name}", encode(event(**changes), 2).hex(), reason)
        if abs(changes.get("event_time", 0)) < 2**53:  # `microsecond_cases` go further
            yield Case(f"v3 check: {name}", encode(event(**changes), 3).hex(), reason)
