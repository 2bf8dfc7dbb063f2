"""What devices contribute to groups, on its way there and when it has come."""

import msgspec

from operators.folds.fold import Contribution
from operators.folds.groups import Contributed, GroupRow, take_all


def test_a_contribution_is_the_same_after_its_way() -> None:
    for made in (Contribution("all", "s", {"n": 1}), Contribution("all", "s", high=2.5, expires_at=3)):
        sent = Contributed.of("view", "d", made)
        assert msgspec.json.decode(msgspec.json.encode(sent), type=Contributed) == sent


def test_rows_go_on_from_where_they_were() -> None:
    kept = GroupRow("view", 4, {"n": 2}, {}, None)
    rows: dict[str, GroupRow] = {}
    made = [
        Contributed("view", "d", "old", {"n": 1}, None, None),
        Contributed("view", "d", "new", {"n": -1}, None, None),
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
