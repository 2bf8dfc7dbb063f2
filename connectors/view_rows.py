"""Rules that all view stores agree on: which update of a row counts."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

import msgspec

from telefold.schemas.row_limits import why_refused
from telefold.schemas.view_rows import ViewUpdate
from telefold.schemas.view_stores import Refused

T = TypeVar("T")


def sift(
    updates: Iterable[ViewUpdate], why_not: Callable[[ViewUpdate], str | None] = why_refused
) -> tuple[list[ViewUpdate], list[Refused]]:
    """Keep one update a row, of the highest version, of equals the last; apart from them those that `why_not` names.

    A row whose highest update is refused is stored as its next lower one says.
    """
    newest: dict[tuple[str, str], ViewUpdate] = {}
    refused: list[Refused] = []
    for update in updates:
        if why := why_not(update):
            refused.append(Refused(update, why))
            continue
        key = (update.partition, update.sort)
        held = newest.setdefault(key, update)
        if held is not update:
            newest[key] = _newer(held, update)
    return list(newest.values()), refused


def _newer(held: ViewUpdate, update: ViewUpdate) -> ViewUpdate:
    """The update that counts; it tells of the rows that changed in either."""
    newer, older = (update, held) if held.version <= update.version else (held, update)
    if not older.changed:
        return newer
    return msgspec.structs.replace(newer, changed=tuple(dict.fromkeys(older.changed + newer.changed)))


def row_name(update: ViewUpdate) -> str:
    return f"the row with pk {update.partition!r} and sk {update.sort!r}"


def batches(rows: Sequence[T], size: int) -> Iterator[list[T]]:
    remaining = iter(rows)
    while batch := list(islice(remaining, size)):
        yield batch
