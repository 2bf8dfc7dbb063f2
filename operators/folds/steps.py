"""A fold taken on by events and by time, step by step, and the rows that changed on the way."""

from collections.abc import Iterator
from typing import Generic, NamedTuple, TypeVar

from operators.folds.fold import Fold, FoldRow
from schemas.events import DeviceEvent
from schemas.view_rows import ViewUpdate, device_partition

State = TypeVar("State")

TIMES_AN_EVENT = 1_024
"""Versions of one event: it, and what became of its state by time alone."""


class Held(NamedTuple, Generic[State]):
    """What is kept of a device between two batches of its events."""

    state: State
    events: int
    """Folded so far."""
    times: int
    """How often time has moved the state on since the last of them."""

    @property
    def version(self) -> int:
        """Of the rows that this state shows. An event raises it above all that time made of the state before.

        A replay may find the last of a device's timers due that had not fired before, or the other way round: the
        rows that were written first then stand until the next event, or until time has come as far again.
        """
        return self.events * TIMES_AN_EVENT + min(self.times, TIMES_AN_EVENT - 1)


class Steps(Generic[State]):
    """The steps of one device since its state was read: `held` is where they lead, `updates` what they changed."""

    def __init__(self, fold: Fold[State], key: str, held: Held[State] | None) -> None:
        self._fold = fold
        self._key = key
        self.held = held or Held(fold.initial(key), 0, 0)
        self._shown = {row.sort: row for row in fold.rows(self.held.state)} if self.held.events else {}
        self._changed: dict[str, tuple[FoldRow, int]] = {}

    def fold(self, event: DeviceEvent) -> None:
        """One more event, and before it all that was due by its own time where the fold goes by event time."""
        if self._fold.clock == "event":
            self.advance(event.event_time)
        state, events, _ = self.held
        self._step(Held(self._fold.evolve(state, event), events + 1, 0))

    def advance(self, time: int) -> None:
        """Take every step that is due at `time`, in epoch milliseconds of the fold's clock."""
        while (at := self.wake_at) is not None and at <= time:
            state, events, times = self.held
            self._step(Held(self._fold.on_time(state, at), events, times + 1))
            if self.wake_at is not None and self.wake_at <= at:
                raise ValueError(f"{self._fold.name}.on_time leaves wake_at at {self.wake_at}, which has come: {at}")

    @property
    def wake_at(self) -> int | None:
        return self._fold.wake_at(self.held.state)

    def updates(self) -> Iterator[ViewUpdate]:
        """Each row that is not as it was before the first step, as it was last, with the version it then had."""
        partition = device_partition(self._key)
        for row, version in self._changed.values():
            yield ViewUpdate(self._fold.name, partition, row.sort, version, row.data, row.expires_at)

    def _step(self, held: Held[State]) -> None:
        before, self.held = self.held, held
        if held.state is before.state and held.events > 1:
            return
        for row in self._fold.rows(held.state):
            if self._shown.get(row.sort) != row:
                self._shown[row.sort] = row
                self._changed[row.sort] = (row, held.version)
