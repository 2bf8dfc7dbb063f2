"""Generations of the views: which one readers read, which one is being built, and what may follow what.

The rows of generation 1 lie under their partitions as they are, those of generation N >= 2 under `gN/<partition>`.
Every view begins its partitions with its own kind of key and `#`, as in `device#<id>`: whatever characters a device's
id has, no partition of generation 1 looks like one of a later generation.
"""

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from telefold.schemas.errors import GenerationError
from telefold.schemas.log_records import Positions

FIRST = 1

_LATER = re.compile(r"g([1-9][0-9]*)/")


def generation_prefix(generation: int) -> str:
    """The prefix that partitions of `generation` have in every store."""
    if generation < FIRST:
        raise GenerationError(f"There is no generation {generation}: name one from {FIRST} on.")
    return "" if generation == FIRST else f"g{generation}/"


def generation_partition(generation: int, partition: str) -> str:
    return generation_prefix(generation) + partition


def generation_of(stored_partition: str) -> int:
    """The generation whose rows lie under a partition as the stores hold it."""
    found = _LATER.match(stored_partition)
    return int(found[1]) if found else FIRST


class FoldSettings(msgspec.Struct, frozen=True):
    """The settings that the state of a generation's folds fits, and no others."""

    views: tuple[str, ...]
    rollup_sizes: Mapping[str, int]
    """Milliseconds of each window by its label."""


class Generations(msgspec.Struct, frozen=True):
    """The generations of one set of views; every change makes a new object.

    A rebuild goes `begin`, `set_ready`, `switch`; up to the switch `abandon` ends it instead. After the
    switch `rollback` swaps the two generations, any number of times, until `cleaned` gives up the one not read.
    A change that is not allowed raises GenerationError.
    """

    revision: int = 0
    """Grows with every change; a change is not saved if somebody else made one meanwhile."""
    current: int = FIRST
    """The generation that readers read."""
    previous: int | None = None
    """The generation that a rollback brings back."""
    building: int | None = None
    """The generation that a rebuild is making."""
    ready: bool = False
    """`building` has been verified up to the archive's end: the live job is to take it over."""
    dropped: tuple[int, ...] = ()
    """The generations whose rows were deleted."""
    newest: int = FIRST
    """The greatest number ever begun: numbers are never used again."""
    cuts: Mapping[int, Positions] = {}
    """The cut of each generation that may yet run; generation 1 has none."""
    folds: Mapping[int, FoldSettings] = {}
    """The settings of what each of them folds; generation 1 folds what the properties say."""

    @property
    def live(self) -> int:
        """The generation that the live job has to run."""
        return self.building if self.building is not None and self.ready else self.current

    @property
    def may_run(self) -> frozenset[int]:
        """The generations that are read or written, or may be again."""
        found = (self.current, self.previous, self.building)
        return frozenset(number for number in found if number is not None)

    def begin(self, cut: Positions, fold: FoldSettings) -> "Generations":
        """Number a new generation, to be built from the archive, with `cut` as its cut."""
        if self.building is not None:
            raise GenerationError(
                f"Generation {self.building} is being built already: let that rebuild finish, or abandon it."
            )
        number = self.newest + 1
        return self._changed(
            building=number,
            newest=number,
            cuts={**self.cuts, number: dict(cut)},
            folds={**self.folds, number: fold},
        )

    def set_ready(self) -> "Generations":
        """The generation being built is complete and verified."""
        building = self._being_built()
        if self.ready:
            raise GenerationError(f"Generation {building} is ready already: let the live job take it over.")
        return self._changed(ready=True)

    def switch(self) -> "Generations":
        """Readers go over to the ready generation, which the live job runs by now."""
        building = self._being_built()
        if not self.ready:
            raise GenerationError(f"Generation {building} is not ready: let its rebuild finish first.")
        return self._changed(current=building, previous=self.current, building=None, ready=False)

    def rollback(self) -> "Generations":
        """Readers and the live job go back to the previous generation, which a rollback can undo."""
        if self.ready:
            raise GenerationError(
                f"Generation {self.building} is about to become the current one: wait for that, or abandon it, and"
                " roll back then."
            )
        if self.previous is None:
            raise GenerationError(
                f"There is no generation to roll back to from generation {self.current}: no rebuild has been switched"
                " to, or the previous generation was cleaned up."
            )
        return self._changed(current=self.previous, previous=self.current)

    def abandon(self) -> "Generations":
        """Give up the generation being built."""
        self._being_built()
        return self._changed(building=None, ready=False)

    def cleaned(self) -> "Generations":
        """Give up the previous generation: it cannot come back.

        Save this before any row is dropped, so that no rollback leads to half a generation.
        """
        return self._changed(previous=None)

    def droppable(self) -> list[int]:
        """List the generations neither current nor being built that may have rows; the previous one is among them."""
        kept = {self.current, self.building, *self.dropped}
        return [number for number in range(FIRST, self.newest + 1) if number not in kept]

    def without(self, generation: int) -> "Generations":
        """Note that all rows of `generation` are deleted."""
        self.check_dropped(generation)
        return self._changed(dropped=(*self.dropped, generation))

    def check_dropped(self, generation: int) -> None:
        """Raise GenerationError if a generation is read or written, or may come back: its rows must stay."""
        if generation == self.previous:
            raise GenerationError(
                f"Generation {generation} can be brought back by a rollback: give that up before its rows are dropped."
            )
        if generation not in self.droppable():
            raise GenerationError(f"Generation {generation} is in use, was never begun or is gone: it is not dropped.")

    def _being_built(self) -> int:
        if self.building is None:
            raise GenerationError("No generation is being built: begin a rebuild first.")
        return self.building

    def _changed(self, **fields: Any) -> "Generations":
        changed = msgspec.structs.replace(self, **fields, revision=self.revision + 1)
        may_run = changed.may_run
        cuts = {number: cut for number, cut in changed.cuts.items() if number in may_run}
        folds = {number: fold for number, fold in changed.folds.items() if number in may_run}
        return msgspec.structs.replace(changed, cuts=cuts, folds=folds)
