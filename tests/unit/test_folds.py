"""The steps of a fold, its state as text, and what the harness shows of it."""

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telefold.operators.folds.fold import Fold, FoldRow
from telefold.operators.folds.fold_run import TIMES_AN_EVENT, FoldRun, Snapshot
from telefold.operators.folds.state_codec import MissingUpcast, NewerState, StateCodec, StoredState
from telefold.operators.folds.testing import BrokenFold, FoldTest
from telefold.schemas.events import ArrivedEvent, DeviceEvent, heard_at
from tests.support.bell import Bell, Countdown
from tests.support.folds import fold_in_batches


def event(at: int, **fields: Any) -> DeviceEvent:
    return DeviceEvent(f"e{at}", "d", "telemetry", at, at, **fields)


def test_what_is_due_when_an_event_is_heard_comes_before_it() -> None:
    steps = FoldRun(Bell(), "d", None)
    steps.fold(event(0))
    steps.fold(event(9))
    assert steps.held.state.bells == 0
    steps.fold(event(100))
    assert [(row.sort, row.version) for row in steps.updates()] == [
        ("bell", 3 * TIMES_AN_EVENT),
        ("bell#1", TIMES_AN_EVENT),
        ("bell#2", 2 * TIMES_AN_EVENT),
        ("bell#3", 3 * TIMES_AN_EVENT),
    ]


class Ear(Bell):
    """Rings by when its device is heard, and keeps that."""

    def evolve(self, state: Countdown, event: DeviceEvent) -> Countdown:
        return Countdown(heard_at(event), state.events + 1, 0)


def test_a_device_is_heard_when_its_event_arrives_and_never_before_an_earlier_one() -> None:
    steps = FoldRun(Ear(), "d", None)
    for at, arrival, expected in ((500, 100, 100), (50, 105, 105), (700, 90, 105), (20, 110, 110)):
        steps.fold(ArrivedEvent(f"e{arrival}", "d", "telemetry", at, 1, arrival=arrival))
        assert (steps.held.state.last, steps.held.last, steps.held.state.bells) == (expected, expected, 0)


def test_time_alone_moves_a_state_on_below_the_version_of_the_next_event() -> None:
    steps = FoldRun(Bell(), "d", None)
    steps.fold(event(0))
    steps.advance(25)
    steps.advance(25)
    assert steps.held == Snapshot(Countdown(0, 1, 2), events=1, times=2, last=0)
    assert next(steps.updates()).version == TIMES_AN_EVENT + 2


def test_a_version_grows_with_every_step_of_a_long_silence() -> None:
    assert Snapshot(Countdown(), 1, 20_000).version > Snapshot(Countdown(), 1, 19_999).version
    assert Snapshot(Countdown(), 2, 0).version > Snapshot(Countdown(), 1, 2 * TIMES_AN_EVENT).version


def test_only_rows_that_changed_are_written() -> None:
    first = FoldRun(Bell(), "d", None)
    first.fold(event(0))
    second = FoldRun(Bell(), "d", first.held)
    assert list(second.updates()) == []
    second.fold(event(5))
    assert [row.sort for row in second.updates()] == ["bell#2"]


def test_a_fold_that_does_not_move_its_time_is_stopped() -> None:
    class Stuck(Bell):
        def on_time(self, state: Countdown, at: int) -> Countdown:
            return state

    steps = FoldRun(Stuck(), "d", None)
    steps.fold(event(0))
    with pytest.raises(ValueError, match=r"bell.on_time leaves wake_at at 10"):
        steps.advance(10)


@given(st.lists(st.integers(0, 120), max_size=12), st.lists(st.integers(0, 5), max_size=6), st.integers(0, 200))
def test_batches_and_restarts_change_nothing(times: list[int], sizes: list[int], end: int) -> None:
    events = [event(at) for at in times]
    rows, versions, held = fold_in_batches(Bell(), events, sizes, end)
    all_rows, _, all_held = fold_in_batches(Bell(), events, [], end)
    assert (rows, held) == (all_rows, all_held)
    assert all(version <= held.version for version in versions)


@given(st.lists(st.integers(0, 100), max_size=8).map(sorted), st.lists(st.integers(0, 100), max_size=8))
def test_a_watermark_that_no_event_is_behind_changes_no_row(times: list[int], marks: list[int]) -> None:
    """As when the same log is read once as it comes, with timers, and once as fast as it goes."""
    slow = FoldRun(Bell(), "d", None)
    for index, at in enumerate(times):
        slow.fold(event(at))
        following = times[index + 1] if index + 1 < len(times) else 200
        for mark in sorted(mark for mark in marks if at <= mark <= following):
            slow.advance(mark)
    slow.advance(200)
    fast = FoldRun(Bell(), "d", None)
    for at in times:
        fast.fold(event(at))
    fast.advance(200)
    assert slow.held == fast.held
    assert list(slow.updates()) == list(fast.updates())


class CountdownOfYore(msgspec.Struct, frozen=True):
    last_s: int = 0
    events: int = 0


class BellOfYore(Fold[CountdownOfYore]):
    name = "bell"
    state = CountdownOfYore

    def initial(self, key: str) -> CountdownOfYore:
        return CountdownOfYore()

    def evolve(self, state: CountdownOfYore, event: DeviceEvent) -> CountdownOfYore:
        return state

    def rows(self, state: CountdownOfYore) -> Iterable[FoldRow]:
        return ()


class BellOfToday(Bell):
    state_version = 3
    upcasts = {  # noqa: RUF012 - as a team would write it
        1: lambda fields: {"last": fields["last_s"] * 1_000, "events": fields["events"]},
        2: lambda fields: {**fields, "bells": 2},
    }


def test_a_state_of_an_older_version_is_upcast() -> None:
    text = StateCodec(BellOfYore()).text(StoredState(Snapshot(CountdownOfYore(7, 4), 4, 1, 6), 99))
    assert text == '[1,"arrival",4,1,6,99,null,{"last_s":7,"events":4}]'
    assert StateCodec(BellOfToday()).read(text) == (Snapshot(Countdown(7_000, 4, 2), 4, 1, 6), 99, None)


def test_a_timer_of_another_clock_is_forgotten() -> None:
    class Alarm(Bell):
        clock = "processing"

    text = StateCodec(Bell()).text(StoredState(Snapshot(Countdown(7), 1, 0), 17))
    assert StateCodec(Bell()).read(text).timer == 17
    assert StateCodec(Bell()).read(text.replace("arrival", "event")).timer is None
    assert StateCodec(Alarm()).read(text) == (Snapshot(Countdown(7), 1, 0), None, None)


def test_a_state_of_a_newer_version_is_refused() -> None:
    text = StateCodec(BellOfToday()).text(StoredState(Snapshot(Countdown(), 1, 0), None))
    with pytest.raises(NewerState, match="the state of bell has version 3, this code reads up to 1"):
        StateCodec(Bell()).read(text)


def test_a_missing_upcast_is_named() -> None:
    class Hasty(BellOfToday):
        upcasts = {1: BellOfToday.upcasts[1]}  # noqa: RUF012

    text = StateCodec(BellOfYore()).text(StoredState(Snapshot(CountdownOfYore(7, 4), 4, 1), None))
    with pytest.raises(MissingUpcast, match=r"bell.upcasts has no step from version 2 of the state to 3.*rebuild"):
        StateCodec(Hasty()).read(text)


def test_the_harness_shows_what_a_store_would_hold() -> None:
    test = FoldTest(Bell())
    test.event(at=100)
    test.advance_to(115)
    assert test.rows["bell"].data == {"bells": 1}
    assert test.rows["bell"].version == TIMES_AN_EVENT + 1
    test.event()
    assert test.now == 115
    assert test.rows["bell#2"].data == {"last": 115}
    assert test.state == Countdown(115, 2, 0)


def test_the_harness_has_a_clock_for_the_device_and_one_for_when_it_is_heard() -> None:
    test = FoldTest(Ear())
    test.event(at=900, heard_at=100)
    test.event(at=5)
    assert (test.state.last, test.now) == (100, 100)
    test.event(heard_at=107)
    assert (test.state, test.now) == (Countdown(107, 3, 0), 107)
    test.advance_to(117)
    assert test.state.bells == 1


def test_the_harness_finds_folds_that_a_job_cannot_rely_on() -> None:
    class Clock(Bell):
        asked = 0

        def evolve(self, state: Countdown, event: DeviceEvent) -> Countdown:
            Clock.asked += 1
            return Countdown(Clock.asked)

    class Stray(Bell):
        def rows(self, state: Countdown) -> Iterable[FoldRow]:
            return (FoldRow("other", {}),)

    class Forgetful(msgspec.Struct, frozen=True):
        last: Any = None

    class Untyped(Bell):
        state = Forgetful  # type: ignore[assignment]  # another state than the fold that it is made of

        def evolve(self, state: Any, event: DeviceEvent) -> Any:
            return Forgetful((1, 2))

        def wake_at(self, state: Any) -> None:
            return None

        def rows(self, state: Any) -> Iterable[FoldRow]:
            return ()

    class Listed(Bell):
        def rows(self, state: Countdown) -> Iterable[FoldRow]:
            return (FoldRow("bell", {"all": [1]}),)  # type: ignore[dict-item]  # what is found

    for fold, why in (
        (Clock(), "it must not ask a clock"),
        (Stray(), "it must be bell, or begin with bell#"),
        (Untyped(), "give its fields their types"),
        (Listed(), "is of type list: values are numbers, texts, true or false"),
    ):
        with pytest.raises(BrokenFold, match=why):
            FoldTest(fold).event(at=1)
