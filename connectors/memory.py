"""Views in memory: a whole store for tests and for trying things out."""

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import islice

from telefold.connectors.view_rows import sift
from telefold.schemas.intervals import interval
from telefold.schemas.view_rows import PackedItem, ViewRow, ViewUpdate
from telefold.schemas.view_stores import WriteResult


class MemoryViews:
    """A ViewWriter and ViewReader. `clock` returns epoch seconds."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._partitions: defaultdict[str, dict[str, ViewUpdate]] = defaultdict(dict)

    def write(self, updates: Sequence[ViewUpdate]) -> WriteResult:
        rows, refused = sift(updates)
        written = 0
        for row in rows:
            partition = self._partitions[row.partition]
            held = partition.get(row.sort)
            if held is None or held.version <= row.version:
                partition[row.sort] = row
                written += 1
        return WriteResult(written, stale=len(rows) - written, refused=tuple(refused))

    def pinned(self) -> "MemoryViews":
        return self

    def get(self, partition: str, sort: str) -> ViewRow | None:
        row = self._partitions.get(partition, {}).get(sort)
        return _as_read(row) if row is not None and self._is_visible(row) else None

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
        rows = self._partitions.get(partition, {})
        found = (rows[sort] for sort in sorted(rows, reverse=newest_first) if asked.holds(sort))
        return list(map(_as_read, islice(filter(self._is_visible, found), limit)))

    def partitions(self) -> set[str]:
        """The partitions that have rows."""
        return {name for name, rows in self._partitions.items() if any(map(self._is_visible, rows.values()))}

    def _is_visible(self, row: ViewUpdate) -> bool:
        return row.expires_at is None or row.expires_at > self._clock()

    def close(self) -> None:
        """Close nothing, as nothing is open."""


def _as_read(row: ViewUpdate) -> ViewRow:
    if row.packed is not None:
        return PackedItem(row.sort, row.version, expires_at=row.expires_at, packed=row.packed)
    return ViewRow(row.sort, row.version, row.data, row.expires_at)
