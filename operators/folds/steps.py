"""A fold taken on by events and by time, step by step, and the rows that changed on the way."""

from collections.abc import Iterator
from typing import Generic, NamedTuple, TypeVar

from operators.folds.fold import Contribution, Fold, FoldRow, RuledFold
from schemas.events import DeviceEvent
from schemas.view_rows import ViewUpdate, device_partition

State = TypeVar("State")
_RowKey = tuple[str, str]

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
        self.name = fold.name
        self._fold = fold
        self.held = held or Held(fold.initial(key), 0, 0)
        self._partition = device_partition(key)
        self._shown: dict[_RowKey, FoldRow] | None = None
        self._changed: dict[_RowKey, tuple[FoldRow, int]] = {}
        self.contributions: list[Contribution] = []
        """Of all steps, in their order."""

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

    def judge(self) -> None:
        """Let the rules of a fold that has some be those that it goes by now."""
        if isinstance(self._fold, RuledFold) and self.held.events:
            state, events, times = self.held
            judged = self._fold.judged(state)
            if judged is not state:
                self._step(Held(judged, events, times + 1))

    @property
    def wake_at(self) -> int | None:
        return self._fold.wake_at(self.held.state)

    def updates(self) -> Iterator[ViewUpdate]:
        """Each row that is not as it was before the first step, as it was last, with the version it then had."""
        for (partition, sort), (row, version) in self._changed.items():
            yield ViewUpdate(self._fold.name, partition, sort, version, row.data, row.expires_at)

    def _step(self, held: Held[State]) -> None:
        before, self.held = self.held, held
        self.contributions.extend(self._fold.contributes(before.state, held.state))
        if before.events and self._fold.shows_the_same(before.state, held.state):
            return
        if self._shown is None:
            self._shown = self._rows(before.state) if before.events else {}
        for key, row in self._rows(held.state).items():
            if self._shown.get(key) != row:
                self._shown[key] = row
                self._changed[key] = (row, held.version)

    def _rows(self, state: State) -> dict["_RowKey", FoldRow]:
        return {(row.partition or self._partition, row.sort): row for row in self._fold.rows(state)}
