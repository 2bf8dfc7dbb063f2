"""Bounds of windows, found without the job's code: by Python's time zones, where the job has Java's."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from telefold.schemas.windows import Calendar, calendar_of

_DAY = timedelta(days=1)


class Windows:
    """The windows of one size; `longest_ms` is how long one of them can be."""

    def __init__(self, size: str, longest_ms: int) -> None:
        self.longest_ms = longest_ms
        self._calendar = calendar_of(size)
        self._known: dict[int, tuple[int, int]] = {}

    def bounds(self, at: int) -> tuple[int, int]:
        """The window that holds `at`, all in epoch milliseconds: it ends where the next begins."""
        if self._calendar is None:
            start = at - at % self.longest_ms
            return start, start + self.longest_ms
        # A day of the calendar at a time: asking the time zone database is slow, and most readings are of one day.
        day = at // 86_400_000
        start, end = self._known.get(day, (0, 0))
        if not start <= at < end:
            start, end = self._known[day] = _found(self._calendar, at)
        return start, end

    def start(self, at: int) -> int:
        return self.bounds(at)[0]


def _found(calendar: Calendar, at: int) -> tuple[int, int]:
    """The last beginning that is not after `at`, and the one after it, of those around its date."""
    zone = ZoneInfo(calendar.zone)
    around = datetime.fromtimestamp(at / 1_000, UTC).date()
    starts = sorted({_instant(zone, first) for first in _first_days(calendar, around)})
    start = max(begin for begin in starts if begin <= at)
    return start, min(begin for begin in starts if begin > at)


def _first_days(calendar: Calendar, around: date) -> Iterator[date]:
    """The first days of the windows near a date; any that is the first day of one is as good as another."""
    reach = {"d": 3, "w": 10, "mo": 40, "y": 400}[calendar.unit]
    for days in range(-reach, reach + 1):
        one = around + days * _DAY
        if (
            calendar.unit == "d"
            or (calendar.unit == "w" and one.isoweekday() == 1)
            or (calendar.unit == "mo" and one.day == 1)
            or (calendar.unit == "y" and (one.month, one.day) == (1, 1))
        ):
            yield one


def _instant(zone: ZoneInfo, day: date) -> int:
    """The time at which it first was `day` or later in `zone`, in epoch milliseconds."""
    midnight = datetime.combine(day, time(), zone)
    # Where midnight is left out, the two readings of it lie on either side of the change.
    early, late = sorted(int(midnight.replace(fold=fold).timestamp()) for fold in (0, 1))
    if datetime.fromtimestamp(early, zone).date() >= day:
        return early * 1_000
    while late - early > 1:
        middle = (early + late) // 2
        if datetime.fromtimestamp(middle, zone).date() >= day:
            late = middle
        else:
            early = middle
    return late * 1_000
