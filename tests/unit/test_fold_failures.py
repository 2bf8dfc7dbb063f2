"""What a fold fails on is set aside, and everything else is as if that had not been."""

from collections.abc import Iterable, Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telefold.operators.folds.fold import Contribution, FoldRow, RuledFold
from telefold.operators.folds.groups import Contributed
from telefold.operators.folds.owned import MAX_GROUP_BYTES, NotOwned, check_contribution, check_row
from telefold.operators.folds.state_codec import StateCodec, WrongCode
from telefold.operators.folds.taking import Due, Judged, Silent, take
from telefold.operators.folds.testing import BrokenFold, FoldTest
from telefold.schemas.events import DeviceEvent
from telefold.schemas.rules import RuleChange
from telefold.schemas.view_rows import ViewUpdate
from tests.support.examples import examples
from tests.support.failing_fold import DAY_MS, KEPT_MS, KINDS, Count, Counting, Told, event


@examples(300)
@given(
    st.lists(st.sampled_from(["telemetry", "rings", "telemetry", *KINDS]), max_size=12),
    st.lists(st.integers(1, 5), max_size=6),
)
def test_all_else_is_as_if_what_a_fold_fails_on_had_not_been(kinds: list[str], sizes: list[int]) -> None:
    events = [event(number, kind) for number, kind in enumerate(kinds)]
    good = [one for one in events if one.type not in KINDS]
    poisoned, calm = Told(), Told()
    for batch in _batches(events, sizes):
        poisoned.take(*batch)
        if batch_good := [one for one in batch if one in good]:
            calm.take(*batch_good)
    assert poisoned.failed == [one for one in events if one.type in KINDS]
    assert (poisoned.held, poisoned.rows, poisoned.made) == (calm.held, calm.rows, calm.made)


def _batches(events: Sequence[DeviceEvent], sizes: Sequence[int]) -> Iterable[Sequence[DeviceEvent]]:
    rest = list(events)
    for size in (*sizes, len(events)):
        if rest[:size]:
            yield rest[:size]
        rest = rest[size:]


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_failure_is_told_with_its_event(kind: str) -> None:
    told = Told()
    told.take(event(1), event(2, kind), event(3))
    assert [one.type for one in told.failed] == [kind]
    assert told.rows["device#d", "count"][1]["seen"] == "e1 e3"


class Stuck(Counting):
    def on_time(self, state: Count, at: int) -> Count:
        raise RuntimeError("never")


class Restless(Counting):
    def wake_at(self, state: Count) -> int | None:
        return state.last + 1 if state.events else None

    def on_time(self, state: Count, at: int) -> Count:
        return msgspec.structs.replace(state, last=at)


def test_a_fold_that_fails_by_time_alone_is_told_once_and_not_woken_again_for_it() -> None:
    told = Told(Stuck())
    assert told.take(event(1, "rings")).armed == [("arrival", 101), ("arrival", 1 + KEPT_MS)]
    taken = told.take(Judged(1), Due(101))
    assert ([failure.happening for failure in taken.failures], taken.armed) == ([Due(101)], [])
    assert taken.kept is not None
    assert (taken.kept.held.events, taken.kept.timer) == (1, None)


def test_a_fold_that_is_always_due_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("telefold.operators.folds.fold_run.MOST_STEPS_AT_ONCE", 1_000)
    told = Told(Restless())
    told.take(event(1))
    told.take(event(2, at=DAY_MS), event(3, at=500))
    assert [one.event_id for one in told.failed] == ["e2"]


class Judging(RuledFold[Count]):
    name = "count"
    state = Count

    def initial(self, key: str) -> Count:
        return Count()

    def evolve(self, state: Count, event: DeviceEvent) -> Count:
        return Count(state.events + 1)

    def rows(self, state: Count) -> Iterable[FoldRow]:
        yield FoldRow("count", {"events": state.events})

    def under(self, changes: Iterable[RuleChange]) -> "Judging":
        return self

    def judged(self, state: Count) -> Count:
        raise RuntimeError("never")


def test_a_fold_that_cannot_judge_is_told_and_folds_on() -> None:
    told = Told(Judging())
    told.take(Judged(1), event(1))
    told.take(Judged(1), event(2))
    assert told.failed == [Judged(1)]
    assert told.rows["device#d", "count"][1] == {"events": 2}


class Grown(Counting):
    state_version = 2
    upcasts = {1: lambda fields: {**fields, "events": fields["number"] + 1}}  # noqa: RUF012


OLDER = '[1,"arrival",4,0,6,106,%s,{"events":4,"last":6,"bad":"rings","number":%s}]'


def test_a_state_whose_upcast_fails_is_left_as_it_is_and_its_events_are_told() -> None:
    told = Told(Grown())
    told.text = OLDER % (KEPT_MS, '"many"')
    told.take(event(1), event(2))
    assert (len(told.failed), told.text) == (2, OLDER % (KEPT_MS, '"many"'))


def test_no_timer_is_lost_by_an_upcast_that_fails() -> None:
    told = Told(Grown())
    told.text = OLDER % (KEPT_MS, '"many"')
    taken = told.take(Judged(1), Due(106))
    assert (told.failed, taken.armed) == ([Due(106)], [])
    taken = told.take(Judged(1), Silent(KEPT_MS))
    assert (told.failed[1:], taken.armed) == ([Silent(KEPT_MS)], [("arrival", 2 * KEPT_MS)])
    assert told.fold.timers(told.text or "") == (None, 2 * KEPT_MS, False)
    mended = (told.text or "").replace('"many"', "3").replace('"rings"', "null")
    armed = take(told.fold, "d", mended, [event(7, "rings")], KEPT_MS).armed
    assert armed == [("arrival", 107), ("arrival", 7 + KEPT_MS)]


@pytest.mark.parametrize(
    "text", ['[2,"arrival",4,0,6,null,null,{}]', '[1,"arrival",4,0,6,null,null,{"events":"many"}]']
)
def test_what_no_device_can_be_read_by_ends_the_job(text: str) -> None:
    with pytest.raises(WrongCode):
        take(StateCodec(Counting()), "d", text, [event(1)], KEPT_MS)


@pytest.mark.parametrize("row", [FoldRow(f"count#{middle}#a#b", {}, partition="counts") for middle in ("x", "é", " ")])
def test_a_row_beside_others_tells_whose_it_is(row: FoldRow) -> None:
    update = ViewUpdate("count", str(row.partition), row.sort, 1, row.data)
    check_row("a#b", update)
    with pytest.raises(NotOwned, match="there it must be"):
        check_row("b", update)


@pytest.mark.parametrize("group", ["all", "site#a#b", "site#x\ty\n", "site#", "x" * MAX_GROUP_BYTES])
def test_a_group_may_have_any_name_that_fits_a_key(group: str) -> None:
    made = Contribution(group, "fleet", {"devices": 1})
    check_contribution(group, Contributed.of("fleet", "d", made, 1))


def test_a_row_may_be_as_large_as_the_stores_keep_it() -> None:
    check_row("d", ViewUpdate("count", "device#d", "count", 1, {"a": "x" * 400_000}))


def test_the_harness_refuses_milliseconds_where_seconds_are_asked_for() -> None:
    with pytest.raises(BrokenFold, match="whole number of seconds since 1970, not of milliseconds"):
        FoldTest(Counting()).event(at=1, type="row: milliseconds")
