"""Single rows put right, whatever items they lie in."""

import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

from telefold.connectors.mending import Mend
from telefold.schemas.packed_rows import (
    BLOCKS,
    HEAD,
    PACKED,
    VERSIONS_A_TIME,
    may_be_packed,
    pack,
    packed_of,
    rows_of_block,
    unpack,
)
from telefold.schemas.view_rows import ViewRow, ViewUpdate, is_of_a_device
from telefold.schemas.view_stores import ViewReader


class ItemMender(Protocol):
    """Puts single items right: `connectors.mending` has one for each store."""

    def mend(self, mend: Mend) -> bool: ...

    def close(self) -> None: ...


class _Holder(NamedTuple):
    item: ViewRow
    rows: list[ViewRow]


class RowMender:
    """A mender of rows, over one of items; it owns both. `clock` returns epoch seconds."""

    def __init__(self, mender: ItemMender, items: ViewReader, clock: Callable[[], float] = time.time) -> None:
        self._mender = mender
        self._items = items
        self._clock = clock

    def mend(self, mend: Mend) -> bool:
        """Whether the row is now as it must be: not if an item that holds it has changed since it was found.

        A row that no item holds becomes an item of its own, which readers take for it until the job writes it again.
        """
        if not (is_of_a_device(mend.partition) and may_be_packed(mend.sort)):
            return self._mender.mend(mend)
        holders = self._holders(mend)
        own = self._items.get(mend.partition, mend.sort)
        versions = [row.version for holder in holders for row in holder.rows if row.sort == mend.sort]
        versions += [own.version] if own else []
        if max(versions, default=None) != mend.found:
            return False
        changes = [self._without(mend, holder) for holder in holders]
        if own or not holders:
            changes.append(mend._replace(found=own.version if own else None))
        # Each is tried, whatever becomes of the others.
        return sum(map(self._mender.mend, changes)) == len(changes)

    def close(self) -> None:
        self._mender.close()
        self._items.close()

    def _holders(self, mend: Mend) -> list[_Holder]:
        items = self._items.range(mend.partition, HEAD) + self._items.range(mend.partition, BLOCKS)
        holders = [_Holder(item, unpack(body)) for item in items if (body := packed_of(item)) is not None]
        return [holder for holder in holders if any(row.sort == mend.sort for row in holder.rows)]

    def _without(self, mend: Mend, holder: _Holder) -> Mend:
        """The item with the wanted row in the place of that which is wrong, or without it."""
        rows = [row for row in holder.rows if row.sort != mend.sort]
        if mend.wanted is not None:
            wanted = mend.wanted
            rows.append(ViewRow(wanted.sort, wanted.version, wanted.data, wanted.expires_at))
        item = holder.item
        made = ViewUpdate(
            PACKED,
            mend.partition,
            item.sort,
            self._version(item, rows),
            expires_at=item.expires_at,
            packed=pack(rows),
            changed=(mend.sort,),
        )
        return Mend(mend.partition, item.sort, item.version, made if rows else None)

    def _version(self, item: ViewRow, rows: list[ViewRow]) -> int:
        """A version that the job's next write of the item exceeds, whatever version somebody has given the item."""
        if item.sort.startswith(BLOCKS):
            return sum(row.version for row in rows_of_block(item.sort, rows))
        return item.version if item.version // VERSIONS_A_TIME <= self._clock() * 1_000 else 1
