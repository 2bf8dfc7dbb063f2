"""A fold taken on by events and by time, step by step, and the rows that changed on the way."""

from collections.abc import Iterator
from typing import Generic, NamedTuple, TypeVar

from operators.folds.fold import Fold, FoldRow, RuledFold
from operators.folds.groups import Contributed
from operators.folds.owned import check_contribution, check_row, fields
from schemas.events import DeviceEvent, heard_at
from schemas.view_rows import ViewUpdate, device_partition

State = TypeVar("State")
_RowKey = tuple[str, str]

TIMES_AN_EVENT = 1 << 20
"""Versions of one event: it, and what became of its state by time alone: 119 years of hours."""
MOST_STEPS_AT_ONCE = 1_000_000
"""By time alone. A fold that wants to be woken more often before the next event is taken to be one that never ends."""
FORGOTTEN_ROWS_KEPT_S = 7 * 86_400
"""So long the rows of a device stay once it is forgotten."""
_TIMES = range(-(2**62), 2**62)


class Held(NamedTuple, Generic[State]):
    """What is kept of a device between two batches of its events."""

    state: State
    events: int
    """Folded so far."""
    times: int
    """How often time has moved the state on since the last of them."""
    last: int | None = None
    """When the device was last heard, in epoch milliseconds; None if it never was, or if it is forgotten."""

    @property
    def version(self) -> int:
        """Of the rows that this state shows. An event raises it above all that time made of the state before.

        A replay may find the last of a device's timers due that had not fired before, or the other way round: the
        rows that were written first then stand until the next event, or until time has come as far again.
        """
        return self.events * TIMES_AN_EVENT + min(self.times, TIMES_AN_EVENT - 1)


class Steps(Generic[State]):
    """The steps of one device since its state was read: `held` is where they lead, `updates` what they changed.

    A step that raises leaves all of it as nobody should use it: `operators.folds.taking` begins again without it.
    """

    def __init__(self, fold: Fold[State], key: str, held: Held[State] | None, retention_ms: int | None = None) -> None:
        self.name = fold.name
        self._fold = fold
        self._key = key
        self._retention_ms = retention_ms
        self.held = held or Held(fold.initial(key), 0, 0)
        self._partition = device_partition(key)
        self._shown: dict[_RowKey, FoldRow] | None = None
        self._changed: dict[_RowKey, ViewUpdate] = {}
        self.contributions: list[Contributed] = []
        """Of all steps, in their order."""

    def fold(self, event: DeviceEvent) -> None:
        """One more event, and before it all that was due by its own time where the fold goes by event time.

        Whether the device was silent is a matter of when it was heard: its clock may be years behind those of others.
        """
        heard = heard_at(event)
        self.be_silent_until(heard)
        if self._fold.clock == "event":
            self.advance(event.event_time)
        state, events, _, last = self.held
        last = heard if last is None else max(last, heard)
        self._step(Held(self._fold.evolve(state, event), events + 1, 0, last), event.event_time)

    def advance(self, time: int) -> None:
        """Take every step that is due at `time`, in epoch milliseconds of the fold's clock."""
        at, left = self.wake_at, MOST_STEPS_AT_ONCE
        while at is not None and at <= time:
            state, events, times, last = self.held
            self._step(Held(self._fold.on_time(state, at), events, times + 1, last), at)
            due, left = self.wake_at, left - 1
            if due is not None and due <= at:
                raise ValueError(f"{self._fold.name}.on_time leaves wake_at at {due}, which has come: {at}")
            if not left:
                raise ValueError(f"{self._fold.name}.wake_at was due {MOST_STEPS_AT_ONCE} times by {time}")
            at = due

    def judge(self) -> None:
        """Let the rules of a fold that has some be those that it goes by now."""
        state, events, times, last = self.held
        if isinstance(self._fold, RuledFold) and last is not None:
            judged = self._fold.judged(state)
            if judged is not state:
                self._step(Held(judged, events, times + 1, last), last)

    def be_silent_until(self, at: int) -> None:
        """Forget the device if `at` is so long after it was last heard as devices are remembered."""
        last = self.held.last
        if self._retention_ms is not None and last is not None and last + self._retention_ms <= at:
            self._forget(last + self._retention_ms)

    def _forget(self, at: int) -> None:
        """Its next event finds the state of the beginning; its rows go, but not before a late store has heard of it."""
        if self._fold.clock == "event":
            self.advance(at)
        state, events, times, last = self.held
        over = self._fold.forgotten(state, at)
        if over is not state:
            self._step(Held(over, events, times + 1, last), at)
        self.held = Held(self._fold.initial(self._key), events, times + 2, None)
        self._contribute(over, self.held.state, at)
        expires_at = at // 1_000 + FORGOTTEN_ROWS_KEPT_S
        for key, row in self._rows(over).items():
            if row.expires_at is None:
                self._change(key, row._replace(expires_at=expires_at))
        self._shown = {}

    @property
    def wake_at(self) -> int | None:
        due = self._fold.wake_at(self.held.state)
        if due is not None and (type(due) is not int or due not in _TIMES):
            raise TypeError(f"{self._fold.name}.wake_at is {due!r:.100}: it is a whole number of milliseconds, or None")
        return due

    def updates(self) -> Iterator[ViewUpdate]:
        """Each row that is not as it was before the first step, as it was last, with the version it then had."""
        yield from self._changed.values()

    def _step(self, held: Held[State], at: int) -> None:
        before, self.held = self.held, held
        self._contribute(before.state, held.state, at)
        if before.last is not None and self._fold.shows_the_same(before.state, held.state):
            return
        if self._shown is None:
            self._shown = self._rows(before.state) if before.last is not None else {}
        for key, row in self._rows(held.state).items():
            if self._shown.get(key) != row:
                self._change(key, row)
                self._shown[key] = row

    def _change(self, key: _RowKey, row: FoldRow) -> None:
        update = ViewUpdate(self.name, *key, self.held.version, fields(row.data), row.expires_at)
        check_row(self._key, update)
        self._changed[key] = update

    def _contribute(self, before: State, after: State, at: int) -> None:
        for made in self._fold.contributes(before, after):
            sent = Contributed.of(self.name, self._key, made, at)
            check_contribution(made.group, sent)
            self.contributions.append(sent)

    def _rows(self, state: State) -> dict["_RowKey", FoldRow]:
        return {(row.partition or self._partition, row.sort): row for row in self._fold.rows(state)}
