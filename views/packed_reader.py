"""Rows of devices read out of the items that hold them, beside rows that are items of their own."""

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import NamedTuple

import msgspec

from telefold.schemas.errors import StoreRefused
from telefold.schemas.intervals import Interval, interval
from telefold.schemas.packed_rows import (
    BLOCK_WINDOWS,
    BLOCKS,
    HEAD,
    block_prefix,
    held_by_head,
    may_be_packed,
    newest_of,
    packed_of,
    rows_in,
)
from telefold.schemas.setting_values import parse_sizes
from telefold.schemas.view_rows import ViewRow, is_of_a_device, key_time
from telefold.schemas.view_stores import ViewReader
from telefold.views.rollups import ROLLUP_PREFIX

_WINDOWS = "rollup"
"""The beginning of the sort keys of windows and of blocks alike."""
_BLOCKS_A_PAGE = 20


class Span(NamedTuple):
    """Windows of one size that begin from `start_ms` to before `end_ms`, in epoch milliseconds; None leaves it open."""

    size: str
    start_ms: int | None = None
    end_ms: int | None = None


class PackedReader:
    """A ViewReader of rows, whatever items they lie in; it owns `stored`, which reads what a store has, item by item.

    Of a row that is in several places the highest version is read. Raises StoreRefused for an item that cannot be read.
    `clock` returns epoch seconds.
    """

    def __init__(self, stored: ViewReader, clock: Callable[[], float] = time.time) -> None:
        self.stored = stored
        self._clock = clock

    def pinned(self) -> "PackedReader":
        return PackedReader(self.stored.pinned(), self._clock)

    def close(self) -> None:
        self.stored.close()

    def get(self, partition: str, sort: str) -> ViewRow | None:
        if not (is_of_a_device(partition) and may_be_packed(sort)):
            row = self.stored.get(partition, sort)
            return None if row is None or packed_of(row) is not None else row
        # A key that ends with a nought is the first behind this one.
        asked = Interval(sort, sort + "\0")
        return next(iter(self._rows(partition, asked, _span_of(sort))), None)

    def range(
        self,
        partition: str,
        prefix: str = "",
        start: str = "",
        end: str = "",
        limit: int | None = None,
        newest_first: bool = False,
    ) -> list[ViewRow]:
        asked = interval(prefix, start, end)
        if asked.is_empty or limit == 0:
            return []
        if not is_of_a_device(partition) or not any(map(asked.meets, (HEAD, _WINDOWS))):
            return self.stored.range(partition, prefix, start, end, limit, newest_first)
        rows = self._rows(partition, asked, _span_asked(prefix, start, end))
        return (rows[::-1] if newest_first else rows)[:limit]

    def windows(self, partition: str, span: Span, metric: str | None = None, limit: int | None = None) -> list[ViewRow]:
        """Windows of a device by metric and time: of each metric, or of the one, the newest `limit`."""
        if limit == 0:
            return []
        asked = _rows_of(span, metric)
        items = self._between(partition, asked) + self._heads(partition)
        if metric is not None and limit is not None:
            return self._newest(partition, asked, span, limit, items)
        rows = self._unpacked(asked, items + self._blocks(partition, span))
        return _newest_of_each_metric([row for row in rows if _is_in(row, span)], limit)

    def newest(self, partition: str) -> list[ViewRow]:
        """All rows of a device but windows before the current ones, by sort key."""
        everything = interval("", "", "")
        items = [item for part in everything.without(_WINDOWS) for item in self._between(partition, part)]
        return self._unpacked(everything, items + self._ahead_of(partition, items))

    def _newest(self, partition: str, asked: Interval, span: Span, limit: int, items: list[ViewRow]) -> list[ViewRow]:
        """The newest windows; as many blocks are read, from the newest on, as hold so many."""
        blocks = self._blocks_newest_first(partition, span)
        rows = self._unpacked(asked, items)
        while page := list(islice(blocks, _BLOCKS_A_PAGE)):
            rows = self._unpacked(asked, rows + page)
            # Of the earliest of these there may be more parts; what is not read began before the others.
            begun = [block.sort.split("#")[2] for block in page]
            whole = min((at for at in begun if at > begun[-1]), default="~")
            if sum(_is_in(row, span) and row.sort.rsplit("#", 1)[1] >= whole for row in rows) >= limit:
                break
        return [row for row in rows if _is_in(row, span)][-limit:]

    def _rows(self, partition: str, asked: Interval, span: Span | None) -> list[ViewRow]:
        if asked.low.startswith(HEAD) and asked.high is not None and asked.high.startswith(HEAD):
            return self._unpacked(asked, self._heads(partition))
        items = [item for part in asked.without(BLOCKS) for item in self._between(partition, part)]
        heads = interval(HEAD, "", "")
        if asked.low > heads.low or (asked.high is not None and asked.high < (heads.high or "")):
            items += self._heads(partition)
        if asked.meets(ROLLUP_PREFIX):
            items += self._blocks(partition, span)
        return self._unpacked(asked, items)

    def _heads(self, partition: str) -> list[ViewRow]:
        heads = self.stored.range(partition, HEAD)
        return heads + self._ahead_of(partition, heads)

    def _ahead_of(self, partition: str, items: Iterable[ViewRow]) -> list[ViewRow]:
        """Blocks that may have gone ahead of the heads among `items`, with what is to be in the next ones."""
        heads = [item for item in items if packed_of(item) is not None and not item.sort.startswith(BLOCKS)]
        return [
            block
            for size, start_ms in sorted({held for head in heads for held in held_by_head(_rows_in(head, 0.0))})
            for block in self._newest_block(partition, Span(size, start_ms, start_ms + 1))
        ]

    def _newest_block(self, partition: str, span: Span) -> list[ViewRow]:
        """The newest block that may hold windows of a span."""
        prefix, bounds = block_prefix(span.size), _bounds(span)
        return self.stored.range(partition, prefix, bounds.low, bounds.high or "", limit=1, newest_first=True)

    def _between(self, partition: str, asked: Interval) -> list[ViewRow]:
        return self.stored.range(partition, "", asked.low, asked.high or "")

    def _blocks(self, partition: str, span: Span | None) -> list[ViewRow]:
        if span is None:
            return self.stored.range(partition, BLOCKS)
        bounds = _bounds(span)
        return self.stored.range(partition, block_prefix(span.size), bounds.low, bounds.high or "")

    def _blocks_newest_first(self, partition: str, span: Span) -> Iterator[ViewRow]:
        prefix, bounds = block_prefix(span.size), _bounds(span)
        end = bounds.high or ""
        while page := self.stored.range(partition, prefix, bounds.low, end, _BLOCKS_A_PAGE, newest_first=True):
            yield from page
            end = page[-1].sort.removeprefix(prefix)

    def _unpacked(self, asked: Interval, items: Iterable[ViewRow]) -> list[ViewRow]:
        """The highest version of each row that is asked for, by sort key."""
        now = self._clock()
        found = (row for item in items for row in _rows_in(item, now) if asked.holds(row.sort))
        newest = newest_of((row.sort, row) for row in found)
        return [newest[sort] for sort in sorted(newest)]


def _rows_of(span: Span, metric: str | None) -> Interval:
    """The sort keys of the windows of a span, of all metrics or of the one; of all, at whatever time they begin."""
    prefix = f"{ROLLUP_PREFIX}{span.size}#"
    if metric is None:
        return interval(prefix, "", "")
    start = "" if span.start_ms is None else key_time(span.start_ms)
    end = "" if span.end_ms is None else key_time(span.end_ms + 999)
    return interval(f"{prefix}{metric}#", start, end)


def _bounds(span: Span) -> Interval:
    """The times in the sort keys of the blocks that may hold windows of a span; they begin up to a block earlier."""
    low, high = "", None
    if span.start_ms is not None and (window := _longest_ms(span.size)):
        low = key_time(span.start_ms - BLOCK_WINDOWS * window)
    if span.end_ms is not None:
        high = key_time(span.end_ms + 999)
    return Interval(low, high)


def _longest_ms(size: str) -> int | None:
    try:
        return parse_sizes(size)[size]
    except (ValueError, KeyError):
        return None


def _span_asked(prefix: str, start: str, end: str) -> Span | None:
    """The windows that a range of sort keys asks for, if they are of one size."""
    match prefix.split("#"):
        case ["rollup", size, _, ""]:
            return Span(size, _time_of(start), _time_of(end))
        case ["rollup", size, _, *_]:
            return Span(size)
    return None


def _span_of(sort: str) -> Span | None:
    match sort.split("#"):
        case ["rollup", size, _, at] if (start := _time_of(at)) is not None:
            return Span(size, start, start + 1)
    return None


def _time_of(key: str) -> int | None:
    """The epoch milliseconds of a whole `key_time`; None of anything else."""
    try:
        return round(datetime.strptime(key, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp() * 1_000)
    except ValueError:
        return None


def _is_in(row: ViewRow, span: Span) -> bool:
    start = row.sort.rsplit("#", 1)[1]
    return (span.start_ms is None or start >= key_time(span.start_ms)) and (
        span.end_ms is None or start < key_time(span.end_ms + 999)
    )


def _rows_in(item: ViewRow, now: float) -> list[ViewRow]:
    """The rows in an item that have not expired; of one that is a row, itself."""
    if packed_of(item) is None:
        return [item]
    try:
        rows = [row for row in rows_in(item) if row.expires_at is None or row.expires_at > now]
        if item.behind_ms is None:
            return rows
        return [msgspec.structs.replace(row, behind_ms=item.behind_ms) for row in rows]
    except Exception as error:
        raise StoreRefused(
            f"The item {item.sort} cannot be read ({error}): delete it, and `telefold verify --mend` puts back what it"
            " held."
        ) from error


def _newest_of_each_metric(rows: list[ViewRow], limit: int | None) -> list[ViewRow]:
    """`rows`, which are sorted, but of each metric the newest `limit` alone."""
    if limit is None:
        return rows
    by_metric: dict[str, list[ViewRow]] = {}
    for row in rows:
        by_metric.setdefault(row.sort.rsplit("#", 1)[0], []).append(row)
    return [row for some in by_metric.values() for row in some[len(some) - min(limit, len(some)) :]]
