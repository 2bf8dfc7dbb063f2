"""The codec against bytes that will stay in logs for ever, and what holds for every event."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import HEADER_BYTES, decode, encode, header
from schemas.errors import Reason, RejectedEvent
from schemas.events import (
    EARLIEST_EVENT_TIME,
    FORBIDDEN_IN_METRIC_NAMES,
    MAX_AHEAD_OF_ARRIVAL_MS,
    MAX_METRIC_MAGNITUDE,
    DeviceEvent,
)

ARRIVAL = 1_760_000_000_000
GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "device_event.json").read_text("utf-8"))

text = st.text(st.characters(codec="utf-8"), max_size=20)
ids = st.text(st.characters(codec="utf-8"), min_size=1, max_size=256)
longs = st.integers(-(2**63), 2**63 - 1)
metric_names = st.text(
    st.characters(codec="utf-8", min_codepoint=32, exclude_characters=FORBIDDEN_IN_METRIC_NAMES),
    min_size=1,
    max_size=128,
)
events = st.builds(
    DeviceEvent,
    event_id=ids,
    device_id=ids,
    type=text,
    event_time=st.integers(EARLIEST_EVENT_TIME, ARRIVAL + MAX_AHEAD_OF_ARRIVAL_MS),
    sequence=longs,
    metrics=st.dictionaries(metric_names, st.floats(-MAX_METRIC_MAGNITUDE, MAX_METRIC_MAGNITUDE), max_size=8),
    attributes=st.dictionaries(text, text, max_size=8),
    correlation_id=st.none() | text,
)


def record_of(case: dict[str, Any]) -> bytes:
    return bytes.fromhex(case["hex"]) + bytes.fromhex(case.get("repeat", "")) * case.get("times", 0)


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case["name"])
def test_golden_records_mean_what_they_always_meant(case: dict[str, Any]) -> None:
    if "event" in case:
        assert msgspec.to_builtins(decode(record_of(case), case["arrival"])) == case["event"]
        return
    with pytest.raises(RejectedEvent) as rejected:
        decode(record_of(case), case["arrival"])
    assert rejected.value.reason == case["reason"]
    assert rejected.value.detail


def test_golden_records_cover_every_reason_of_a_decoder() -> None:
    assert {case.get("reason") for case in GOLDEN} == {None, *Reason} - {Reason.TOO_LATE}


def test_names_of_golden_records_are_unique() -> None:
    names = [case["name"] for case in GOLDEN]
    assert len(names) == len(set(names))


@given(events)
def test_an_event_survives_the_wire(event: DeviceEvent) -> None:
    assert decode(encode(event), ARRIVAL) == event


@given(events)
def test_v1_leaves_out_what_it_does_not_have(event: DeviceEvent) -> None:
    expected = msgspec.structs.replace(event, attributes={}, correlation_id=None)
    assert decode(encode(event, version=1), ARRIVAL) == expected


@given(events, st.data())
def test_no_part_of_a_record_passes_for_an_event(event: DeviceEvent, data: st.DataObject) -> None:
    record = encode(event)
    with pytest.raises(RejectedEvent):
        decode(record[: data.draw(st.integers(0, len(record) - 1))], ARRIVAL)


@given(st.sampled_from([b"", b"\xc3\x01", header(1), header(2)]), st.binary(max_size=200))
def test_bytes_nobody_vouches_for_are_decoded_or_rejected(start: bytes, rest: bytes) -> None:
    with suppress(RejectedEvent):
        decode(start + rest, ARRIVAL)


@given(events, st.data())
def test_a_damaged_record_is_decoded_or_rejected(event: DeviceEvent, data: st.DataObject) -> None:
    record = bytearray(encode(event))
    record[data.draw(st.integers(HEADER_BYTES, len(record) - 1))] ^= data.draw(st.integers(1, 255))
    with suppress(RejectedEvent):
        decode(bytes(record), ARRIVAL)
