"""After how long a device is missed: intervals that were configured, learned, changed, and wrong clocks."""

import pytest

from telefold.operators.folds.presence import Presence, PresenceState, Series
from telefold.operators.folds.testing import FoldTest
from tests.support.presence import S, reporting, status


def of_device(test: FoldTest[PresenceState]) -> Series:
    """What is kept of the reports of the device as a whole."""
    assert test.state.device is not None
    return test.state.device


@pytest.mark.parametrize(("after_s", "expected"), [(24, "online"), (25, "silent"), (34, "silent"), (35, "offline")])
def test_by_the_interval_that_was_configured(after_s: int, expected: str) -> None:
    """|r---------|----x----|----x----|  two are missed at 25 s, three at 35 s."""
    test = reporting([100], interval_s=10)
    test.advance_to((100 + after_s) * S)
    assert status(test) == status(test, "presence#metric#t") == expected


def test_by_the_interval_that_was_learned_whatever_a_burst_or_a_pause_does() -> None:
    """Of the gaps 10, 10, 10, 1, 10, 10, 23, 10 the median counts."""
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


@pytest.mark.parametrize("ahead_s", [540, -300, -3_000])
def test_a_wrong_clock_makes_no_silence(ahead_s: int) -> None:
    """Reports of every ten seconds, the device's clock minutes ahead or behind."""
    test = FoldTest(Presence())
    for second in range(1_000_000, 1_001_000, 10):
        test.advance_to(second * S)
        test.event(at=(second + ahead_s) * S, heard_at=second * S, metrics={"t": 1.0})
        assert (status(test), test.rows["presence"].data["outages"]) == ("online", 0)
    test.advance_to((1_000_990 + 35) * S)
    assert test.rows["presence"].data == {
        "status": "offline", "since_at": (1_000_990 + 35) * S, "last_report_at": 1_000_990 * S, "interval_ms": 10 * S,
        "outages": 1,
    }  # fmt: skip


def test_a_clock_that_jumps_teaches_nothing_and_makes_no_silence() -> None:
    """Two gaps are left out, that of the jump ahead and that of the one back."""
    test = reporting(range(1_000, 1_050, 10))
    for second in range(1_050, 1_900, 10):
        test.advance_to(second * S)
        ahead = 540 if 1_200 <= second < 1_500 else 0
        test.event(at=(second + ahead) * S, heard_at=second * S, metrics={"t": 1.0})
        assert status(test) == status(test, "presence#metric#t") == "online"
        assert 10 * S in of_device(test).gaps
        assert set(of_device(test).gaps) == {10 * S}


def test_a_backlog_in_chunks_is_one_device_that_reports_and_teaches_no_interval() -> None:
    """Twenty minutes of readings of every ten seconds, eight each 15 seconds, each chunk within half a second."""
    test = reporting(range(0, 100, 10))
    test.advance_to(1_290 * S)
    assert status(test) == "offline"
    for chunk in range(15):
        heard = (1_290 + chunk * 15) * S
        test.advance_to(heard)
        for number in range(8):
            at = (100 + (chunk * 8 + number) * 10) * S
            test.event(at=at, heard_at=heard + number * 60, metrics={"t": 1.0})
        assert status(test) == status(test, "presence#metric#t") == "online"
    assert of_device(test).learned_ms == 10 * S
    outages = [row.data for sort, row in test.rows.items() if "#outage#" in sort]
    assert outages == [{"from_at": 90 * S, "open": False, "to_at": 1_290 * S, "duration_ms": 1_200 * S}]


def test_a_burst_is_what_is_heard_within_a_second_of_its_first_report() -> None:
    test = FoldTest(Presence())
    for begun in range(0, 80 * S, 20 * S):
        for later in (0, 600, 999):
            test.event(at=begun + later, metrics={"t": 1.0})
    assert of_device(test).gaps == (20 * S,) * 3
    test.event(at=60 * S + 1_000, metrics={"t": 1.0})
    assert of_device(test).gaps == (20 * S, 20 * S, 20 * S, 1_000)


@pytest.mark.parametrize(
    ("gap_of_times", "is_learned"), [(5_000, True), (4_999, False), (20_000, True), (20_001, False), (-10_000, False)]
)
def test_a_gap_counts_where_the_devices_clock_tells_at_most_twice_or_half_of_it(
    gap_of_times: int, is_learned: bool
) -> None:
    test = FoldTest(Presence())
    test.event(at=100 * S, heard_at=100 * S, metrics={"t": 1.0})
    test.event(at=100 * S + gap_of_times, heard_at=110 * S, metrics={"t": 1.0})
    assert of_device(test).gaps == ((10 * S,) if is_learned else ())


def test_an_interval_that_has_changed_counts_from_the_last_report() -> None:
    """What it makes due may have passed: it is then silent since that time, not since the change."""
    test = reporting([100], interval_s=100)
    test.event("configured", at=140 * S, attributes={"report_interval_s": "10"})
    test.advance_to(140 * S)
    assert test.rows["presence"].data == {
        "status": "offline", "since_at": 135 * S, "last_report_at": 100 * S, "interval_ms": 10 * S, "outages": 1,
    }  # fmt: skip
    longer = reporting([100], interval_s=10)
    longer.event("configured", at=110 * S, attributes={"report_interval_s": "100"})
    longer.advance_to(349 * S)
    assert status(longer) == "online"


@pytest.mark.parametrize("text", ["", "soon", "0", "-5", "nan", "inf"])
def test_an_interval_that_is_none_is_no_interval(text: str) -> None:
    test = FoldTest(Presence())
    test.event("configured", at=0, attributes={"report_interval_s": text})
    test.event(at=0, metrics={"t": 1.0})
    test.advance_to(200 * S)
    assert status(test) == "online"
