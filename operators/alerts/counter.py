"""The growth of a counter in the time before its newest reading, in parts: any duration costs the same."""

import msgspec

MOST_PARTS = 64


class Counter(msgspec.Struct, frozen=True, array_like=True):
    """The counts of one metric over one duration."""

    since: int
    """The time of the reading with which the first one that was counted was compared, in epoch milliseconds."""
    parts: tuple[tuple[int, float], ...] = ()
    """The number of a part of time, and what was counted in it; in the order of time, those with readings alone."""

    def counted(self, over_ms: int, at: int, grown: float) -> "Counter":
        """Count the newest reading, which is one at `at` by which the counter has `grown` so much."""
        number = at // _length(over_ms)
        kept = [part for part in self.parts if part[0] > number - over_ms // _length(over_ms)]
        before = kept.pop()[1] if kept and kept[-1][0] == number else 0.0
        return Counter(self.since, (*kept, (number, before + grown)))

    @property
    def total(self) -> float:
        return sum(grown for _, grown in self.parts)

    def covers(self, over_ms: int, at: int) -> bool:
        """Whether nothing of the duration before `at` went by uncounted."""
        return at - self.since >= over_ms


def growth(before: float, value: float) -> float:
    """The growth from one reading of a counter to the next. A counter that has fallen was reset to 0 in between."""
    return value - before if value >= before else value


def _length(over_ms: int) -> int:
    """The length of one part, in milliseconds: a duration has at most `MOST_PARTS` of them."""
    return -(-over_ms // MOST_PARTS)
