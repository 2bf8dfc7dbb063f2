"""Views in memory: a whole store for tests and for trying things out."""

import time
from collections.abc import Callable, Sequence
from itertools import islice

from connectors.view_rows import coalesce, interval
from schemas.view_rows import ViewRow, ViewUpdate
from schemas.view_stores import WriteResult


class MemoryViews:
    """A ViewWriter and ViewReader. `clock` returns epoch seconds."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._partitions: dict[str, dict[str, ViewRow]] = {}

    def write(self, updates: Sequence[ViewUpdate]) -> WriteResult:
        outcomes = [self._write_row(update) for update in coalesce(updates)]
        return WriteResult(written=outcomes.count(True), stale=outcomes.count(False))

    def _write_row(self, update: ViewUpdate) -> bool:
        rows = self._partitions.setdefault(update.partition, {})
        held = rows.get(update.sort)
        if held is not None and held.version > update.version:
            return False
        rows[update.sort] = ViewRow(update.sort, update.version, dict(update.data), update.expires_at)
        return True

    def get(self, partition: str, sort: str) -> ViewRow | None:
        row = self._partitions.get(partition, {}).get(sort)
        return row if row is not None and self._is_visible(row) else None

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
        return list(islice(filter(self._is_visible, found), limit))

    def _is_visible(self, row: ViewRow) -> bool:
        return row.expires_at is None or row.expires_at > self._clock()

    def close(self) -> None:
        """Nothing to let go of."""
