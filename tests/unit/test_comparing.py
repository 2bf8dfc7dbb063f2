"""How the rows of a store differ from those of the oracle, in sentences."""

import msgspec
import pytest

from telefold.connectors.memory import MemoryViews
from telefold.verify.oracle import compare, read_rows, unexpired
from tests.support.reckonings import NOON, as_stored, event, reckon


def test_a_store_that_agrees_has_no_differences() -> None:
    reckoning = reckon(event(0, 0.1), event(1, 0.2))
    views = MemoryViews(clock=lambda: NOON // 1000)
    views.write(list(reckoning.rows.values()))
    assert compare(reckoning.rows, read_rows(views, ["device#d", "device#other"])) == []


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"version": 3}, "version is 3, too new: expected 2"),
        ({"expires_at": None}, "expires_at is None, expected 1769947260"),
        ({"data": {"sum": 3.0000001}}, "data.sum is 3.0000001, expected 3.0"),
        ({"data": {"extra": 1}}, "data.extra is unexpected"),
        ({"data": {"sum": 3.0000000001}}, None),
        ({"data": {"m2": 0.5001}}, "data.m2 is 0.5001, expected 0.5"),
        ({"data": {"increase": 1.0001}}, "data.increase is 1.0001, expected 1.0"),
        ({"data": {"first": 1.0001}}, "data.first is 1.0001, expected 1.0"),
    ],
)
def test_differences_are_sentences(changes: dict[str, object], problem: str | None) -> None:
    rows = dict(reckon(event(0, 1.0), event(1, 2.0)).rows)
    stored = as_stored(rows)
    key = ("device#d", "rollup#1m#temperature#2026-01-31T12:00:00Z")
    if isinstance(data := changes.get("data"), dict):
        changes = {"data": {**stored[key].data, **data}}
    stored[key] = msgspec.structs.replace(stored[key], **changes)
    found = [str(difference) for difference in compare(rows, stored)]
    assert found == ([] if problem is None else [f"{key[0]} {key[1]}: {problem}"])


def test_squares_too_small_for_the_durable_store_are_zero() -> None:
    rows = dict(reckon(event(0, 1e-70), event(1, 3e-70)).rows)
    stored = as_stored(rows)
    for key, held in stored.items():
        if "m2" in held.data:
            stored[key] = msgspec.structs.replace(held, data={**held.data, "m2": 0})
    assert compare(rows, stored) == []


def test_missing_and_unexpected_rows_are_told_apart() -> None:
    rows = dict(reckon(event(0)).rows)
    stored = as_stored(rows)
    gone, came = ("device#d", "latest#temperature"), ("device#d", "latest#unknown")
    stored[came] = stored.pop(gone)
    assert [(d.sort, d.problem) for d in compare(rows, stored)] == [(gone[1], "missing"), (came[1], "unexpected")]


def test_a_field_the_store_lost_is_named() -> None:
    rows = dict(reckon(event(0)).rows)
    stored = as_stored(rows)
    key = ("device#d", "latest#temperature")
    stored[key] = msgspec.structs.replace(stored[key], data={"value": 1.0})
    assert [d.problem for d in compare(rows, stored)] == ["data.at is missing"]


def test_rows_past_their_time_are_not_expected() -> None:
    rows = reckon(event(0)).rows
    assert len(unexpired(rows, NOON // 1000)) == 3
    assert {sort for _, sort in unexpired(rows, NOON // 1000 + 90_000)} == {"latest#temperature"}
