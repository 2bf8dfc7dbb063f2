"""The interface of every view store; one contract suite runs over all of them."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from telefold.schemas.view_rows import ViewRow, ViewUpdate


class Refused(NamedTuple):
    """A row that is in no store, and why."""

    row: ViewUpdate
    why: str


class WriteResult(NamedTuple):
    """The outcome of a batch: `written + stale` is the number of distinct rows in it that were not refused."""

    written: int
    stale: int
    told: int = 0
    """Transitions of alerts among the rows that were published, where the writer does that."""
    refused: tuple[Refused, ...] = ()
    """Rows that a store refused for what they hold, or that are not the writer's: they are in no store."""
    not_in_cache: int = 0
    """Rows that the durable store has and a full fast one has not."""

    def plus(self, other: "WriteResult") -> "WriteResult":
        """The sum of two outcomes."""
        return WriteResult(
            self.written + other.written,
            self.stale + other.stale,
            self.told + other.told,
            self.refused + other.refused,
            self.not_in_cache + other.not_in_cache,
        )


class ViewWriter(Protocol):
    """Writes batches of rows so that no row's version ever falls."""

    def write(self, updates: Sequence[ViewUpdate]) -> WriteResult:
        """Return once every update is durable, or refused as stale because the store holds a higher version.

        Of several updates of one row the highest version counts. Writing the same batch again changes nothing.
        What no store can hold is in the result's `refused`, and all other rows of the batch are written.
        Raises StoreUnavailable when part of the batch may be unwritten and trying again can help, StoreFull when it is
        unwritten for want of room, and StoreRefused when the store would refuse whatever it is given.
        """
        ...

    def close(self) -> None: ...


class ViewReader(Protocol):
    """Reads rows; a row past its `expires_at` is not there, even if the store has yet to delete it."""

    def pinned(self) -> "ViewReader":
        """A reader of the generation that is current now, whatever readers are switched to later. It shares this one's
        connections, and ends with it.
        """
        ...

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
