"""Rows that the fast store keeps: all of them but windows that were over long ago."""

from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from telefold.schemas.packed_rows import BLOCK_WINDOWS
from telefold.schemas.setting_values import parse_sizes


class Hot(NamedTuple):
    """Windows are hot until so many seconds after their end, None for ever; of a block until all of them are not."""

    retention_s: int | None

    def until(self, sort: str) -> int | None:
        """The epoch seconds from which a row or an item with this sort key is not hot any more; None for never."""
        if self.retention_s is None:
            return None
        match sort.split("#"):
            case ["rollups", size, begin, *_]:
                end = _end(size, begin, BLOCK_WINDOWS + 1)
            case ["rollup", size, _, begin]:
                end = _end(size, begin, 1)
            case _:
                return None
        return None if end is None else end + self.retention_s

    def holds(self, sort: str, now: float) -> bool:
        """Whether a row or an item with this sort key is hot at `now`, in epoch seconds."""
        until = self.until(sort)
        return until is None or until > now

    def expiry(self, sort: str, expires_at: int | None) -> int | None:
        """The earlier of `expires_at`, which is when a row expires, and of when it is not hot any more."""
        until = self.until(sort)
        return min((at for at in (until, expires_at) if at is not None), default=None)


ALL = Hot(None)


@lru_cache(maxsize=10_000)
def _end(size: str, begin: str, windows: int) -> int | None:
    """The end of the last of so many windows, in epoch seconds; None if these are no parts of a window's key."""
    try:
        return round(datetime.fromisoformat(begin).timestamp()) + windows * parse_sizes(size)[size] // 1_000
    except (ValueError, KeyError):
        return None
