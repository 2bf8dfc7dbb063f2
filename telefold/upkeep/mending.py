"""Commands that mend each kind of difference between the stores and the log, and single rows put right in place."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from typing import Literal, NamedTuple

from telefold.connectors.mending import Mend
from telefold.jobs.settings import Settings
from telefold.jobs.stores import open_mender, open_reader
from telefold.schemas.view_rows import ViewUpdate
from telefold.verify.checker import Verification
from telefold.verify.comparing import TOO_NEW, UNEXPECTED
from telefold.verify.oracle import Difference, Key
from telefold.verify.store_check import NO_SUCH_DEVICE, StoreCheck

Command = Literal["telefold refill", "telefold verify --mend", "telefold rebuild"]

WHY: Mapping[Command, str] = {
    "telefold refill": "writes rows into Redis again that the table has as they must be",
    "telefold verify --mend": "puts single rows right, and takes away those that nothing in the log explains",
    "telefold rebuild": "folds the log anew: of rows that differ in both stores the job's own state is wrong, too",
}


class Mended(NamedTuple):
    """The outcome of mending rows that differed."""

    right: int
    changed: int
    """Rows that somebody wrote meanwhile: they were left as they are."""


def commands(found: Verification) -> dict[tuple[str, Key], Command]:
    """The command that mends each row that differs, by store and key.

    No write of a job replaces a row of a version that is too high, and none takes one away.
    """
    mends: dict[tuple[str, Key], Command] = {}
    by_store = [{_key(one) for one in check.differences} for check in found.stores]
    in_all = set.intersection(*by_store) if len(by_store) > 1 else set[Key]()
    by_hand = {_key(one) for check in found.stores for one in check.differences if _is_by_hand(one)}
    for check in found.stores:
        for one in check.differences:
            key = _key(one)
            if key in by_hand:
                mends[check.store, key] = "telefold verify --mend"
            elif key in in_all:
                mends[check.store, key] = "telefold rebuild"
            else:
                mends[check.store, key] = "telefold refill" if check.store == "redis" else "telefold verify --mend"
    return mends


def _is_by_hand(one: Difference) -> bool:
    return TOO_NEW in one.problem or one.problem.startswith(UNEXPECTED) or one.problem == NO_SUCH_DEVICE


def mend(settings: Settings, found: Verification) -> Mended:
    """Put every row that differs right in the store in which it does: each only if it still is as it was found."""
    right = changed = 0
    with ExitStack() as opened:
        for check in found.stores:
            mender = opened.enter_context(closing(open_mender(settings, check.store, found.generation)))
            for one in _mends(settings, check, found):
                if mender.mend(one):
                    right += 1
                else:
                    changed += 1
    return Mended(right, changed)


def _mends(settings: Settings, check: StoreCheck, found: Verification) -> Iterator[Mend]:
    for key in dict.fromkeys(map(_key, check.differences)):
        partition, sort = key
        if not sort:
            yield from _all_of(settings, check, partition, found.generation)
            continue
        there = check.found.get(key)
        yield Mend(partition, sort, None if there is None else there.version, _visible(found.wanted.get(key)))


def _all_of(settings: Settings, check: StoreCheck, partition: str, generation: int) -> Sequence[Mend]:
    with closing(open_reader(settings, check.store, generation)) as reader:
        return [Mend(partition, row.sort, row.version, None) for row in reader.range(partition)]


def _visible(wanted: ViewUpdate | None) -> ViewUpdate | None:
    """The row, or None if it has expired."""
    return wanted if wanted is None or wanted.expires_at is None or wanted.expires_at > time.time() else None


def _key(one: Difference) -> Key:
    return one.partition, one.sort
