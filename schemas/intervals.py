"""Intervals of sort keys, by which ranges of rows are read."""

from typing import NamedTuple

_SURROGATES = range(0xD800, 0xE000)
_LAST_CODE_POINT = 0x10FFFF


class Interval(NamedTuple):
    """The sort keys from `low` to before `high`; no upper bound where it is None."""

    low: str
    high: str | None

    @property
    def is_empty(self) -> bool:
        return self.high is not None and self.low >= self.high

    def holds(self, sort: str) -> bool:
        return self.low <= sort and (self.high is None or sort < self.high)

    def meets(self, prefix: str) -> bool:
        """Whether it may hold a key that begins with `prefix`."""
        other = interval(prefix, "", "")
        return (self.high is None or other.low < self.high) and (other.high is None or self.low < other.high)

    def without(self, prefix: str) -> "list[Interval]":
        """What is left of it before and behind all keys that begin with `prefix`."""
        other = interval(prefix, "", "")
        before = self._replace(high=other.low if self.high is None else min(self.high, other.low))
        behind = [self._replace(low=max(self.low, other.high))] if other.high is not None else []
        return [part for part in (before, *behind) if not part.is_empty]


def interval(prefix: str, start: str, end: str) -> Interval:
    """The interval of keys that `ViewReader.range` asks for: keys between two that share a prefix have it too.

    Python compares strings by code point, which is the order of their UTF-8 bytes.
    """
    return Interval(prefix + start, prefix + end if end else _after_all_with(prefix))


def _after_all_with(prefix: str) -> str | None:
    kept = prefix.rstrip(chr(_LAST_CODE_POINT))
    if not kept:
        return None
    following = ord(kept[-1]) + 1
    return kept[:-1] + chr(_SURROGATES.stop if following in _SURROGATES else following)
