"""The made-up items from which a fleet's items are measured: such as the job would write them."""

from math import floor, log10
from typing import Any

import pytest

from telefold.planning.example_items import Sizes, blocks, heads, metric_names, parts, windows_a_block
from telefold.schemas.packed_rows import unpack
from telefold.schemas.view_rows import ViewRow, ViewUpdate

MINUTE, HOUR = 60_000, 3_600_000
SIZES: Sizes = (("1m", MINUTE), ("1h", HOUR))


def rows(item: ViewUpdate) -> list[ViewRow]:
    return unpack(item.packed or b"")


@pytest.mark.parametrize(("interval_ms", "readings"), [(10_000, 6), (1_000, 60), (100, 600), (60_000, 1)])
def test_a_block_fills_up_with_windows_that_have_their_readings(interval_ms: float, readings: int) -> None:
    growing = blocks(2, interval_ms, "1m", MINUTE)
    assert [len(rows(item)) for item in growing] == [2 * held for held in range(1, 21)]
    assert {row.data["count"] for row in rows(growing[-1])} == {readings}
    assert len({row.sort for row in rows(growing[-1])}) == 40


@pytest.mark.parametrize("interval_ms", [50, 10_000, 60_000, 7_200_000])
def test_what_a_window_holds_fits_together(interval_ms: float) -> None:
    for size, length in SIZES:
        for row in rows(blocks(1, interval_ms, size, length)[-1]):
            data: Any = row.data
            assert data["min"] <= data["sum"] / data["count"] <= data["max"]
            assert data["min"] <= min(data["first"], data["last"])
            assert max(data["first"], data["last"]) <= data["max"]
            assert data["first_at"] // length == data["last_at"] // length
            assert (data["m2"] == 0) == (data["count"] == 1)
            assert data["increase"] >= 0


def test_numbers_have_no_more_digits_than_the_job_gives_them() -> None:
    for row in rows(blocks(3, 1_000, "1h", HOUR)[-1]):
        data: Any = row.data
        assert data["m2"] == round(data["m2"], 8 - floor(log10(data["m2"])))
        assert data["sum"] == round(data["sum"], 2)
        assert data["increase"] == round(data["increase"], 2)


def test_a_head_has_the_newest_reading_and_the_current_window_of_each_size_of_each_metric() -> None:
    for item in heads(3, 10_000, SIZES):
        found = {row.sort.rpartition("#")[0] if row.sort.startswith("rollup") else row.sort for row in rows(item)}
        expected = {f"rollup#{size}#{metric}" for size, _ in SIZES for metric in metric_names(3)}
        assert found == expected | {f"latest#{metric}" for metric in metric_names(3)}
        assert len(rows(item)) == 9


def test_the_windows_of_a_head_fill_with_time() -> None:
    counts = [max(int(row.data.get("count", 0)) for row in rows(item)) for item in heads(1, 10_000, SIZES)]
    assert counts == sorted(set(counts))
    assert counts[-1] < 360


@pytest.mark.parametrize(("interval_ms", "windows"), [(1, 20), (60_000, 20), (120_000, 10), (1_200_000, 1), (1e9, 1)])
def test_a_device_that_reports_rarely_has_fewer_windows_in_a_block(interval_ms: float, windows: int) -> None:
    assert windows_a_block(MINUTE, interval_ms) == windows == len(blocks(1, interval_ms, "1m", MINUTE))


@pytest.mark.parametrize(("metrics", "count"), [(1, 1), (64, 1), (65, 2), (128, 2), (129, 4), (2_000, 32)])
def test_parts_are_a_power_of_two(metrics: int, count: int) -> None:
    assert parts(metrics) == count


def test_the_same_items_are_made_again() -> None:
    first = blocks(2, 10_000, "1m", MINUTE)
    blocks.cache_clear()
    assert blocks(2, 10_000, "1m", MINUTE) == first
