"""Rules that all view stores agree on: which update of a row counts, and which sort keys a range holds."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple, TypeVar

from telefold.schemas.row_limits import why_refused
from telefold.schemas.view_rows import ViewUpdate
from telefold.schemas.view_stores import Refused

_SURROGATES = range(0xD800, 0xE000)
_LAST_CODE_POINT = 0x10FFFF

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
        if held is not update and held.version <= update.version:
            newest[key] = update
    return list(newest.values()), refused


def row_name(update: ViewUpdate) -> str:
    return f"the row with pk {update.partition!r} and sk {update.sort!r}"


class Interval(NamedTuple):
    """The sort keys from `low` to before `high`; no upper bound where it is None."""

    low: str
    high: str | None

    @property
    def is_empty(self) -> bool:
        return self.high is not None and self.low >= self.high

    def holds(self, sort: str) -> bool:
        return self.low <= sort and (self.high is None or sort < self.high)


def interval(prefix: str, start: str, end: str) -> Interval:
    """The interval of keys that `range` asks for: keys between two that share a prefix have it too.

    Python compares strings by code point, which is the order of their UTF-8 bytes.
    """
    return Interval(prefix + start, prefix + end if end else _after_all_with(prefix))


def _after_all_with(prefix: str) -> str | None:
    kept = prefix.rstrip(chr(_LAST_CODE_POINT))
    if not kept:
        return None
    following = ord(kept[-1]) + 1
    return kept[:-1] + chr(_SURROGATES.stop if following in _SURROGATES else following)


def batches(rows: Sequence[T], size: int) -> Iterator[list[T]]:
    remaining = iter(rows)
    while batch := list(islice(remaining, size)):
        yield batch
