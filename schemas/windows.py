"""The sizes of windows as they are written: `5m`, or of the calendar of a time zone, such as `1d@Europe/Berlin`.

Windows of one length begin every so much since 1970 in UTC. Those of a calendar begin with each day, week (on Monday),
month or year of their zone, and reach to where the next one begins: a day has 23 or 25 hours where the clocks change.
"""

import re
from typing import Literal, cast

import msgspec

Unit = Literal["d", "w", "mo", "y"]

_HOUR_MS = 3_600_000
_MOST_SHIFTED_MS = 3 * _HOUR_MS
"""The most by which a clock has been put back since 2000 (Antarctica/Casey)."""
_DAYS: dict[str, int] = {"d": 1, "w": 7, "mo": 31, "y": 366}
_CALENDAR = re.compile(r"1(d|w|mo|y)@([A-Za-z0-9_+-]+(?:/[A-Za-z0-9_+-]+)+|UTC)")


class Calendar(msgspec.Struct, frozen=True):
    unit: Unit
    zone: str
    """The time zone's name in its database, such as `Europe/Berlin`."""

    @property
    def longest_ms(self) -> int:
        """The length of the longest window, in milliseconds."""
        return _DAYS[self.unit] * 24 * _HOUR_MS + _MOST_SHIFTED_MS


def calendar_of(size: str) -> Calendar | None:
    """The calendar that windows of `size` follow; None if they are all of one length."""
    found = _CALENDAR.fullmatch(size)
    return Calendar(cast(Unit, found[1]), found[2]) if found else None
