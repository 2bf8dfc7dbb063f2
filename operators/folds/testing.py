"""A fold in memory, with time under control: what the tests of a team's own fold are written with.

test = FoldTest(Odometer())
test.event(at=1_000, metrics={"km": 12.5})
assert test.rows["odometer"].data == {"km": 12.5}
"""

from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from telefold.operators.folds.fold import Fold, RuledFold, under_rules
from telefold.operators.folds.fold_run import FoldRun, Snapshot
from telefold.operators.folds.groups import MAX_FIELDS, GroupRow
from telefold.operators.folds.owned import NotOwned
from telefold.operators.folds.registry import check
from telefold.operators.folds.state_codec import StateCodec, StoredState
from telefold.schemas.events import ArrivedEvent
from telefold.schemas.rules import RuleChange
from telefold.schemas.view_rows import ViewUpdate, group_of

State = TypeVar("State")


class BrokenFold(AssertionError):
    """The fold does what a job cannot rely on; the message says what, and what is asked of it."""


class FoldTest(Generic[State]):
    """One device's events and hours, taken one by one, through the very steps that the job takes.

    After each of them the state is written and read again, so whatever a restart would lose is lost here.
    """

    def __init__(self, fold: Fold[State], device_id: str = "device-1") -> None:
        check(type(fold))
        self._fold = fold
        self._device_id = device_id
        self._kept = StateCodec(fold)
        self._held: Snapshot[State] | None = None
        self._sent = 0
        self.now = 0
        """The greatest time so far at which something was heard or time has come to, in epoch milliseconds."""
        self.rows: dict[str, ViewUpdate] = {}
        """The rows that a store would hold, by sort key."""
        self.group_rows: dict[str, dict[str, GroupRow]] = {}
        """The rows of groups, by group and sort key."""

    @property
    def state(self) -> State:
        return self._held.state if self._held else self._fold.initial(self._device_id)

    def event(
        self,
        type: str = "telemetry",  # noqa: A002 - as the event's field is named
        *,
        at: int | None = None,
        heard_at: int | None = None,
        metrics: Mapping[str, float] | None = None,
        attributes: Mapping[str, str] | None = None,
    ) -> None:
        """An event of the device, whose clock shows `at` and which is heard at `heard_at`, in epoch milliseconds.

        Where one of both is not given it is as the other, and without both it is the greatest time so far.
        """
        self._sent += 1
        if at is None:
            at = self.now if heard_at is None else heard_at
        event = ArrivedEvent(
            f"event-{self._sent}",
            self._device_id,
            type,
            at,
            self._sent,
            metrics or {},
            attributes or {},
            arrival=at if heard_at is None else heard_at,
        )
        steps = self._steps()
        before = steps.held.state
        once, again = self._fold.evolve(before, event), self._fold.evolve(before, event)
        if once != again:
            raise BrokenFold(
                f"evolve makes {once!r} and {again!r} of the same state and event: it must not ask a clock"
            )
        self._take(steps, lambda: steps.fold(event))
        self.now = max(self.now, at if heard_at is None else heard_at)

    def rules(self, *changes: RuleChange) -> None:
        """Set all changes of rules that are known to a `RuledFold` from now on; those of before among them."""
        assert isinstance(self._fold, RuledFold)
        self._fold = under_rules(self._fold, changes)
        steps = self._steps()
        self._take(steps, lambda: steps.judge(self.now))

    def advance_to(self, at: int) -> None:
        """The fold's clock, which goes by when events are heard, comes to `at` with no event."""
        steps = self._steps()
        self._take(steps, lambda: steps.advance(at))
        self.now = max(self.now, at)

    def forget(self) -> None:
        """The device has said nothing for as long as devices are remembered, `device.retention`."""
        steps = self._steps(retention_ms=0)
        self._take(steps, lambda: steps.be_silent_until(self.now))

    def _steps(self, retention_ms: int | None = None) -> FoldRun[State]:
        return FoldRun(self._fold, self._device_id, self._held, retention_ms)

    def _take(self, steps: FoldRun[State], step: Callable[[], None]) -> None:
        try:
            step()
            self.rows |= {update.sort: update for update in steps.updates()}
        except NotOwned as error:
            raise BrokenFold(str(error)) from error
        for made in steps.contributions:
            rows = self.group_rows.setdefault(group_of(made.partition), {})
            if not rows.setdefault(made.sort, GroupRow(self._fold.name)).take(made):
                raise BrokenFold(f"the row {made.sort} of a group has more than {MAX_FIELDS} fields: bound their names")
        self._held = self._after_a_restart(steps.held)

    def _after_a_restart(self, held: Snapshot[State]) -> Snapshot[State]:
        try:
            read = self._kept.read(self._kept.text(StoredState(held, None))).held
        except (TypeError, ValueError) as error:
            raise BrokenFold(f"the state cannot be written and read: {error}") from error
        if read != held:
            raise BrokenFold(f"the state {held.state!r} is {read.state!r} after a restart: give its fields their types")
        return read
