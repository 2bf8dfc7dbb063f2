"""Windows of calendars as Python's time zones have them, around every kind of change of a clock.

    python -m tests.golden.windows

writes `windows.json`, to which JUnit holds the job's.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from telefold.schemas.windows import Calendar, calendar_of
from telefold.views.windows import Windows

GOLDEN = Path(__file__).with_name("windows.json")
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
ZONES = {
    "Europe/Berlin": "daylight saving in the night",
    "America/New_York": "the same, west of Greenwich",
    "Australia/Lord_Howe": "by half an hour",
    "Antarctica/Troll": "by two hours",
    "America/Sao_Paulo": "midnight is left out, and 23:00 comes twice",
    "Asia/Beirut": "the same",
    "America/Havana": "midnight comes twice",
    "America/St_Johns": "one minute of the new day, and then the old one again",
    "Asia/Amman": "a change that was not changed back",
    "Africa/Casablanca": "once more in every Ramadan",
    "Antarctica/Casey": "back by three hours: the longest day",
    "Pacific/Apia": "a day that was left out",
    "Asia/Pyongyang": "half an hour before midnight",
    "Asia/Kathmandu": "no whole hours, and no change",
    "UTC": "no change",
}
UNITS = ("d", "w", "mo", "y")
FIRST, LAST = 946_684_800_000, 1_767_225_600_000
"""2000 and 2026; what is to come may yet be decided otherwise."""
CHANGES_OF_A_ZONE = 4


class Case(msgspec.Struct, array_like=True):
    size: str
    at: int
    start: int
    end: int


def cases() -> Iterator[Case]:
    for zone in ZONES:
        for unit in UNITS:
            size = f"1{unit}@{zone}"
            windows = Windows(size, longest(size))
            for at in instants(zone):
                yield Case(size, at, *windows.bounds(at))


def longest(size: str) -> int:
    calendar = calendar_of(size)
    assert calendar is not None, size
    return calendar.longest_ms


def instants(zone: str) -> Iterator[int]:
    """On either side of changes of the clock, and of the midnights around them."""
    changes = list(_changes(ZoneInfo(zone)))
    for change in [*changes[:2], *changes[-2:]] or [FIRST + 400 * DAY]:
        near = {-DAY, -90 * MINUTE, -HOUR, -31 * MINUTE, -1, 0, 1, 29 * MINUTE, HOUR, 90 * MINUTE, 3 * HOUR, DAY}
        yield from sorted(change + one for one in near)
        windows = Windows(f"1d@{zone}", Calendar("d", zone).longest_ms)
        yield from (bound + one for bound in windows.bounds(change) for one in (-1, 0))


def _changes(zone: ZoneInfo) -> Iterator[int]:
    """To the second, of those that last for a week."""
    for at in range(FIRST, LAST, 7 * DAY):
        early, late = at, at + 7 * DAY
        if _offset(zone, early) == _offset(zone, late):
            continue
        while late - early > 1_000:
            middle = (early + late) // 2_000 * 1_000
            early, late = (middle, late) if _offset(zone, middle) == _offset(zone, early) else (early, middle)
        yield late


def _offset(zone: ZoneInfo, at: int) -> float:
    offset = datetime.fromtimestamp(at / 1_000, UTC).astimezone(zone).utcoffset()
    assert offset is not None
    return offset.total_seconds()


def golden() -> bytes:
    """What belongs in the file."""
    return b"[\n" + b",\n".join(map(msgspec.json.encode, cases())) + b"\n]\n"


if __name__ == "__main__":
    GOLDEN.write_bytes(golden())
