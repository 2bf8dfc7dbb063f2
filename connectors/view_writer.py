"""The writer of a job: the durable store, then the fast one, with patience."""

from collections.abc import Mapping, Sequence
from operator import attrgetter

from connectors.patience import Patience
from connectors.view_rows import batches, coalesce
from schemas.errors import StoreUnavailable
from schemas.view_rows import ViewUpdate
from schemas.view_stores import ViewWriter, WriteResult

# So many rows go to each store in turn: those of a large batch need not wait in the fast store for the slow one.
_ROWS_AT_ONCE = 400
# Those of a partition go together: what the fast store does for each partition it then does once.
_partition = attrgetter("partition")


class PartlyWritten(StoreUnavailable):
    """Some rows are done, as `result` counts them; `unwritten` alone is worth trying again."""

    def __init__(self, message: str, result: WriteResult, unwritten: Sequence[ViewUpdate]) -> None:
        self.result = result
        self.unwritten = unwritten
        super().__init__(message)


class ViewStores:
    """A ViewWriter that writes to each store in turn and returns when all have acknowledged.

    A store that is unavailable is tried again while `patience` lasts, which is for ever unless told otherwise: then its
    StoreUnavailable is raised. StoreRefused is raised at once. A write that was broken off and is done again changes
    nothing.
    """

    def __init__(self, stores: Mapping[str, ViewWriter], patience: Patience | None = None) -> None:
        self._stores = stores
        self._patience = patience or Patience()

    def write(self, updates: Sequence[ViewUpdate]) -> WriteResult:
        """Counts what became of the rows in the first store, which is the one that views are rebuilt from."""
        total = WriteResult(written=0, stale=0)
        rows = sorted(coalesce(updates), key=_partition)
        for some in batches(rows, _ROWS_AT_ONCE):
            results = [self._write_to(name, store, some) for name, store in self._stores.items()]
            total = WriteResult(total.written + results[0].written, total.stale + results[0].stale)
        return total

    def _write_to(self, name: str, store: ViewWriter, updates: Sequence[ViewUpdate]) -> WriteResult:
        return self._patience.wait_out(name, _Work(store, updates).go_on)

    def close(self) -> None:
        for store in self._stores.values():
            store.close()


class _Work:
    """One batch for one store, less what earlier attempts have written."""

    def __init__(self, store: ViewWriter, updates: Sequence[ViewUpdate]) -> None:
        self._store = store
        self._updates = updates
        self._done = WriteResult(written=0, stale=0)

    def go_on(self) -> WriteResult:
        try:
            return self._add(self._store.write(self._updates))
        except PartlyWritten as error:
            self._done = self._add(error.result)
            self._updates = error.unwritten
            raise

    def _add(self, result: WriteResult) -> WriteResult:
        return WriteResult(self._done.written + result.written, self._done.stale + result.stale)
