"""When alerts of staleness begin and end: by when a device is heard, whatever its clock shows."""

import pytest

from tests.support.alert_timeline import S, course, put, read, state, under


def test_staleness_fires_once_ends_with_a_report_and_is_armed_again() -> None:
    test = read(under(put("gone", "stale(t) > 10s")), (0, 1))
    for _ in range(2):
        test.advance_to(9 * S)
        test.advance_to(60 * S)
    assert test.rows["alert#gone"].data["count"] == 1
    read(test, (60, 1))
    assert state(test, "gone") == "resolved"
    test.advance_to(70 * S)
    assert test.rows["alert#gone"].data["count"] == 2


@pytest.mark.parametrize("shift", [-300, 0, 540])
def test_a_device_whose_clock_is_wrong_and_that_reports_is_never_stale(shift: int) -> None:
    """One five minutes behind had 40 critical alerts in 40 reports."""
    test = under(put("gone", "stale() > 10s"), put("cold", "stale(t) > 10s for 5s"))
    for second in range(1_000, 1_080, 2):
        test.event(at=(second + shift) * S, heard_at=second * S, metrics={"t": 1.0})
        test.advance_to(second * S)
    assert not test.rows
    test.advance_to(1_088 * S)
    assert test.rows["alert#gone"].data["since_at"] == 1_088 * S


def test_a_clock_that_jumps_ahead_and_back_makes_no_device_stale() -> None:
    test = under(put("gone", "stale() > 10s"), put("cold", "stale(t) > 10s"))
    for second, shift in [(1_000, 0), (1_008, 540), (1_016, 0), (1_024, 0), (1_032, 0)]:
        test.event(at=(second + shift) * S, heard_at=second * S, metrics={"t": 1.0})
    assert not test.rows


def test_a_backlog_tells_what_it_tells_and_raises_nothing() -> None:
    """Of twenty minutes, in chunks every 8 s: 22 alerts which no reading told."""
    test = under(put("gone", "stale() > 10s"), put("hot", "t > 80 for 60s"))
    for second in range(2_000, 2_160, 8):
        test.advance_to(second * S)
        for number in range(10):
            at = second - 1_200 + number * 6
            test.event(at=at * S, heard_at=second * S, metrics={"t": 90.0 if 810 <= at < 900 else 20.0})
    assert state(test, "gone") is None
    assert test.rows["alert#hot"].data["count"] == 1
    assert [test.rows[sort].data["began_at"] for sort in test.rows if sort.startswith("alert#hot#1970")] == [812 * S]


def test_a_metric_can_be_stale_while_its_device_reports() -> None:
    test = read(under(put("gone", "stale(t) > 10s"), put("dead", "stale() > 10s")), (0, 1))
    test.event(at=9 * S, metrics={"u": 1.0})
    test.advance_to(15 * S)
    assert (state(test, "gone"), state(test, "dead")) == ("firing", None)


def test_a_device_that_is_registered_and_never_reports_is_stale() -> None:
    test = under(put("gone", "stale() > 10s"), put("cold", "stale(t) > 20s"))
    test.event("registered", at=5 * S, heard_at=50 * S)
    test.advance_to(70 * S)
    assert [test.rows[f"alert#{name}"].data["since_at"] for name in ("gone", "cold")] == [60 * S, 70 * S]
    test.event(at=71 * S, heard_at=75 * S, metrics={"u": 1.0})
    assert [state(test, name) for name in ("gone", "cold")] == ["resolved", "resolved"]
    test.advance_to(500 * S)
    assert [test.rows[f"alert#{name}"].data["count"] for name in ("gone", "cold")] == [2, 1]


def test_the_first_report_ends_the_staleness_of_a_metric_that_was_expected_and_is_not_in_it() -> None:
    test = under(put("gone", "stale(t) > 10s"))
    test.event("registered", at=0)
    test.advance_to(10 * S)
    assert state(test, "gone") == "firing"
    test.event(at=20 * S, metrics={"other": 1.0})
    assert (state(test, "gone"), test.rows["alert#gone"].data["since_at"]) == ("resolved", 20 * S)


def test_a_retired_device_has_no_alerts_until_it_is_registered_again() -> None:
    test = read(under(put("gone", "stale() > 10s"), put("hot", "t > 80")), (0, 90))
    test.event("retired", at=5 * S)
    assert test.rows["alert#hot"].data["reason"] == "retired"
    test.advance_to(90 * S)
    test.event("registered", at=100 * S)
    test.advance_to(109 * S)
    assert (state(test, "gone"), state(test)) == (None, "resolved")
    test.advance_to(110 * S)
    assert state(test, "gone") == "firing"
    read(test, (200, 90))
    assert (state(test, "gone"), state(test)) == ("resolved", "firing")


def test_alerts_of_readings_end_by_the_devices_clock_and_staleness_by_ours() -> None:
    test = under(put("gone", "stale(u) > 10s"), put("hot", "t > 80"))
    test.event(at=100 * S, heard_at=1_000 * S, metrics={"t": 90.0, "u": 1.0})
    test.event(at=120 * S, heard_at=1_020 * S, metrics={"t": 90.0})
    test.event("retired", at=130 * S, heard_at=1_030 * S)
    assert course(test, "hot", "00:01:40.000")["resolved_at"] == 130 * S
    assert course(test, "gone", "00:16:50.000")["resolved_at"] == 1_030 * S
