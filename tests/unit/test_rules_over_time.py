"""Devices judged while rules come are judged as in a replay that knows all of them: rows, versions, messages."""

from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import event as noted
from hypothesis import given
from hypothesis import strategies as st

from telefold.operators.alerts.rules import RuleSet
from telefold.operators.folds.alert import ACKNOWLEDGED, Alerts
from telefold.operators.folds.state_codec import StateCodec
from telefold.operators.folds.taking import Due, Happening, Judged, Silent, take
from telefold.schemas.alerts import AlertTransition, transitions
from telefold.schemas.events import ArrivedEvent
from telefold.schemas.rules import RULES_SETTLE_MS, RuleChange
from telefold.schemas.view_rows import ViewUpdate
from tests.support.examples import examples

S = 1_000
START = 1_000 * S
CONDITIONS = [
    None,
    "t > 0",
    "t > 2 until < -1",
    "t < 0 for 3s",
    "t > 0 for 2s quiet for 4s",
    "t > 1 until < 1 quiet for 3s",
    "rate(t) > 1/s",
    "rate(u) > 1/s for 2s",
    "increase(t) > 4 over 10s",
    "increase(t) < 1 over 10s for 2s",
    "increase(u) > 2 over 5s until < 1 quiet for 2s",
    "stale() > 4s",
    "stale(t) > 3s for 2s",
    "stale(u) > 6s",
    't > 0 where site = "a"',
    'stale() > 3s where site = "b"',
    "t >",
]
SEVERITIES = ["info", "critical"]


@st.composite
def changes(draw: st.DrawFn) -> list[RuleChange]:
    """Rules put, changed and deleted, some of them at one time, some before the device was ever heard."""
    made = {}
    for _ in range(draw(st.integers(1, 8))):
        version = START - RULES_SETTLE_MS + draw(st.integers(-5, 60)) * S + draw(st.sampled_from([0, 0, 1, 500]))
        name, condition = draw(st.sampled_from("ab")), draw(st.sampled_from(CONDITIONS))
        made[name, version] = RuleChange(name, version, condition, draw(st.sampled_from(SEVERITIES)))
    return sorted(made.values(), key=lambda one: one.version)


@st.composite
def logs(draw: st.DrawFn) -> list[ArrivedEvent]:
    """In the order of the shard: clocks ahead, behind and jumping, backlogs, silences, ties with other sequences."""
    made: list[ArrivedEvent] = []
    arrival, shift = START, draw(st.sampled_from([0, 0, 0, 9, -9])) * S
    for number in range(draw(st.integers(1, 16))):
        arrival += draw(st.sampled_from([0, 0, 1, 999, S, S, 2 * S, 3 * S, 7 * S, 20 * S, -S]))
        shift = draw(st.sampled_from([shift, shift, shift, shift, 9 * S, -9 * S, 0]))
        at = arrival + shift
        if made and draw(st.integers(0, 4)) == 0:
            at = made[-1].event_time + draw(st.sampled_from([0, 0, S, 2 * S]))  # of a backlog, or a tie
        kind = draw(st.sampled_from(["telemetry"] * 12 + ["registered", "registered", "retired", ACKNOWLEDGED]))
        metrics = {name: float(draw(st.integers(-3, 3))) for name in draw(st.sets(st.sampled_from("tu"), max_size=2))}
        site = draw(st.sampled_from([None, None, None, "a", "b"]))
        attributes = {"site": site} if site else {}
        if kind == ACKNOWLEDGED:
            metrics, attributes = {}, {"rule": draw(st.sampled_from("ab")), "by": "ada"}
        made.append(
            ArrivedEvent(
                f"e{number}",
                "d",
                kind,
                at,
                draw(st.sampled_from([number, -number])),
                metrics,
                attributes,
                arrival=arrival,
            )
        )
    return made


class Task:
    """One device in a task: its state between batches, all that was written of it, and what came of timers."""

    def __init__(self, retention_ms: int | None, known: Sequence[RuleChange] = ()) -> None:
        self.go_by(known)
        self._retention_ms = retention_ms
        self.text: str | None = None
        self.rows: dict[tuple[str, str], ViewUpdate] = {}
        self.told: dict[str, AlertTransition] = {}
        self.timers: set[int] = set()

    def go_by(self, known: Sequence[RuleChange]) -> None:
        self._kept = StateCodec(Alerts(RuleSet(known)))

    def take(self, *happened: Happening) -> None:
        taken = take(self._kept, "d", self.text, happened, self._retention_ms)
        assert not taken.failures, taken.failures[0].error
        self.text = taken.text
        self.timers |= {at for _, at in taken.armed}
        for update in taken.updates:
            row = (update.partition, update.sort)
            assert row not in self.rows or self.rows[row].version < update.version
            self.rows[row] = update
            for one in transitions(update):
                assert self.told.setdefault(one.id, one) == one

    @property
    def held(self) -> Any:
        return None if self.text is None else self._kept.read(self.text).held

    def fire(self, timer: int) -> None:
        """What the timer was set for, if it still is."""
        self.timers.discard(timer)
        if self.text is None:
            return
        due, end, is_forgotten = self._kept.timers(self.text)
        if due == timer:
            self.take(Due(timer))
        if end == timer and not is_forgotten:
            self.take(Silent(timer))

    def poke(self, at: int) -> None:
        if self.text is not None:
            self.take(Judged(at))


def live(
    log: Sequence[ArrivedEvent], known: Sequence[RuleChange], end: int, retention_ms: int | None, chance: Random
) -> Task:
    """Rules come to the task when they are put or later, but before they are in force; time goes in steps of any size,
    and passes only when no event of before is waiting. Timers fire before it is judged by rules, or after."""
    task, waiting, time = Task(retention_ms), list(log), START - 10 * S
    told, poked, heard = 0, set[int](), START - 10 * S
    while time < end:
        time = min(end, time + chance.choice([S // 2, S, S, 3 * S, 30 * S]))
        if (coming := sum(one.in_force_at <= time for one in known)) > told:
            told = coming + chance.randint(0, 1)
            task.go_by(known[:told])
        batch = list[ArrivedEvent]()
        while waiting and max(heard, waiting[0].arrival or 0) <= time:
            heard = max(heard, waiting[0].arrival or 0)
            batch.append(waiting.pop(0))
        while batch:
            size = chance.randint(1, 4)
            task.take(*batch[:size])
            batch = batch[size:]
        pokes = {one.in_force_at for one in known[:told] if one.in_force_at <= time}
        is_first = chance.random() < 0.5
        if is_first and pokes - poked:
            task.poke(time)
        while (timer := min(task.timers, default=end + 1)) <= time:
            task.fire(timer)
        if not is_first and pokes - poked:
            task.poke(time)
        poked |= pokes
    return task


def replayed(log: Sequence[ArrivedEvent], known: Sequence[RuleChange], end: int, retention_ms: int | None) -> Task:
    """All rules known from the start, all events at once, and of time only the end."""
    task = Task(retention_ms, known)
    task.take(*log, Judged(end))
    while (timer := min(task.timers, default=end + 1)) <= end:
        task.fire(timer)
    return task


@pytest.mark.parametrize("retention_ms", [None, 15 * S])
@examples(250)
@given(known=changes(), log=logs(), silence_s=st.integers(0, 40), chance=st.randoms(use_true_random=False))
def test_judging_live_is_judging_in_a_replay(
    retention_ms: int | None, known: list[RuleChange], log: list[ArrivedEvent], silence_s: int, chance: Random
) -> None:
    end = max(one.arrival or 0 for one in log) + silence_s * S
    now, again = live(log, known, end, retention_ms, chance), replayed(log, known, end, retention_ms)
    noted(f"{len(again.told)} transitions")
    assert now.rows == again.rows
    assert now.held.state.alerts == again.held.state.alerts
    assert now.told == again.told
