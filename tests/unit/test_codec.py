"""The codec against bytes that will stay in logs for ever, and what holds for every event."""

import io
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import fastavro
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telefold.schemas.codec import (
    CURRENT_VERSION,
    HEADER_BYTES,
    SCHEMAS,
    VERSIONS,
    Codec,
    decode,
    encode,
    header,
    header_of,
    known_version,
    readings_json,
)
from telefold.schemas.errors import OF_RECORDS, Reason, RejectedEvent
from telefold.schemas.events import DeviceEvent, check_event
from telefold.schemas.limits import LIMITS, TextLimit, limits_json
from telefold.schemas.upcasters import Rescaled

ARRIVAL = 1_760_000_000_000
GOLDEN_FILES = Path(__file__).parents[1] / "golden"
GOLDEN = json.loads((GOLDEN_FILES / "device_event.json").read_text("utf-8"))

ANY = st.characters(codec="utf-8")
IN_NAMES = st.characters(codec="utf-8", min_codepoint=32, exclude_characters=LIMITS.forbidden_in_names)


def within(limit: TextLimit, characters: st.SearchStrategy[str] = ANY, least: int = 0) -> st.SearchStrategy[str]:
    texts = st.text(characters, min_size=least, max_size=limit.characters)
    return texts.filter(lambda text: len(text.encode()) <= limit.utf8_bytes)


ids = within(LIMITS.id, least=1)
longs = st.integers(-(2**63), 2**63 - 1)
attributes = st.dictionaries(
    within(LIMITS.attribute_name, IN_NAMES, least=1), within(LIMITS.attribute_value), max_size=8
)
metric_names = within(LIMITS.metric_name, IN_NAMES, least=1)
events = st.builds(
    DeviceEvent,
    event_id=ids,
    device_id=ids,
    type=within(LIMITS.type).filter(lambda name: name != LIMITS.acknowledgement),
    event_time=st.integers(LIMITS.earliest_time, ARRIVAL + LIMITS.ahead_of_arrival_ms),
    sequence=longs,
    metrics=st.dictionaries(metric_names, st.floats(-LIMITS.metric_magnitude, LIMITS.metric_magnitude), max_size=8),
    attributes=attributes,
    correlation_id=st.none() | within(LIMITS.correlation_id),
    corrects=st.none() | ids,
)


def record_of(case: dict[str, Any]) -> bytes:
    times: int = case.get("times", 0)
    return bytes.fromhex(case["hex"]) + bytes.fromhex(case.get("repeat", "")) * times


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case["name"])
def test_golden_records_mean_what_they_always_meant(case: dict[str, Any]) -> None:
    if "event" in case:
        assert decode(record_of(case), case["arrival"]) == DeviceEvent(**case["event"])
        return
    with pytest.raises(RejectedEvent) as rejected:
        decode(record_of(case), case["arrival"])
    assert rejected.value.reason == case["reason"]
    assert rejected.value.detail


def test_golden_records_cover_every_reason_of_a_decoder() -> None:
    assert {case.get("reason") for case in GOLDEN} == {None, *OF_RECORDS}


def test_golden_records_have_something_in_every_field_of_an_event() -> None:
    filled = {name for case in GOLDEN for name, value in case.get("event", {}).items() if value}
    assert filled == set(DeviceEvent.__struct_fields__)


def test_names_of_golden_records_are_unique() -> None:
    names = [case["name"] for case in GOLDEN]
    assert len(names) == len(set(names))


@given(events)
def test_an_event_survives_the_wire(event: DeviceEvent) -> None:
    assert decode(encode(event), ARRIVAL) == event


anything = st.text(ANY, max_size=600)


@given(
    st.builds(
        DeviceEvent,
        event_id=anything,
        device_id=anything,
        type=anything | st.just(LIMITS.acknowledgement),
        event_time=longs,
        sequence=longs,
        metrics=st.dictionaries(anything, st.floats(), max_size=3),
        attributes=st.dictionaries(anything | st.sampled_from(["rule", "at", "began_at"]), anything, max_size=3),
        correlation_id=st.none() | anything,
        corrects=st.none() | anything,
    ),
)
def test_whatever_an_event_says_it_is_accepted_within_the_limits_or_rejected_in_a_short_sentence(
    event: DeviceEvent,
) -> None:
    rejected = rejection(event)
    if rejected is not None:
        assert rejected.reason in OF_RECORDS
        assert len(rejected.detail) < 1_000
    else:
        assert all(one and LIMITS.id.excess(one) is None for one in (event.event_id, event.device_id))
        assert all(LIMITS.attribute_value.excess(value) is None for value in event.attributes.values())


def rejection(event: DeviceEvent) -> RejectedEvent | None:
    try:
        check_event(event, ARRIVAL)
    except RejectedEvent as rejected:
        return rejected
    return None


LOST: dict[int, dict[str, Any]] = {
    1: {"attributes": {}, "correlation_id": None, "corrects": None},
    2: {"corrects": None},
    3: {},
}


@given(events, st.sampled_from(VERSIONS))
def test_a_version_leaves_out_only_what_it_does_not_have(event: DeviceEvent, version: int) -> None:
    record = encode(event, version)
    assert decode(record, ARRIVAL) == msgspec.structs.replace(event, **LOST[version])
    assert known_version(record) == version


@pytest.mark.parametrize(
    "case", [case for case in GOLDEN if "header" in case.get("reason", "")], ids=lambda c: c["name"]
)
def test_what_no_decoder_can_begin_with_has_no_version(case: dict[str, Any]) -> None:
    with pytest.raises(RejectedEvent) as rejected:
        known_version(record_of(case))
    assert rejected.value.reason == case["reason"]


def test_versions_are_the_files() -> None:
    """Numbered from 1 without a gap: an upcast is from one version to the next."""
    files = {file.name for file in Path(__file__).parents[2].glob("schemas/device_event/*")}
    assert files == {f"v{version}.avsc" for version in VERSIONS}
    assert tuple(range(1, CURRENT_VERSION + 1)) == VERSIONS


def test_the_jvm_reads_as_the_golden_file_says() -> None:
    """JUnit configures its decoder with that file; `python -m tests.golden.generate` writes it."""
    assert json.loads((GOLDEN_FILES / "readings.json").read_text("utf-8")) == json.loads(readings_json())
    assert json.loads((GOLDEN_FILES / "limits.json").read_text("utf-8")) == json.loads(limits_json())


@given(events, st.sampled_from(VERSIONS), st.data())
def test_no_part_of_a_record_passes_for_an_event(event: DeviceEvent, version: int, data: st.DataObject) -> None:
    record = encode(event, version)
    with pytest.raises(RejectedEvent):
        decode(record[: data.draw(st.integers(0, len(record) - 1))], ARRIVAL)


@given(st.sampled_from([b"", b"\xc3\x01", *map(header, VERSIONS)]), st.binary(max_size=200))
def test_bytes_nobody_vouches_for_are_decoded_or_rejected(start: bytes, rest: bytes) -> None:
    with suppress(RejectedEvent):
        decode(start + rest, ARRIVAL)


@given(events, st.sampled_from(VERSIONS), st.data())
def test_a_damaged_record_is_decoded_or_rejected(event: DeviceEvent, version: int, data: st.DataObject) -> None:
    record = bytearray(encode(event, version))
    record[data.draw(st.integers(HEADER_BYTES, len(record) - 1))] ^= data.draw(st.integers(1, 255))
    with suppress(RejectedEvent):
        decode(bytes(record), ARRIVAL)


# Releases that know other versions

PLAIN = DeviceEvent("e", "d", "telemetry", ARRIVAL, 1, {"t": 1.0}, {"site": "x"}, "c", "earlier")
OLDER = Codec({version: SCHEMAS[version] for version in (1, 2)})


def test_an_older_release_refuses_what_is_newer_and_reads_the_rest() -> None:
    with pytest.raises(RejectedEvent) as rejected:
        OLDER.decode(encode(PLAIN, 3), ARRIVAL)
    assert rejected.value.reason == Reason.UNKNOWN_FINGERPRINT
    assert OLDER.encode(PLAIN) == encode(PLAIN, 2)
    for version in (1, 2):
        record = encode(PLAIN, version)
        assert OLDER.decode(record, ARRIVAL) == decode(record, ARRIVAL)


def test_an_event_beyond_the_range_of_microseconds_cannot_be_written() -> None:
    with pytest.raises(OverflowError):
        encode(msgspec.structs.replace(PLAIN, event_time=2**63 // 1_000 + 1))


def field(name: str, kind: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, **more}


def changed(schema: Any, name: str, *instead: dict[str, Any]) -> Any:
    """`schema` with other fields in the place of one of them."""
    return schema | {
        "fields": [new for old in schema["fields"] for new in (instead if old["name"] == name else (old,))]
    }


def test_a_newer_release_may_rename_promote_drop_and_add() -> None:
    """What is Avro's to resolve it resolves across an upcast, too; a field that no event has is passed over."""
    older = changed(SCHEMAS[2], "sequence", field("sequence", "int"))
    older = changed(older, "event_id", field("id", "string"))
    newer = changed(SCHEMAS[3], "event_id", field("event_id", "string", aliases=["id"]))
    newer = changed(newer, "type", field("type", "string"), field("mood", "string", default="calm"))
    newer = changed(newer, "correlation_id")
    record = header_of(older) + encode(PLAIN, 2)[HEADER_BYTES:]  # an int and a name do not show on the wire
    expected = msgspec.structs.replace(PLAIN, correlation_id=None, corrects=None)
    assert Codec({2: older, 3: newer}).decode(record, ARRIVAL) == expected


def test_upcasts_follow_one_another() -> None:
    """v1 counts seconds, v2 milliseconds, v3 microseconds, each under a name of its own."""
    schemas = {
        1: changed(SCHEMAS[1], "event_time", field("seconds", "int")),
        2: changed(SCHEMAS[1], "event_time", field("millis", "long")),
        3: SCHEMAS[3],
    }
    upcasts = {2: (Rescaled("seconds", to="millis", factor=1_000),), 3: (Rescaled("millis", "occurred_at", 1_000),)}
    codec = Codec(schemas, upcasts)
    fields = {"event_id": "e", "device_id": "d", "type": "t", "sequence": 1, "metrics": {}}
    for version, at in ((1, {"seconds": 1_700_000_000}), (2, {"millis": 1_700_000_000_000})):
        body = io.BytesIO()
        fastavro.schemaless_writer(body, schemas[version], fields | at)
        record = header_of(schemas[version]) + body.getvalue()
        assert codec.decode(record, ARRIVAL) == DeviceEvent("e", "d", "t", 1_700_000_000_000, 1)


@pytest.mark.parametrize(
    ("value", "product"),
    [(0, 0), (-1, -1_000), (2**63 - 1, 2**63 - 1), (-(2**63), -(2**63)), (9_223_372_036_854_775, 2**63 - 808)],
)
def test_a_product_beyond_64_bits_is_the_end_of_their_range(value: int, product: int) -> None:
    assert Rescaled("a", "b", 1_000).upcast(value) == product
