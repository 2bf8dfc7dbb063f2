"""The writer of a job: the durable store, then the fast one, with patience."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter

from telefold.connectors.healing import Watch
from telefold.connectors.retry_policy import RetryPolicy
from telefold.connectors.row_owners import why_not_owned
from telefold.connectors.view_rows import batches, sift
from telefold.schemas.errors import StoreFull, StoreUnavailable
from telefold.schemas.packed_rows import BLOCKS, with_closed_windows
from telefold.schemas.row_limits import why_refused
from telefold.schemas.view_rows import BOTH, DURABLE, FAST, Destination, ViewUpdate
from telefold.schemas.view_stores import ViewWriter, WriteResult

_log = logging.getLogger(__name__)

# So many rows go to each store in turn: those of a large batch need not wait in the fast store for the slow one.
_ROWS_AT_ONCE = 400
# Those of a partition go together: what the fast store does for each partition it then does once.
_partition = attrgetter("partition")
_WARN_EVERY_S = 60.0


class PartlyWritten(StoreUnavailable):
    """A write of which some rows are done, as `result` counts them; `unwritten` alone is worth trying again."""

    def __init__(self, message: str, result: WriteResult, unwritten: Sequence[ViewUpdate]) -> None:
        self.result = result
        self.unwritten = unwritten
        super().__init__(message)


class NoRoom(StoreFull):
    """A write of which some rows are done, as `result` counts them; the store has no room for `unwritten`."""

    def __init__(self, message: str, result: WriteResult, unwritten: Sequence[ViewUpdate]) -> None:
        self.result = result
        self.unwritten = unwritten
        super().__init__(message)


class ViewStores:
    """A ViewWriter that writes to each store that an update is for, in turn, and returns when all have acknowledged.

    The first store is the one that views are rebuilt from; the others are copies. A store that is unavailable is tried
    again while `retry_policy` lasts, which is for ever by default; after that its StoreUnavailable is raised. A copy
    that is full holds nobody up: what it lacks is counted and logged, until it takes rows again. StoreRefused,
    and StoreFull of the first store, are raised at once. Rows that a fold does not own are refused, whatever they hold,
    and what the first store refuses the others are not given. A write that was broken off and is done again changes
    nothing.
    """

    def __init__(
        self,
        stores: Mapping[str, ViewWriter],
        retry_policy: RetryPolicy | None = None,
        clock: Callable[[], float] = time.monotonic,
        healing: Watch | None = None,
    ) -> None:
        self._stores = stores
        self._healing = healing
        self._retry_policy = retry_policy or RetryPolicy()
        self._shortages = {name: _Shortage(name, clock) for name in [*stores][1:]}

    def write(self, updates: Sequence[ViewUpdate]) -> WriteResult:
        """Counts what became of the rows in the first store that they are for."""
        total = WriteResult(written=0, stale=0)
        # Copies that have lost what they held are given what is for the first store alone: they had it once.
        is_mirrored = self._healing is not None and self._healing.look()
        blocks: list[tuple[Destination, list[ViewUpdate]]] = []
        others: list[tuple[Destination, list[ViewUpdate]]] = []
        for to in (FAST, BOTH, DURABLE):
            rows, refused = sift((row for row in updates if row.to == to), _why_not_taken)
            # What is due was refused, and told, when it was for the fast store.
            total = total.plus(WriteResult(0, 0, refused=() if to == DURABLE else tuple(refused)))
            blocks.append((to, [row for row in rows if row.sort.startswith(BLOCKS)]))
            others.append((to, [row for row in rows if not row.sort.startswith(BLOCKS)]))
        # A head lacks the windows that have gone into a block: that is there first.
        for to, rows in blocks + others:
            for some in batches(sorted(rows, key=_partition), _ROWS_AT_ONCE):
                total = total.plus(self._write(some, to, is_mirrored))
        return total

    def _write(self, rows: Sequence[ViewUpdate], to: Destination, is_mirrored: bool) -> WriteResult:
        (first, durable), *copies = self._stores.items()
        result = WriteResult(0, 0)
        if to != FAST:
            result = self._write_to(first, durable, rows)
            if to == DURABLE and not is_mirrored:
                return result
            if result.refused:
                refused = {(one.row.partition, one.row.sort) for one in result.refused}
                rows = [row for row in rows if (row.partition, row.sort) not in refused]
        if to == DURABLE:
            rows = with_closed_windows(rows)
        for name, copy in copies:
            done = self._write_to_copy(name, copy, rows)
            # What is for the fast store alone is counted there.
            result = result.plus(done if to == FAST else done._replace(written=0, stale=0))
        return result

    def _write_to_copy(self, name: str, store: ViewWriter, rows: Sequence[ViewUpdate]) -> WriteResult:
        try:
            result = self._write_to(name, store, rows)
        except NoRoom as full:
            self._shortages[name].goes_on(len(full.unwritten), full)
            return full.result._replace(not_in_cache=len(full.unwritten))
        if rows:
            self._shortages[name].ends()
        return result

    def _write_to(self, name: str, store: ViewWriter, updates: Sequence[ViewUpdate]) -> WriteResult:
        return self._retry_policy.retry_until_available(name, _Work(store, updates).go_on)

    def close(self) -> None:
        if self._healing is not None:
            self._healing.close()
        for store in self._stores.values():
            store.close()


class _Work:
    """A batch for one store, less what earlier attempts have written."""

    def __init__(self, store: ViewWriter, updates: Sequence[ViewUpdate]) -> None:
        self._store = store
        self._updates = updates
        self._done = WriteResult(written=0, stale=0)

    def go_on(self) -> WriteResult:
        try:
            return self._done.plus(self._store.write(self._updates))
        except PartlyWritten as error:
            self._done = self._done.plus(error.result)
            self._updates = error.unwritten
            raise


class _Shortage:
    """Says in the log that a copy lacks rows for want of room, now and then how many, and when it has room again."""

    def __init__(self, name: str, clock: Callable[[], float]) -> None:
        self._name = name
        self._clock = clock
        self._lacking = 0
        self._warned = 0.0

    def goes_on(self, rows: int, why: Exception) -> None:
        now = self._clock()
        self._lacking += rows
        if self._lacking == rows or now - self._warned >= _WARN_EVERY_S:
            self._warned = now
            line = "%s is full, rows go on into the durable store alone, %d so far: %s"
            _log.warning(line, self._name, self._lacking, why, extra={"store": self._name})

    def ends(self) -> None:
        if self._lacking:
            line = "%s has room again, and lacks what up to %d writes of rows held: run `telefold refill`"
            _log.warning(line, self._name, self._lacking, extra={"store": self._name})
            self._lacking = 0


def _why_not_taken(row: ViewUpdate) -> str | None:
    return why_refused(row) or why_not_owned(row)
