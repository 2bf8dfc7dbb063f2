"""Who is online, silent or offline, and since when: timelines, and an oracle that lets the clock tick."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.folds.presence import MAX_METRICS, Presence
from operators.folds.testing import FoldTest
from schemas.events import DeviceEvent
from tests.support.folds import PresenceOracle, fold_in_batches

S = 1_000


def reporting(seconds: Sequence[int], interval_s: int | None = None) -> FoldTest[object]:
    """A device that reports at these times."""
    test: FoldTest[object] = FoldTest(Presence())
    if interval_s is not None:
        test.event("configured", at=seconds[0] * S, attributes={"report_interval_s": str(interval_s)})
    for second in seconds:
        test.event(at=second * S, metrics={"t": 1.0})
    return test


def status(test: FoldTest[object], sort: str = "presence") -> object:
    return test.rows[sort].data["status"]


@pytest.mark.parametrize(("after_s", "expected"), [(24, "online"), (25, "silent"), (34, "silent"), (35, "offline")])
def test_by_the_interval_that_was_configured(after_s: int, expected: str) -> None:
    """|r---------|----x----|----x----|  two are missed at 25 s, three at 35 s."""
    test = reporting([100], interval_s=10)
    test.advance_to((100 + after_s) * S)
    assert status(test) == status(test, "presence#metric#t") == expected


def test_by_the_interval_that_was_learned_whatever_a_burst_or_a_pause_does() -> None:
    test = reporting([0, 10, 20, 30, 31, 41, 51, 74, 84])
    test.advance_to(108 * S)
    assert status(test) == "online"
    test.advance_to(109 * S)
    assert test.rows["presence"].data == {
        "status": "silent", "since_at": 109 * S, "last_report_at": 84 * S, "interval_ms": 10 * S, "outages": 0,
    }  # fmt: skip


def test_of_a_device_hardly_heard_of_little_is_assumed() -> None:
    test = reporting([0, 10])
    test.advance_to(12 * 60 * S)
    assert status(test) == "online"
    test.advance_to(18 * 60 * S)
    assert status(test) == "offline"


def test_an_outage_has_a_row_while_it_lasts_and_when_it_is_over() -> None:
    test = reporting([100], interval_s=10)
    test.advance_to(200 * S)
    outage = "presence#outage#1970-01-01T00:01:40.000Z"
    assert test.rows[outage].data == {"from_at": 100 * S, "open": True}
    assert test.rows["presence"].data["outages"] == 1
    test.event(at=300 * S, metrics={"t": 1.0})
    assert test.rows[outage].data == {
        "from_at": 100 * S, "to_at": 300 * S, "duration_ms": 200 * S, "open": False,
    }  # fmt: skip
    assert test.rows[outage].expires_at == 100 + 90 * 86_400
    assert test.rows["presence"].data == {"status": "online", "since_at": 300 * S, "outages": 1}


def test_it_fires_once_and_is_armed_again() -> None:
    test = reporting([100], interval_s=10)
    for second in (135, 200, 1_000):
        test.advance_to(second * S)
        assert test.rows["presence"].data["outages"] == 1
    test.event(at=1_000 * S, metrics={"t": 1.0})
    test.advance_to(1_035 * S)
    assert test.rows["presence"].data["outages"] == 2
    assert sum(sort.startswith("presence#outage#") for sort in test.rows) == 2


def test_two_outages_in_one_batch_both_have_rows() -> None:
    events = [DeviceEvent("c", "d", "configured", 0, 0, {}, {"report_interval_s": "10"})]
    events += [DeviceEvent(f"e{at}", "d", "telemetry", at * S, at, {"t": 1.0}) for at in (0, 100, 200)]
    rows, _, _ = fold_in_batches(Presence(), events, [])
    assert [row.data["duration_ms"] for sort, row in rows.items() if "#outage#" in sort] == [100 * S, 100 * S]


def test_catching_up_after_a_long_pause_takes_nobody_offline() -> None:
    """Time is that of the events: that they are old says nothing of the device."""
    test = reporting(range(0, 3_600, 10))
    assert status(test) == "online"
    assert test.rows["presence"].data["outages"] == 0


def test_a_late_report_says_nothing_of_the_present() -> None:
    test = reporting([100], interval_s=10)
    test.advance_to(200 * S)
    test.event(at=95 * S, metrics={"t": 1.0})
    assert status(test) == "offline"


def test_a_metric_can_be_silent_while_its_device_is_not() -> None:
    test = reporting([0, 10, 20, 30])
    for second in range(40, 100, 10):
        test.event(at=second * S, metrics={"u": 1.0})
    assert status(test) == "online"
    assert status(test, "presence#metric#t") == "offline"
    assert status(test, "presence#metric#u") == "online"


def test_a_retired_device_is_not_missed() -> None:
    test = reporting([100], interval_s=10)
    test.event("retired", at=105 * S)
    test.advance_to(1_000 * S)
    assert test.rows["presence"].data == {"status": "retired", "since_at": 105 * S, "outages": 0}
    test.event("registered", at=1_000 * S)
    test.event(at=1_000 * S, metrics={"t": 1.0})
    test.advance_to(1_035 * S)
    assert status(test) == "offline"


def test_a_device_that_is_registered_again_is_waited_for_and_was_not_offline() -> None:
    """|r--retired---------------registered--r  what came before says nothing of what it is to do now."""
    test = reporting([100], interval_s=10)
    test.event("retired", at=105 * S)
    test.event("registered", at=1_000 * S)
    assert test.rows["presence"].data == {"status": "silent", "since_at": 1_000 * S, "outages": 0}
    test.event(at=1_001 * S, metrics={"t": 1.0})
    assert test.rows["presence"].data == {"status": "online", "since_at": 1_001 * S, "outages": 0}
    assert status(test, "presence#metric#t") == "online"
    assert not any("#outage#" in sort for sort in test.rows)


def test_an_outage_ends_when_its_device_is_retired() -> None:
    test = reporting([100], interval_s=10)
    test.advance_to(200 * S)
    test.event("retired", at=300 * S)
    outage = test.rows["presence#outage#1970-01-01T00:01:40.000Z"].data
    assert outage == {"from_at": 100 * S, "open": False, "to_at": 300 * S, "duration_ms": 200 * S}
    assert status(test) == status(test, "presence#metric#t") == "retired"
    test.event(at=400 * S, metrics={"t": 1.0})
    assert test.rows["presence#outage#1970-01-01T00:01:40.000Z"].data == outage


@pytest.mark.parametrize("text", ["", "soon", "0", "-5", "nan", "inf"])
def test_an_interval_that_is_none_is_no_interval(text: str) -> None:
    test: FoldTest[object] = FoldTest(Presence())
    test.event("configured", at=0, attributes={"report_interval_s": text})
    test.event(at=0, metrics={"t": 1.0})
    test.advance_to(200 * S)
    assert status(test) == "online"


def test_metrics_beyond_the_most_are_told_of() -> None:
    test: FoldTest[object] = FoldTest(Presence())
    test.event(at=0, metrics={f"m{number}": 1.0 for number in range(MAX_METRICS)})
    assert "untracked_metrics" not in test.rows["presence"].data
    test.event(at=S, metrics={"one more": 1.0})
    assert test.rows["presence"].data["untracked_metrics"] is True
    assert "presence#metric#one more" not in test.rows


@st.composite
def reports(draw: st.DrawFn) -> list[DeviceEvent]:
    """Whole seconds, mostly forwards, with pauses, duplicates of times, and the interval configured now and then."""
    now, events = 0, []
    for number in range(draw(st.integers(1, 25))):
        now = max(0, now + draw(st.sampled_from([1, 1, 1, 2, 3, 0, -2, 8, 20])))
        if draw(st.integers(0, 9)) == 0:
            attributes = {"report_interval_s": str(draw(st.integers(1, 4)))}
            events.append(DeviceEvent(f"c{number}", "d", "configured", now * S, number, {}, attributes))
        else:
            metrics = dict.fromkeys(draw(st.sets(st.sampled_from(["t", "u"]), min_size=1)), 1.0)
            events.append(DeviceEvent(f"e{number}", "d", "telemetry", now * S, number, metrics))
    return events


@settings(max_examples=200)
@given(reports(), st.lists(st.integers(0, 6), max_size=6), st.integers(0, 30))
def test_the_rows_are_those_of_the_oracle(events: list[DeviceEvent], sizes: list[int], silence_s: int) -> None:
    end = max(event.event_time for event in events) + silence_s * S
    rows, _, _ = fold_in_batches(Presence(), events, sizes, end)
    oracle = PresenceOracle()
    for event in events:
        oracle.add(event)
    oracle.tick_to(end)
    sorts = {name: f"presence#metric#{name}" if name else "presence" for name in oracle.status}
    assert {name: rows[sort].data["status"] for name, sort in sorts.items()} == oracle.status
    outages = [row.data for sort, row in sorted(rows.items()) if "#outage#" in sort]
    assert {(data["from_at"], data.get("to_at")) for data in outages} == {
        (outage[0], outage[1] if len(outage) > 1 else None) for outage in oracle.outages
    }
    if oracle.status:
        assert rows["presence"].data["outages"] == len(oracle.outages)
