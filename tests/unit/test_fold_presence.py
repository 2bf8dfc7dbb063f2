"""Who is online, silent or offline, and since when: timelines, and an oracle that lets the clock tick."""

from hypothesis import given
from hypothesis import strategies as st

from telefold.operators.folds.presence import MAX_METRICS, Presence
from telefold.operators.folds.testing import FoldTest
from telefold.schemas.events import ArrivedEvent, DeviceEvent
from tests.support.examples import examples
from tests.support.folds import PresenceOracle, fold_in_batches
from tests.support.presence import S, reporting, status


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
    """Time is that of arrivals: that they are read late says nothing of the device."""
    test = reporting(range(0, 3_600, 10))
    assert status(test) == "online"
    assert test.rows["presence"].data["outages"] == 0


def test_a_report_with_an_old_reading_is_a_report() -> None:
    test = reporting([100], interval_s=10)
    test.advance_to(200 * S)
    test.event(at=95 * S, heard_at=210 * S, metrics={"t": 1.0})
    assert test.rows["presence"].data == {"status": "online", "since_at": 210 * S, "outages": 1}


def test_a_device_that_is_registered_is_expected() -> None:
    test = FoldTest(Presence())
    test.event("registered", at=50 * S, heard_at=100 * S, attributes={"report_interval_s": "10"})
    assert test.rows["presence"].data == {
        "status": "silent", "since_at": 100 * S, "interval_ms": 10 * S, "outages": 0,
    }  # fmt: skip
    test.event("registered", at=110 * S)
    test.advance_to(134 * S)
    assert status(test) == "silent"
    test.advance_to(135 * S)
    assert test.rows["presence"].data == {
        "status": "offline", "since_at": 135 * S, "interval_ms": 10 * S, "outages": 0,
    }  # fmt: skip
    test.event(at=200 * S, metrics={"t": 1.0})
    assert test.rows["presence"].data == {"status": "online", "since_at": 200 * S, "outages": 0}
    assert not any("#outage#" in sort for sort in test.rows)


def test_a_device_that_was_retired_before_it_reported_is_retired() -> None:
    test = FoldTest(Presence())
    test.event("registered", at=100 * S)
    test.event("retired", at=105 * S, heard_at=107 * S)
    test.advance_to(9_000 * S)
    assert test.rows["presence"].data == {"status": "retired", "since_at": 105 * S, "outages": 0}


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
    assert test.rows["presence"].data == {
        "status": "silent", "since_at": 1_000 * S, "interval_ms": 10 * S, "outages": 0,
    }  # fmt: skip
    test.event(at=1_001 * S, metrics={"t": 1.0})
    assert test.rows["presence"].data == {"status": "online", "since_at": 1_001 * S, "outages": 0}
    assert status(test, "presence#metric#t") == "online"
    assert not any("#outage#" in sort for sort in test.rows)


def test_an_outage_ends_when_its_device_is_retired() -> None:
    test = reporting([100], interval_s=10)
    test.advance_to(200 * S)
    test.event("retired", at=250 * S, heard_at=300 * S)
    outage = test.rows["presence#outage#1970-01-01T00:01:40.000Z"].data
    assert outage == {"from_at": 100 * S, "open": False, "to_at": 300 * S, "duration_ms": 200 * S}
    assert status(test) == status(test, "presence#metric#t") == "retired"
    test.event(at=400 * S, metrics={"t": 1.0})
    assert test.rows["presence#outage#1970-01-01T00:01:40.000Z"].data == outage


def test_metrics_beyond_the_most_are_told_of() -> None:
    test = FoldTest(Presence())
    test.event(at=0, metrics={f"m{number}": 1.0 for number in range(MAX_METRICS)})
    assert "untracked_metrics" not in test.rows["presence"].data
    test.event(at=S, metrics={"one more": 1.0})
    assert test.rows["presence"].data["untracked_metrics"] is True
    assert "presence#metric#one more" not in test.rows


@st.composite
def reports(draw: st.DrawFn) -> list[DeviceEvent]:
    """Whole seconds, mostly forwards, with pauses and duplicates of arrivals, a clock that jumps, and a life."""
    heard, ahead, events = 0, 0, list[DeviceEvent]()
    for number in range(draw(st.integers(1, 25))):
        heard = max(0, heard + draw(st.sampled_from([1, 1, 1, 2, 3, 0, -2, 8, 20])))
        ahead = draw(st.sampled_from([ahead, ahead, ahead, 0, 30, -30, 1]))
        kind = draw(st.sampled_from([*["telemetry"] * 9, "configured", "registered", "retired"]))
        attributes, metrics = {}, {}
        if kind == "telemetry":
            metrics = dict.fromkeys(draw(st.sets(st.sampled_from(["t", "u"]), min_size=1)), 1.0)
        elif kind != "retired":
            attributes = {"report_interval_s": str(draw(st.integers(1, 4)))}
        at = (heard + ahead) * S
        events.append(ArrivedEvent(f"e{number}", "d", kind, at, number, metrics, attributes, arrival=heard * S))
    return events


@examples(200)
@given(reports(), st.lists(st.integers(0, 6), max_size=6), st.integers(0, 30))
def test_the_rows_are_those_of_the_oracle(events: list[DeviceEvent], sizes: list[int], silence_s: int) -> None:
    oracle = PresenceOracle()
    for event in events:
        oracle.add(event)
    end = oracle.heard + silence_s * S
    oracle.tick_to(end)
    rows, _, _ = fold_in_batches(Presence(), events, sizes, end)
    if oracle.is_retired:
        assert {row.data["status"] for sort, row in rows.items() if "#" not in sort} == {"retired"}
        oracle.status.clear()
    sorts = {name: f"presence#metric#{name}" if name else "presence" for name in oracle.status}
    assert {name: rows[sort].data["status"] for name, sort in sorts.items()} == oracle.status
    outages = [row.data for sort, row in sorted(rows.items()) if "#outage#" in sort]
    assert {(data["from_at"], data.get("to_at")) for data in outages} == {
        (outage[0], outage[1] if len(outage) > 1 else None) for outage in oracle.outages
    }
    if oracle.status:
        assert rows["presence"].data["outages"] == len(oracle.outages)
