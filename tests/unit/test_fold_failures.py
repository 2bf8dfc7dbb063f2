"""What a fold fails on is set aside, and everything else is as if that had not been."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.folds.fold import Contribution, Fold, FoldRow, RuledFold
from operators.folds.groups import Contributed
from operators.folds.kept import KeptFold, WrongCode
from operators.folds.owned import MAX_GROUP_BYTES, NotOwned, check_contribution, check_row
from operators.folds.steps import FORGOTTEN_ROWS_KEPT_S, TIMES_AN_EVENT
from operators.folds.taking import FORGOTTEN_STATE_KEPT_MS, Due, Judged, Silent, Taken, take
from operators.folds.testing import BrokenFold, FoldTest
from schemas.events import DeviceEvent
from schemas.rules import RuleChange
from schemas.view_rows import ViewUpdate

DAY_MS = 86_400_000
KEPT_MS = 90 * DAY_MS


class Count(msgspec.Struct, frozen=True):
    events: int = 0
    last: int = 0
    bad: Any = None
    seen: list[str] = []
    amount: float = 0.0
    name: str = ""
    value: Any = None
    number: int = 0


def _deep(depth: int) -> int:
    return _deep(depth + 1)


def _raise(error: Exception) -> Any:
    raise error


class _Hostile(Exception):
    def __str__(self) -> str:
        raise RuntimeError


BAD_STATES: dict[str, Callable[[], Any]] = {
    "state: huge number": lambda: {"number": 10**5_000},
    "state: not a number": lambda: {"amount": float("nan")},
    "state: unknown object": lambda: {"value": object()},
    "state: lone surrogate": lambda: {"name": "\ud800"},
    "state: of another type": lambda: {"name": 1},
    "state: raises": lambda: _raise(ValueError("no")),
    "state: recursion": lambda: _deep(0),
    "state: hostile": lambda: _raise(_Hostile()),
}
BAD_ROWS: dict[str, Callable[[str], Any]] = {
    "row: of another view": lambda _: FoldRow("latest#t", {"value": 1}),
    "row: of nobody": lambda _: FoldRow("count#x", {}, partition="telefold"),
    "row: of a group": lambda _: FoldRow("count", {}, partition="fleet#all"),
    "row: of another device": lambda _: FoldRow("count#x#other", {}, partition="counts"),
    "row: key too long": lambda _: FoldRow("count#" + "x" * 1_024, {}),
    "row: milliseconds": lambda _: FoldRow("count", {}, 1_767_225_600_000),
    "row: expires by a truth": lambda _: FoldRow("count", {}, True),
    "row: list": lambda _: FoldRow("count", {"a": [1]}),  # type: ignore[dict-item]
    "row: infinite": lambda _: FoldRow("count", {"a": float("inf")}),
    "row: beyond DynamoDB": lambda _: FoldRow("count", {"a": 1e200}),
    "row: just beyond DynamoDB": lambda _: FoldRow("count", {"a": 9.95e125}),
    "row: field without a name": lambda _: FoldRow("count", {"": 1}),
    "row: beyond 64 bits": lambda _: FoldRow("count", {"a": 2**64}),
    "row: lone surrogate": lambda _: FoldRow("count", {"a": "\ud800"}),
    "row: too large": lambda _: FoldRow("count", {"a": "x" * 450_000}),
    "row: field of no name": lambda _: FoldRow("count", {1: 1}),  # type: ignore[dict-item]
    "row: no data": lambda _: FoldRow("count", None),  # type: ignore[arg-type]
    "row: no row": lambda _: ("count", {}),
}
BAD_GROUPS: dict[str, Contribution] = {
    "group: empty": Contribution("", "count"),
    "group: long": Contribution("x" * (MAX_GROUP_BYTES + 1), "count"),
    "group: no text": Contribution(7, "count"),  # type: ignore[arg-type]
    "group: lone surrogate": Contribution("site#\ud800", "count"),
    "group: of another view": Contribution("all", "fleet"),
    "group: infinite": Contribution("all", "count", {"n": float("inf")}),
    "group: text": Contribution("all", "count", {"n": "1"}),  # type: ignore[dict-item]
    "group: high": Contribution("all", "count", high=float("nan")),
    "group: milliseconds": Contribution("all", "count", {"n": 1}, expires_at=1_767_225_600_000),
}
BAD_TIMES: dict[str, Any] = {"wake_at: text": "soon", "wake_at: float": 1.5, "wake_at: huge": 2**80}
KINDS = [*BAD_STATES, *BAD_ROWS, *BAD_GROUPS, *BAD_TIMES, "mutates and raises", "forgets its state"]


class Counting(Fold[Count]):
    """Counts events, and does what an event's type asks for."""

    name = "count"
    state = Count

    def initial(self, key: str) -> Count:
        return Count()

    def evolve(self, state: Count, event: DeviceEvent) -> Count:
        if event.type == "mutates and raises":
            state.seen.append("poison")
            raise KeyError
        if event.type == "forgets its state":
            return None  # type: ignore[return-value]
        bad = {"bad": event.type} if event.type not in BAD_STATES else BAD_STATES[event.type]()
        last, seen = max(state.last, event.event_time), [*state.seen, event.event_id][-3:]
        return msgspec.structs.replace(state, events=state.events + 1, last=last, seen=seen, **bad)

    def wake_at(self, state: Count) -> int | None:
        return BAD_TIMES.get(str(state.bad), state.last + 100 if state.bad == "rings" else None)

    def on_time(self, state: Count, at: int) -> Count:
        return msgspec.structs.replace(state, bad="rang")

    def rows(self, state: Count) -> Iterable[FoldRow]:
        yield FoldRow("count", {"events": state.events, "seen": " ".join(state.seen), "last": state.last})
        yield FoldRow("count#all#d", {"events": state.events}, partition="counts")
        if isinstance(state.bad, str) and state.bad in BAD_ROWS:
            yield BAD_ROWS[state.bad]("d")

    def contributes(self, before: Count, after: Count) -> Iterable[Contribution]:
        yield Contribution("all", "count", {"events": after.events - before.events})
        if isinstance(after.bad, str) and after.bad in BAD_GROUPS:
            yield BAD_GROUPS[after.bad]


def event(number: int, kind: str = "telemetry", at: int | None = None) -> DeviceEvent:
    return DeviceEvent(f"e{number}", "d", kind, number if at is None else at, number)


class Told:
    """What a job would have of a device after batches of events: state, rows and what went to groups."""

    def __init__(self, fold: Fold[Any] | None = None) -> None:
        self.fold = KeptFold(fold or Counting())
        self.text: str | None = None
        self.rows: dict[tuple[str, str], Any] = {}
        self.made: list[Contributed] = []
        self.failed: list[Any] = []

    @property
    def held(self) -> Any:
        return self.text and self.fold.read(self.text).held

    def take(self, *happened: Any) -> Taken[Any]:
        taken: Taken[Any] = take(self.fold, "d", self.text, happened, KEPT_MS)
        self.text = taken.text
        self.rows |= {(row.partition, row.sort): (row.version, row.data) for row in taken.updates}
        self.made += taken.contributions
        self.failed += [failure.happening for failure in taken.failures]
        return taken


@settings(max_examples=300)
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
    assert told.take(event(1, "rings")).armed == [("event", 101), ("event", 1 + KEPT_MS)]
    taken = told.take(Judged(), Due(101))
    assert ([failure.happening for failure in taken.failures], taken.armed) == ([Due(101)], [])
    assert taken.kept is not None
    assert (taken.kept.held.events, taken.kept.timer) == (1, None)


def test_a_fold_that_is_always_due_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("operators.folds.steps.MOST_STEPS_AT_ONCE", 1_000)
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
    told.take(Judged(), event(1))
    told.take(Judged(), event(2))
    assert told.failed == [Judged()]
    assert told.rows["device#d", "count"][1] == {"events": 2}


class Grown(Counting):
    state_version = 2
    upcasts = {1: lambda fields: {**fields, "events": fields["number"] + 1}}  # noqa: RUF012


OLDER = '[1,"event",4,0,6,106,%s,{"events":4,"last":6,"bad":"rings","number":%s}]'


def test_a_state_whose_upcast_fails_is_left_as_it_is_and_its_events_are_told() -> None:
    told = Told(Grown())
    told.text = OLDER % (KEPT_MS, '"many"')
    told.take(event(1), event(2))
    assert (len(told.failed), told.text) == (2, OLDER % (KEPT_MS, '"many"'))


def test_no_timer_is_lost_by_an_upcast_that_fails() -> None:
    told = Told(Grown())
    told.text = OLDER % (KEPT_MS, '"many"')
    taken = told.take(Judged(), Due(106))
    assert (told.failed, taken.armed) == ([Due(106)], [])
    taken = told.take(Judged(), Silent(KEPT_MS))
    assert (told.failed[1:], taken.armed) == ([Silent(KEPT_MS)], [("event", 2 * KEPT_MS)])
    assert told.fold.timers(told.text or "") == (None, 2 * KEPT_MS, False)
    mended = (told.text or "").replace('"many"', "3").replace('"rings"', "null")
    assert take(told.fold, "d", mended, [event(7, "rings")], KEPT_MS).armed == [("event", 107)]


@pytest.mark.parametrize("text", ['[2,"event",4,0,6,null,null,{}]', '[1,"event",4,0,6,null,null,{"events":"many"}]'])
def test_what_no_device_can_be_read_by_ends_the_job(text: str) -> None:
    with pytest.raises(WrongCode):
        take(KeptFold(Counting()), "d", text, [event(1)], KEPT_MS)


def test_a_device_that_says_nothing_is_forgotten_with_its_rows() -> None:
    told = Told()
    taken = told.take(event(1), event(2))
    assert taken.armed == [("event", 2 + KEPT_MS)]
    taken = told.take(Judged(), Silent(2 + KEPT_MS))
    expires_at = (2 + KEPT_MS) // 1_000 + FORGOTTEN_ROWS_KEPT_S
    assert {(row.sort, row.expires_at) for row in taken.updates} == {("count", expires_at), ("count#all#d", expires_at)}
    assert sum(one.add["events"] for one in told.made) == 0
    assert taken.armed == [("event", 2 + KEPT_MS + FORGOTTEN_STATE_KEPT_MS)]
    assert told.fold.timers(told.text or "") == (None, 2 + KEPT_MS + FORGOTTEN_STATE_KEPT_MS, True)


@pytest.mark.parametrize("by_timer", [True, False])
def test_a_device_that_comes_back_begins_anew_whether_its_timer_fired_or_not(by_timer: bool) -> None:
    told = Told()
    told.take(event(1))
    version = told.rows["device#d", "count"][0]
    if by_timer:
        told.take(Judged(), Silent(1 + KEPT_MS))
    told.take(event(2, at=1 + KEPT_MS))
    assert told.rows["device#d", "count"] == (2 * TIMES_AN_EVENT, {"events": 1, "seen": "e2", "last": 1 + KEPT_MS})
    assert told.rows["device#d", "count"][0] > version


def test_a_device_that_reports_is_not_forgotten() -> None:
    told = Told()
    told.take(event(1))
    told.take(event(2, at=50 * DAY_MS))
    taken = told.take(Judged(), Silent(1 + KEPT_MS))
    assert (taken.updates, taken.armed) == ([], [("event", 50 * DAY_MS + KEPT_MS)])


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


def test_the_harness_forgets_a_device() -> None:
    test = FoldTest(Counting(), "d")
    test.event(at=1_000)
    test.forget()
    assert test.rows["count"].expires_at == 1 + FORGOTTEN_ROWS_KEPT_S
    test.event(at=2_000)
    assert test.rows["count"].data["events"] == 1
