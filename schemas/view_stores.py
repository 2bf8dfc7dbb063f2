"""What every view store can do; one contract suite runs over all of them."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from schemas.view_rows import ViewRow, ViewUpdate


class WriteResult(NamedTuple):
    """What became of a batch: `written + stale` is the number of distinct rows in it."""

    written: int
    stale: int
    told: int = 0
    """Transitions of alerts among the rows that were told to the outside, where the writer does that."""


class ViewWriter(Protocol):
    """Writes batches of rows so that no row's version ever falls."""

    def write(self, updates: Sequence[ViewUpdate]) -> WriteResult:
        """Return once every update is durable, or refused as stale because the store holds a higher version.

        Of several updates of one row the highest version counts. Writing the same batch again changes nothing.
        Raises StoreUnavailable when part of the batch may be unwritten and trying again can help,
        StoreRefused, naming the row, when it cannot.
        """
        ...

    def close(self) -> None: ...


class ViewReader(Protocol):
    """Reads rows; a row past its `expires_at` is not there, even if the store has yet to delete it."""

    def get(self, partition: str, sort: str) -> ViewRow | None: ...

    def range(
        self,
        partition: str,
        prefix: str = "",
        start: str = "",
        end: str = "",
        limit: int | None = None,
        newest_first: bool = False,
    ) -> list[ViewRow]:
        """Rows whose sort key begins with `prefix` and is in [`prefix + start`, `prefix + end`).

        An empty `start` or `end` leaves that side open. Ordered by the UTF-8 bytes of the sort key,
        descending where `newest_first`; the first `limit` of that order.
        """
        ...

    def close(self) -> None: ...
