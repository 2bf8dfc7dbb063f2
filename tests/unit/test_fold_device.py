"""The life of a device, as the fold `device` shows it."""

from collections.abc import Sequence
from itertools import permutations

from hypothesis import example, given
from hypothesis import strategies as st

from telefold.operators.folds.device import Device
from telefold.operators.folds.state_codec import StateCodec
from telefold.operators.folds.taking import take
from telefold.operators.folds.testing import FoldTest
from telefold.schemas.events import DeviceEvent
from tests.support.examples import examples
from tests.support.folds import device_row, fold_in_batches

TYPES = st.sampled_from(
    ["telemetry", "telemetry", "registered", "configured", "retired", "rebooted", "alert_acknowledged"]
)
ATTRIBUTES = st.dictionaries(st.sampled_from(["site", "model"]), st.sampled_from(["a", "b", ""]), max_size=2)


def _event(kind: str, at: int, number: int, attributes: dict[str, str]) -> DeviceEvent:
    return DeviceEvent(f"e{number}", "d", kind, at, number, {}, attributes)


@st.composite
def lives(draw: st.DrawFn) -> list[DeviceEvent]:
    """In any order, with times that tie; a sequence is used once."""
    drawn = draw(st.lists(st.tuples(TYPES, st.integers(0, 20), ATTRIBUTES), min_size=1, max_size=20))
    return [_event(kind, 1_000 + at, number, attributes) for number, (kind, at, attributes) in enumerate(drawn)]


@examples(300)
@example(
    [
        _event("registered", 1_000, 1, {"site": "a"}),
        _event("configured", 3_000, 2, {"site": "a"}),
        _event("configured", 2_000, 3, {"site": "b"}),
    ],
    [],
)
@given(lives(), st.lists(st.integers(0, 5), max_size=5))
def test_the_row_is_the_oracles(events: Sequence[DeviceEvent], sizes: list[int]) -> None:
    rows, _, _ = fold_in_batches(Device(), events, sizes)
    assert rows.keys() == {"device"}
    assert rows["device"].data == device_row(events)


def test_any_event_tells_attributes_but_those_of_an_acknowledgement_are_of_its_alert() -> None:
    test = FoldTest(Device())
    test.event(at=1_000, attributes={"site": "berlin", "firmware": "1"})
    test.event("rebooted", at=2_000, attributes={"firmware": "2"})
    test.event("alert_acknowledged", at=3_000, attributes={"rule": "hot", "site": "none"})
    test.event(at=1_500, attributes={"site": "lisbon", "firmware": "late"})
    data = test.rows["device"].data
    assert (data["attribute.site"], data["firmware"], data["firmware_before"]) == ("lisbon", "2", "1")
    assert "attribute.rule" not in data


def test_a_state_of_the_version_before_is_taken_over() -> None:
    text = (
        '[1,"event",2,0,2000,null,null,[1000,2000,2,[1000,1,"e1"],[-1,0,""],'
        '{"site":["berlin",[1000,1,"e1"],[2000,2,"e2"]]},null,0,null,{"rebooted":1}]]'
    )
    event = DeviceEvent("e3", "d", "telemetry", 3_000, 3, {}, {"model": "x"})
    (row,) = take(StateCodec(Device()), "d", text, [event], None).updates
    assert row.data == {
        "status": "registered", "registered_at": 1_000, "first_seen_at": 1_000, "last_seen_at": 3_000, "events": 3,
        "attribute.site": "berlin", "attribute.model": "x", "type.rebooted": 1,
    }  # fmt: skip


def test_a_device_of_which_nobody_told() -> None:
    test = FoldTest(Device())
    test.event(at=1_000)
    assert test.rows["device"].data == {"status": "unknown", "first_seen_at": 1_000, "last_seen_at": 1_000, "events": 1}


def test_of_what_is_said_at_one_time_with_one_sequence_the_greater_event_id_counts() -> None:
    said = [DeviceEvent(name, "d", "configured", 1_000, 1, {}, {"site": name}) for name in ("a", "c", "b")]
    for events in permutations(said):
        rows, _, _ = fold_in_batches(Device(), events, [])
        assert rows["device"].data["attribute.site"] == "c"


def test_a_life() -> None:
    test = FoldTest(Device())
    test.event("registered", at=1_000, attributes={"site": "berlin", "firmware": "1.0"})
    test.event("configured", at=2_000, attributes={"firmware": "1.1"})
    test.event("configured", at=2_500, attributes={"firmware": "1.1"})
    test.event("retired", at=3_000)
    test.event("telemetry", at=2_999)
    test.event("telemetry", at=4_000)
    assert test.rows["device"].data == {
        "status": "retired",
        "registered_at": 1_000,
        "retired_at": 3_000,
        "first_seen_at": 1_000,
        "last_seen_at": 4_000,
        "events": 6,
        "attribute.site": "berlin",
        "attribute.firmware": "1.1",
        "firmware": "1.1",
        "firmware_since_at": 2_000,
        "firmware_before": "1.0",
        "events_after_retirement": 1,
        "last_after_retirement_at": 4_000,
    }
    test.event("registered", at=5_000)
    assert test.rows["device"].data["status"] == "registered"


def test_what_a_team_adds_is_counted_within_bounds() -> None:
    test = FoldTest(Device())
    for number in range(20):
        test.event(f"kind-{number:02}", at=1_000, attributes={"ignored": "yes"})
    test.event("configured", at=2_000, attributes={f"name-{number:03}": "x" for number in range(100)})
    data = test.rows["device"].data
    assert sum(name.startswith("type.") for name in data) == 17
    assert data["type.other"] == 4
    assert sum(name.startswith("attribute.") for name in data) == 64
