"""What a view store holds and what it refuses, asked of each: numbers, sizes, texts that are none."""

from typing import Any

import pytest

from telefold.schemas.view_rows import ViewUpdate
from telefold.schemas.view_stores import WriteResult
from tests.support.view_rows import LARGEST, as_read, row
from tests.support.view_stores import Store, put


def with_data(**data: Any) -> ViewUpdate:
    return ViewUpdate("latest", "device#1", "bad", 1, data)


WHOLE_BUT_FLOATS = [1.2345678901234568e18, -9.2233720368547e18, 2.0**63, -(2.0**63), 1e19, 123456.789e20]


@pytest.mark.parametrize(
    "value",
    [0, -1, 2**53 + 1, LARGEST, -(2**63), 2.0, -0.1, 1 / 3, 1e-130, 1.7976931348623157e125, 5e-100, *WHOLE_BUT_FLOATS],
)
def test_numbers_come_back_equal(store: Store, value: float) -> None:
    store.writer.write([row("a", 1, value)])
    found = store.reader.get("device#1", "a")
    assert found is not None
    assert found.data["value"] == value


def test_a_magnitude_too_small_for_dynamodb_is_as_good_as_zero(store: Store) -> None:
    store.writer.write([row("a", 1, -3e-200)])
    found = store.reader.get("device#1", "a")
    assert found is not None
    assert found.data["value"] == pytest.approx(0, abs=1e-199)


NO_ROWS = {
    "a version below 0": row("bad", -1),
    "a version past 63 bits": row("bad", LARGEST + 1),
    "a version of any number of digits": row("bad", 10**30_000),
    "an expiry past what Redis counts": row("bad", expires_at=10**18),
    "an expiry that was before all time": row("bad", expires_at=-(10**18)),
    "no partition": row("bad", partition=""),
    "a partition of 2 033 bytes": row("bad", partition="x" * 2_033),
    "a partition of 2 034 bytes in 1 017 characters": row("bad", partition="é" * 1_017),
    "no sort key": row(""),
    "a sort key of 1 025 bytes": row("x" * 1_025),
    "a sort key of 1 028 bytes in 257 characters": row("😀" * 257),
    "a partition that is not Unicode": row("bad", partition="device#\ud800"),
    "a sort key that is not Unicode": row("\udfff"),
    "a number past DynamoDB's": row("bad", value=1e126),
    "infinity": row("bad", value=float("-inf")),
    "no number": row("bad", value=float("nan")),
    "an integer past 64 bits": row("bad", value=2**63),
    "an integer of any number of digits": row("bad", value=-(10**30_000)),
    "one text over 400 KB": with_data(text="x" * 410_000),
    "a text over 400 KB in bytes alone": with_data(text="😀" * 102_400),
    "many fields over 400 KB": with_data(**{f"field{n}{'x' * 90}": n for n in range(5_000)}),
    "a text that is not Unicode": with_data(text="\ud83d"),
    "a name of a field that is not Unicode": with_data(**{"\ud83d": 1}),
    "a field without a name": with_data(**{"": 1}),
    "a list": with_data(values=[1, 2]),
    "nothing": with_data(value=None),
}


@pytest.mark.parametrize("name", NO_ROWS)
@pytest.mark.parametrize("known", [False, True])
def test_what_no_store_holds_is_refused_with_a_reason_and_the_rest_of_its_batch_is_written(
    store: Store, name: str, known: bool
) -> None:
    bad = NO_ROWS[name]
    good = [row(f"r#{n:02}", 7, n) for n in range(30)]
    if known:
        put(store, *(one.sort for one in good))
    result = store.writer.write([*good[:15], bad, *good[15:]])
    assert result == WriteResult(30, 0, refused=result.refused)
    ((refused, why),) = result.refused
    assert refused is bad
    assert why
    assert store.reader.range("device#1") == [as_read(one) for one in good]


def test_a_refused_row_alone_ends_nothing_and_leaves_nothing(store: Store) -> None:
    for bad in NO_ROWS.values():
        assert store.writer.write([bad]).written == 0
    assert store.reader.range("device#1") == []


def test_a_row_whose_highest_update_is_refused_is_as_the_next_lower_one_says(store: Store) -> None:
    result = store.writer.write([row("a", 4, 1), row("a", 6, 1e200), row("a", 5, 2)])
    assert (result.written, len(result.refused)) == (1, 1)
    assert store.reader.get("device#1", "a") == as_read(row("a", 5, 2))


AT_THE_LIMIT = [
    row("x" * 1_024, LARGEST, 9.9e125, (2**63 - 1) // 1_000, partition="y" * 2_032),
    row("😀" * 256, 0, -9.9e125, partition="é" * 1_016),
    with_data(text="x" * 409_400),
    with_data(text="😀" * 102_350),
]


@pytest.mark.parametrize("at_the_limit", AT_THE_LIMIT, ids=range(len(AT_THE_LIMIT)))
def test_what_is_just_within_the_limits_is_stored_and_read(store: Store, at_the_limit: ViewUpdate) -> None:
    assert store.writer.write([at_the_limit]) == WriteResult(1, 0)
    assert store.reader.get(at_the_limit.partition, at_the_limit.sort) == as_read(at_the_limit)
