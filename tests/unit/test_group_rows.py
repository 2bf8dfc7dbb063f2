"""What devices contribute to groups, on its way there and when it has come."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from telefold.operators.flink.group_function import GroupFunction
from telefold.operators.folds.fold import Contribution
from telefold.operators.folds.groups import EMPTY_KEPT_S, ENDED_KEPT_MS, Contributed, GroupRow, take_all
from telefold.schemas.view_rows import ViewUpdate


def test_a_contribution_is_the_same_after_its_way() -> None:
    for made in (Contribution("all", "s", {"n": 1}), Contribution("all", "s", high=2.5, expires_at=3)):
        sent = Contributed.of("view", "d", made, 7)
        assert msgspec.json.decode(msgspec.json.encode(sent), type=Contributed) == sent


def test_rows_go_on_from_where_they_were() -> None:
    kept = GroupRow("view", 4, {"n": 2}, {}, None)
    rows: dict[str, GroupRow] = {}
    made = [
        Contributed("p", "view", "d", "old", {"n": 1}, None, None, 9),
        Contributed("p", "view", "d", "new", {"n": -1}, None, None, 9),
    ]
    take_all(rows, made, lambda sort: kept if sort == "old" else None)
    assert {sort: (row.changes, row.sums) for sort, row in rows.items()} == {
        "old": (5, {"n": 3}),
        "new": (1, {"n": -1}),
    }


def test_the_first_row_of_a_group_is_found_among_all_groups_too() -> None:
    row = GroupRow("fleet", 1, {"devices": 2})
    places = [(one.partition, one.sort) for one in row.updates("fleet#site#a#b", "fleet")]
    assert places == [("fleet#site#a#b", "fleet"), ("fleets", "fleet#site#a#b")]
    assert [one.sort for one in row.updates("fleet#all", "fleet#active#1h#x")] == ["fleet#active#1h#x"]


def test_a_row_of_a_group_that_everybody_has_left_ends() -> None:
    row = GroupRow("fleet")
    row.take(Contributed("p", "fleet", "d", "fleet", {"devices": 1, "online": 1}, None, None, 5_000))
    assert row.ends_at is None
    row.take(Contributed("p", "fleet", "d", "fleet", {"devices": -1, "online": -1}, None, None, 7_000))
    assert [one.expires_at for one in row.updates("fleet#site#a", "fleet")] == [7 + EMPTY_KEPT_S] * 2
    row.take(Contributed("p", "fleet", "e", "fleet", {"devices": 1}, None, None, 6_000))
    assert row.ends_at is None


def test_a_row_that_begins_anew_begins_above_the_versions_that_it_had() -> None:
    before, after = GroupRow("fleet"), GroupRow("fleet")
    for _ in range(1_000):
        before.take(Contributed("p", "fleet", "d", "fleet", {"devices": 1}, None, None, 5_000))
    after.take(Contributed("p", "fleet", "d", "fleet", {"devices": 1}, None, None, 5_000 + EMPTY_KEPT_S * 1_000))
    assert after.version > before.version


@given(st.integers(0, 5_000), st.integers(0, 9_000))
def test_no_row_begins_at_a_version_of_one_that_ended(changes: int, at: int) -> None:
    before = GroupRow("fleet", changes, latest=9_000)
    rows: dict[str, GroupRow] = {}
    take_all(rows, [Contributed("p", "fleet", "d", "fleet", {}, None, None, at)], lambda sort: None, before.floor)
    assert rows["fleet"].version > before.version


@given(st.lists(st.integers(1, 9) | st.none(), min_size=1))
def test_a_row_stays_as_long_as_any_contribution_to_it_asks_for(expiries: list[int | None]) -> None:
    row = GroupRow("fleet")
    for expires_at in expiries:
        row.take(Contributed("p", "fleet", "d", "fleet", {"n": 1}, None, expires_at, 1))
    assert row.ends_at == (None if None in expiries else max(one for one in expiries if one is not None))


class Task:
    """A `GroupFunction` with what Flink would give it, of one group."""

    def __init__(self) -> None:
        self._timers: set[int] = set()
        self._states: list[dict[str, str]] = []
        self._function = GroupFunction()
        self._function.open(self)

    def take(self, made: Contributed) -> ViewUpdate:
        ((_, lines),) = self._function.process_element(msgspec.json.encode(made).decode(), self)
        (update,) = msgspec.json.Decoder(ViewUpdate).decode_lines(lines)
        return update

    def pass_watermark(self, at: int) -> None:
        while due := sorted(timer for timer in self._timers if timer <= at):
            self._timers.remove(due[0])
            assert not list(self._function.on_timer(due[0], self))

    def is_empty(self) -> bool:
        return not any(self._states) and not self._timers

    def get_map_state(self, descriptor: Any) -> "State":
        return self.get_state(descriptor)

    def get_state(self, descriptor: Any) -> "State":
        self._states.append(state := State())
        return state

    def get_current_key(self) -> str:
        return "fleet#all"

    def timer_service(self) -> "Task":
        return self

    def register_event_time_timer(self, at: int) -> None:
        self._timers.add(at)

    def get_metrics_group(self) -> "Task":
        return self

    def add_group(self, *names: str) -> "Task":
        return self

    def counter(self, name: str) -> "Task":
        return self

    def inc(self, by: int = 1) -> None: ...


class State(dict[str, str]):
    """Of a map or of one value, as Flink has them."""

    def put(self, key: str, value: str) -> None:
        self[key] = value

    def remove(self, key: str) -> None:
        del self[key]

    def value(self) -> str | None:
        return self.get("")

    def update(self, text: str) -> None:  # type: ignore[override]  # as Flink names it
        self[""] = text


def test_a_row_that_ended_goes_on_above_its_versions_whatever_comes_late() -> None:
    task = Task()
    before = task.take(Contributed("fleet#all", "fleet", "d", "fleet#hour", {"n": 1}, None, 7_200, 5_000_000))
    task.pass_watermark(7_200_000)
    late = task.take(Contributed("fleet#all", "fleet", "e", "fleet#hour", {"n": 1}, None, 7_200, 3_000_000))
    assert late.version > before.version
    task.pass_watermark(7_200_000)
    again = task.take(Contributed("fleet#all", "fleet", "f", "fleet#hour", {"n": 1}, None, 7_200, 4_000_000))
    assert again.version > late.version
    task.pass_watermark(7_200_000 + ENDED_KEPT_MS)
    assert task.is_empty()


@given(st.permutations([(3, 1.0), (9, -1.0), (9, 2.0), (1, 5.0)]))
def test_contributions_lead_to_the_same_row_in_whatever_order_they_come(made: list[tuple[int, float]]) -> None:
    row = GroupRow("fleet")
    for at, amount in made:
        row.take(Contributed("p", "fleet", "d", "fleet", {"n": amount}, None, None, at))
    (own, _) = row.updates("fleet#all", "fleet")
    assert (own.version, own.data) == (9 * 1_024 + 4, {"n": 7})


def test_a_sum_of_any_size_can_be_written() -> None:
    row = GroupRow("fleet")
    for amount in (2**62, 2**62, 2**62, 2**62, 1e60):
        row.take(Contributed("p", "fleet", "d", "fleet", {"n": amount}, None, None, 1))
    text = msgspec.json.encode(row.update("p", "fleet"))
    assert msgspec.json.decode(text, type=ViewUpdate).data == {"n": 1e60}
