"""A fold taken on by events and by time, step by step, and the rows that changed on the way."""

from collections.abc import Iterator
from typing import Generic, NamedTuple, TypeVar

from telefold.operators.folds.fold import Fold, FoldRow, RuledFold
from telefold.operators.folds.groups import Contributed
from telefold.operators.folds.owned import check_contribution, check_row, fields
from telefold.schemas.events import DeviceEvent, heard_at, heard_no_earlier
from telefold.schemas.view_rows import BOTH, FAST, ViewUpdate, device_partition

State = TypeVar("State")
_RowKey = tuple[str, str]

TIMES_AN_EVENT = 1 << 20
"""Versions of one event: it, and what became of its state by time alone: 119 years of hours."""
MOST_STEPS_AT_ONCE = 1_000_000
"""The most steps by time alone: a fold that asks for more before the next event is taken to be one that never ends."""
FORGOTTEN_ROWS_KEPT_S = 7 * 86_400
"""How long the rows of a device stay once it is forgotten."""
_TIMES_END = 2**62


class Snapshot(NamedTuple, Generic[State]):
    """The state of a device between two batches of its events."""

    state: State
    events: int
    """How many events were folded so far."""
    times: int
    """How often time has moved the state on since the last event."""
    last: int | None = None
    """The greatest arrival of an event, in epoch milliseconds; None if there was none, or the device is forgotten."""

    @property
    def version(self) -> int:
        """The version of the rows that this state shows. An event raises it above all steps by time before it."""
        return self.events * TIMES_AN_EVENT + min(self.times, TIMES_AN_EVENT - 1)


class FoldRun(Generic[State]):
    """The steps of one device since its state was read: `held` is where they lead, `updates` what they changed.

    A step that raises leaves all of it as nobody should use it: `operators.folds.taking` begins again without it.
    """

    def __init__(
        self, fold: Fold[State], key: str, held: Snapshot[State] | None, retention_ms: int | None = None
    ) -> None:
        self.name = fold.name
        self._fold = fold
        self._ruled = fold if isinstance(fold, RuledFold) else None
        self._contributes = type(fold).contributes is not Fold.contributes
        self._has_caught_up = False
        self._key = key
        self._retention_ms = retention_ms
        self.held = held or Snapshot(fold.initial(key), 0, 0)
        self._partition = device_partition(key)
        self._shown: dict[_RowKey, FoldRow] | None = None
        self._changed: dict[_RowKey, ViewUpdate] = {}
        self.contributions: list[Contributed] = []
        """Contributions of all steps, in their order."""

    def fold(self, event: DeviceEvent) -> None:
        """One more event, and before it all that was due when it was heard, if the fold goes by arrivals.

        The device is heard no earlier than before: an arrival that is less than another one's is taken for that.
        """
        heard, last = heard_at(event), self.held.last
        if last is not None and heard < last:
            event, heard = heard_no_earlier(event, last), last
        if self._ruled is not None:
            self._catch_up(or_go_on=True)
        self.be_silent_until(heard)
        if self._fold.clock == "arrival":
            self._advance(heard)
        state, events, _, _ = self.held
        self._step(Snapshot(self._fold.evolve(state, event), events + 1, 0, heard), heard)

    def advance(self, time: int) -> None:
        """Take every step that is due at `time`, in epoch milliseconds of the fold's clock."""
        self._catch_up()
        self._advance(time)

    def _advance(self, time: int) -> None:
        at, left = self.wake_at, MOST_STEPS_AT_ONCE
        while at is not None and at <= time:
            state, events, times, last = self.held
            self._step(Snapshot(self._fold.on_time(state, at), events, times + 1, last), at)
            due, left = self.wake_at, left - 1
            if due is not None and due <= at:
                raise ValueError(f"{self._fold.name}.on_time leaves wake_at at {due}, which has come: {at}")
            if not left:
                raise ValueError(f"{self._fold.name}.wake_at was due {MOST_STEPS_AT_ONCE} times by {time}")
            at = due

    def judge(self, time: int) -> None:
        """Take every step that is due at `time`, the time of the log, since rules have come into force by then.

        A device that is to be forgotten by then is evaluated until that time, and not forgotten: its timer does that.
        """
        last = self.held.last
        if self._ruled is None or last is None:
            return
        if self._retention_ms is not None:
            time = min(time, last + self._retention_ms)
        if self._fold.clock != "arrival":
            self._catch_up()
            return
        self.advance(time)
        self.held = self.held._replace(state=self._ruled.looked_at(self.held.state, time))

    def _catch_up(self, or_go_on: bool = False) -> None:
        """Take a step of its own for rules that came later than they were in force: what they end has rows of its own.

        The step does not count where they change no row, and versions are those of a replay. An error of the
        fold is raised when rules come into force; an event is folded all the same, with `or_go_on`. One step is enough:
        all that follow go by these rules.
        """
        state, events, times, last = self.held
        if self._ruled is None or last is None or self._has_caught_up:
            return
        try:
            judged = self._ruled.judged(state)
        except Exception as error:
            if or_go_on and not isinstance(error, MemoryError):
                return
            raise
        self._has_caught_up = True
        if judged is not state:
            counts = not self._fold.shows_the_same(state, judged)
            self._step(Snapshot(judged, events, times + counts, last), last)

    def be_silent_until(self, at: int) -> None:
        """Forget the device if `at` is so long after it was last heard as devices are remembered."""
        last = self.held.last
        if self._retention_ms is not None and last is not None and last + self._retention_ms <= at:
            self._forget(last + self._retention_ms)

    def _forget(self, at: int) -> None:
        """Forget the device: its next event finds the initial state. Its rows go, but not before a late store knows."""
        if self._fold.clock == "arrival":
            self._advance(at)
        state, events, times, last = self.held
        over = self._fold.forgotten(state, at)
        if over is not state:
            self._step(Snapshot(over, events, times + 1, last), at)
        self.held = Snapshot(self._fold.initial(self._key), events, times + 2, None)
        self._contribute(over, self.held.state, at)
        expires_at = at // 1_000 + FORGOTTEN_ROWS_KEPT_S
        for key, row in self._rows(over).items():
            if row.expires_at is None:
                self._change(key, row._replace(expires_at=expires_at), at_once=True)
        self._shown = {}

    @property
    def wake_at(self) -> int | None:
        due = self._fold.wake_at(self.held.state)
        if due is not None and (type(due) is not int or not -_TIMES_END <= due < _TIMES_END):
            raise TypeError(f"{self._fold.name}.wake_at is {due!r:.100}: it is a whole number of milliseconds, or None")
        return due

    def updates(self) -> Iterator[ViewUpdate]:
        """Each row that is not as it was before the first step, as it was last, with the version it then had."""
        return iter(self._changed.values())

    def _step(self, held: Snapshot[State], at: int) -> None:
        before, self.held = self.held, held
        if self._contributes:
            self._contribute(before.state, held.state, at)
        if before.last is not None and self._fold.shows_the_same(before.state, held.state):
            return
        if self._shown is None:
            self._shown = self._rows(before.state) if before.last is not None else {}
        for key, row in self._rows(held.state).items():
            shown = self._shown.get(key)
            if shown != row:
                self._change(key, row, _is_awaited(shown, row))
                self._shown[key] = row

    def _change(self, key: _RowKey, row: FoldRow, at_once: bool) -> None:
        """Keep the last of several changes of a row; it is awaited if one of them is."""
        held = self._changed.get(key)
        to = BOTH if at_once or (held is not None and held.to == BOTH) else FAST
        update = ViewUpdate(self.name, *key, self.held.version, fields(row.data), row.expires_at, to=to)
        check_row(self._key, update)
        self._changed[key] = update

    def _contribute(self, before: State, after: State, at: int) -> None:
        for made in self._fold.contributes(before, after):
            sent = Contributed.of(self.name, self._key, made, at)
            check_contribution(made.group, sent)
            self.contributions.append(sent)

    def _rows(self, state: State) -> dict["_RowKey", FoldRow]:
        return {(row.partition or self._partition, row.sort): row for row in self._fold.rows(state)}


def _is_awaited(before: FoldRow | None, row: FoldRow) -> bool:
    """Whether a change of a row, or that it is new, is one that the durable store is to have at once."""
    if isinstance(row.at_once, bool):
        return row.at_once
    names = (row.at_once,) if isinstance(row.at_once, str) else row.at_once
    return before is None or any(before.data.get(name) != row.data.get(name) for name in names)
