"""Windows of a calendar, by the rule and not by the code that finds them; JUnit holds the job's to them."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telefold.schemas.windows import Calendar, calendar_of
from telefold.views.windows import Windows
from tests.golden import windows as golden

HOUR_MS = 3_600_000


def windows(size: str) -> Windows:
    return Windows(size, golden.longest(size))


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1_000)


def iso(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1_000, UTC):%Y-%m-%dT%H:%MZ}"


def test_junit_holds_the_job_to_the_windows_of_python() -> None:
    """`python -m tests.golden.windows` writes the file."""
    assert golden.GOLDEN.read_bytes() == golden.golden()


@pytest.mark.parametrize(
    ("size", "instant", "start", "end"),
    [
        ("1d@Europe/Berlin", "2026-03-29T12:00Z", "2026-03-28T23:00Z", "2026-03-29T22:00Z"),
        ("1d@Europe/Berlin", "2026-10-25T12:00Z", "2026-10-24T22:00Z", "2026-10-25T23:00Z"),
        ("1w@America/New_York", "2026-03-08T12:00Z", "2026-03-02T05:00Z", "2026-03-09T04:00Z"),
        ("1mo@Asia/Kolkata", "2026-02-28T18:29Z", "2026-01-31T18:30Z", "2026-02-28T18:30Z"),
        ("1y@UTC", "2024-12-31T23:59Z", "2024-01-01T00:00Z", "2025-01-01T00:00Z"),
        # The clock went from 00:00 to 01:00: the day begins there.
        ("1d@America/Sao_Paulo", "2018-11-04T03:00Z", "2018-11-04T03:00Z", "2018-11-05T02:00Z"),
        # From 01:00 to 00:00: midnight was there twice, and the day begins with the first.
        ("1d@America/Havana", "2025-11-02T05:30Z", "2025-11-02T04:00Z", "2025-11-03T05:00Z"),
        # From 00:01 to 23:01: the day had begun, and goes on.
        ("1d@America/St_Johns", "2010-11-07T02:45Z", "2010-11-07T02:30Z", "2010-11-08T03:30Z"),
        # There was no 30 December.
        ("1d@Pacific/Apia", "2011-12-30T10:00Z", "2011-12-30T10:00Z", "2011-12-31T10:00Z"),
        ("1d@Pacific/Apia", "2011-12-30T09:59Z", "2011-12-29T10:00Z", "2011-12-30T10:00Z"),
    ],
)
def test_a_window_begins_with_the_first_moment_of_its_date(size: str, instant: str, start: str, end: str) -> None:
    assert [iso(bound) for bound in windows(size).bounds(at(instant))] == [start, end]


@given(
    st.sampled_from(sorted(golden.ZONES)),
    st.sampled_from(golden.UNITS),
    st.datetimes(datetime(2000, 1, 3), datetime(2035, 1, 1)),
)
def test_windows_meet_and_none_is_longer_than_the_longest(zone: str, unit: str, moment: datetime) -> None:
    now = at(f"{moment.isoformat()}+00:00")
    size = windows(f"1{unit}@{zone}")
    start, end = size.bounds(now)
    assert start <= now < end <= start + size.longest_ms
    assert (size.bounds(start), size.bounds(end - 1)) == ((start, end), (start, end))
    assert size.bounds(end)[0] == end
    assert size.bounds(start - 1)[1] == start
    assert date_in(zone, start) > date_in(zone, start - 1)


def date_in(zone: str, ms: int) -> date:
    return datetime.fromtimestamp(ms / 1_000, ZoneInfo(zone)).date()


def test_no_clock_was_put_back_by_more_than_the_longest_window_allows() -> None:
    """Looked at four times a year, which finds all that is not taken back at once."""
    quarters = [datetime(year, month, 10, tzinfo=UTC) for year in range(2000, 2026) for month in (1, 4, 7, 10)]
    most = timedelta()
    for zone in map(ZoneInfo, available_timezones()):
        offsets = [quarter.astimezone(zone).utcoffset() or timedelta() for quarter in quarters]
        most = max(most, *(before - after for before, after in pairwise(offsets)))
    assert most == timedelta(hours=3)
    assert Calendar("d", "Antarctica/Casey").longest_ms == 27 * HOUR_MS


@pytest.mark.parametrize("size", ["1m", "1d", "1d@", "2d@Europe/Berlin", "1h@Europe/Berlin", "1d@Berlin", "1d@a/../b"])
def test_other_sizes_are_of_no_calendar(size: str) -> None:
    assert calendar_of(size) is None
