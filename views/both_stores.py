"""One answer out of both stores: what is hot from the fast one, and the rest from the durable one."""

import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

import msgspec

from telefold.schemas.errors import StoreUnavailable
from telefold.schemas.hot_rows import Hot
from telefold.schemas.intervals import Interval, interval
from telefold.schemas.packed_rows import HEAD, VERSIONS_A_TIME, newest_of, packed_of
from telefold.schemas.view_rows import ViewRow, is_of_a_device, key_time
from telefold.schemas.view_stores import ViewReader


class FastReader(ViewReader, Protocol):
    """A reader of a store that may have lost what it held."""

    def pinned_if_whole(self) -> tuple[ViewReader, int] | None:
        """A reader of the generation that is current now, and its number; None if the store was emptied."""
        ...


class DurableReader(ViewReader, Protocol):
    def at(self, generation: int) -> ViewReader:
        """A reader of that generation, which shares this one's connections, and ends with it."""
        ...


class Behind(NamedTuple):
    """How far the stores may be behind the log by the settings, in milliseconds."""

    fast_ms: int
    durable_ms: int


class BothStores:
    """A ViewReader of items; it owns both readers. Each row says how far it may be behind.

    The durable store is asked for windows that may not be hot, for what the fast one does not have, and for everything
    while that is away, or was emptied and is not filled again. `clock` returns epoch seconds.
    """

    def __init__(
        self,
        fast: FastReader,
        durable: DurableReader,
        hot: Hot,
        behind: Behind,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._fast = fast
        self._durable = durable
        self._hot = hot
        self._behind = behind
        self._clock = clock

    def pinned(self) -> ViewReader:
        try:
            found = self._fast.pinned_if_whole()
        except StoreUnavailable:
            found = None
        if found is None:
            return _Told(self._durable.pinned(), self._behind.durable_ms)
        fast, generation = found
        return _Pinned(fast, self._durable.at(generation), self._hot, self._behind, self._clock)

    def get(self, partition: str, sort: str) -> ViewRow | None:
        return self.pinned().get(partition, sort)

    def range(
        self,
        partition: str,
        prefix: str = "",
        start: str = "",
        end: str = "",
        limit: int | None = None,
        newest_first: bool = False,
    ) -> list[ViewRow]:
        return self.pinned().range(partition, prefix, start, end, limit, newest_first)

    def close(self) -> None:
        self._fast.close()
        self._durable.close()


class _Told:
    """A ViewReader of one store, whose rows say how far they may be behind."""

    def __init__(self, reader: ViewReader, behind_ms: int) -> None:
        self._reader = reader
        self._behind_ms = behind_ms

    def pinned(self) -> ViewReader:
        return self

    def get(self, partition: str, sort: str) -> ViewRow | None:
        row = self._reader.get(partition, sort)
        return None if row is None else msgspec.structs.replace(row, behind_ms=self._behind_ms)

    def range(
        self,
        partition: str,
        prefix: str = "",
        start: str = "",
        end: str = "",
        limit: int | None = None,
        newest_first: bool = False,
    ) -> list[ViewRow]:
        rows = self._reader.range(partition, prefix, start, end, limit, newest_first)
        return [msgspec.structs.replace(row, behind_ms=self._behind_ms) for row in rows]

    def close(self) -> None:
        """Leave the connections to the reader that this was pinned from."""


class _Pinned:
    """Both stores in one generation; the connections are those of the reader that it was pinned from."""

    def __init__(
        self, fast: ViewReader, durable: ViewReader, hot: Hot, behind: Behind, clock: Callable[[], float]
    ) -> None:
        self._fast = _Told(fast, behind.fast_ms)
        self._durable = _Told(durable, behind.durable_ms)
        self._hot = hot
        self._clock = clock

    def pinned(self) -> ViewReader:
        return self

    def get(self, partition: str, sort: str) -> ViewRow | None:
        try:
            row = self._fast.get(partition, sort)
        except StoreUnavailable:
            row = None
        return self._durable.get(partition, sort) if row is None else row

    def range(
        self,
        partition: str,
        prefix: str = "",
        start: str = "",
        end: str = "",
        limit: int | None = None,
        newest_first: bool = False,
    ) -> list[ViewRow]:
        try:
            found = self._fast.range(partition, prefix, start, end, limit, newest_first)
        except StoreUnavailable:
            return self._durable.range(partition, prefix, start, end, limit, newest_first)
        asked = interval(prefix, start, end)
        if self._has_heads(partition, asked, found) and self._has_windows(asked, found, limit, newest_first):
            return found
        others = self._durable.range(partition, prefix, start, end, limit, newest_first)
        newest = newest_of((_place(row), row) for row in (*found, *others))
        return [newest[place] for place in sorted(newest, reverse=newest_first)][:limit]

    def _has_heads(self, partition: str, asked: Interval, found: list[ViewRow]) -> bool:
        """Whether the fast store has the windows in the heads that are asked for.

        Of a device that has been silent for longer than windows are hot the durable store's head alone has some.
        """
        if self._hot.retention_s is None or not is_of_a_device(partition) or not asked.meets(HEAD):
            return True
        heads = [row for row in found if packed_of(row) is not None and row.sort.startswith(HEAD)]
        hot_since_ms = (self._clock() - self._hot.retention_s) * 1_000
        return bool(heads) and all(head.version // VERSIONS_A_TIME > hot_since_ms for head in heads)

    def _has_windows(self, asked: Interval, found: list[ViewRow], limit: int | None, newest_first: bool) -> bool:
        """Whether no window that is asked for may have been hot once and be so no more."""
        now = self._clock()
        if self._hot.retention_s is None or not any(map(asked.meets, _KINDS_OF_WINDOWS)):
            return True
        series, _, begin = asked.low.rpartition("#")
        behind = interval(f"{series}#", "", "").high
        if series.count("#") != _PARTS_OF_A_SERIES.get(series.partition("#")[0]):
            return False
        if behind is None or asked.high is None or asked.high > behind:
            return False
        # Of windows of one size that which begins first is over first.
        if newest_first and limit is not None and len(found) == limit:
            return all(self._hot.holds(row.sort, now) for row in found)
        until = self._hot.until(f"{series}#{begin[:_TIME_LENGTH]}")
        return until is not None and until > now

    def close(self) -> None:
        """Leave the connections to the reader that this was pinned from."""


def _place(row: ViewRow) -> tuple[str, int]:
    """The key of a row. A head is another one in each store: that of the durable one has windows that are over."""
    is_head = packed_of(row) is not None and row.sort.startswith(HEAD)
    return row.sort, row.behind_ms or 0 if is_head else 0


_PARTS_OF_A_SERIES = {"rollup": 2, "rollups": 1}
"""How many `#` the keys of windows, and of blocks, of one series have before the time at which they begin."""
_KINDS_OF_WINDOWS = ("rollup#", "rollups#")
_TIME_LENGTH = len(key_time(0))
