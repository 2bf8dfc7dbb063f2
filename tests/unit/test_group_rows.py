"""What devices contribute to groups, on its way there and when it has come."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from operators.folds.fold import Contribution
from operators.folds.groups import EMPTY_KEPT_S, Contributed, GroupRow, take_all
from schemas.view_rows import ViewUpdate


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
