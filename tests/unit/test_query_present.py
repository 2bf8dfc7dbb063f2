import io
import math
import statistics as reference

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, RenderableType

from telefold.cli.tables import (
    duration_text,
    latest_table,
    newest_rollups_table,
    number,
    other_rows_table,
    rollups_tables,
    rounded,
    sparkline,
    time_text,
)
from telefold.schemas.view_rows import ViewRow, latest_sort, rollup_sort
from telefold.verify.oracle import first_reading
from telefold.views.rollups import RollupKey, Statistics, statistics, with_statistics

NOON = 1_769_860_800_000  # 2026-01-31T12:00:00Z


def rollup_row(values: list[float], window: int = NOON, metric: str = "temperature", size: str = "1m") -> ViewRow:
    folded = first_reading(window, (window, 0, "e", values[0]))
    for value in values[1:]:
        folded = folded.with_reading((window, 0, "e", value))
    update = folded.row("device#1", rollup_sort(size, metric, window), {})
    return ViewRow(update.sort, update.version, update.data)


def shown(*renderables: RenderableType) -> str:
    console = Console(file=io.StringIO(), width=120)
    console.print(*renderables)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@given(st.lists(st.floats(-1e3, 1e3).map(lambda x: round(x, 3)), min_size=1, max_size=50))
def test_statistics_are_those_of_the_values(values: list[float]) -> None:
    found = statistics(rollup_row(values))
    assert found.count == len(values)
    assert (found.min, found.max) == (min(values), max(values))
    assert math.isclose(found.mean, reference.fmean(values), rel_tol=1e-9, abs_tol=1e-9)
    assert math.isclose(found.std, reference.pstdev(values), rel_tol=1e-9, abs_tol=1e-9)


def test_the_deviation_of_large_readings_is_shown() -> None:
    row = rollup_row([5_000_000_417.0, 5_000_000_763.0])
    assert statistics(row) == Statistics(2, 5_000_000_590.0, 5_000_000_417.0, 5_000_000_763.0, 173.0)
    text = shown(*rollups_tables([row]))
    for cell in ("5,000,000,590", "5,000,000,417", "5,000,000,763", " 173 "):
        assert cell in text


def test_programs_are_given_mean_and_deviation_of_rollups_alone() -> None:
    shown = with_statistics(rollup_row([1.0, 3.0]))
    assert (shown.data["mean"], shown.data["std"], shown.data["count"]) == (2.0, 1.0, 2)
    latest = ViewRow(latest_sort("t"), 1, {"value": 1.0, "at": 1})
    assert with_statistics(latest) is latest


@given(st.floats(-1e30, 1e30), st.integers(1, 200))
def test_values_that_do_not_vary_have_no_deviation(value: float, count: int) -> None:
    assert statistics(rollup_row([value] * count)).std == 0.0


def test_a_sparkline_spans_from_the_lowest_to_the_highest() -> None:
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert sparkline([-1.0, 1.0, -1.0]) == "▁█▁"
    assert sparkline([3.0, 3.0]) == "▅▅"
    assert sparkline([]) == ""


@given(st.lists(st.floats(-1e9, 1e9), max_size=300), st.integers(1, 80))
def test_a_sparkline_is_never_wider_than_asked(values: list[float], width: int) -> None:
    assert len(sparkline(values, width)) == min(len(values), width)


def test_more_values_than_width_are_averaged() -> None:
    assert sparkline([0, 0, 7, 7], width=2) == "▁█"


def test_numbers_and_times_are_short_and_exact() -> None:
    assert (number(1_234_567), number(21.340000000000003), number(1e-12)) == ("1,234,567", "21.34", "1e-12")
    assert (number(5e9 + 590), number(-1e15), number(5e9 + 0.25)) == (
        "5,000,000,590", "-1,000,000,000,000,000", "5,000,000,000.25",
    )  # fmt: skip
    assert (number(52.520008), number(1e60), number(-0.0)) == ("52.520008", "1e+60", "0")
    assert (rounded(1 / 3), rounded(5e9 + 1 / 3), rounded(52.5200081234)) == (
        "0.333333333", "5,000,000,000.333", "52.5200081",
    )  # fmt: skip
    assert time_text(NOON + 7) == "2026-01-31 12:00:00"


def test_a_rollup_key_has_three_parts() -> None:
    row = ViewRow(rollup_sort("1h", "room temperature", NOON), 1, {})
    assert RollupKey.of(row) == ("1h", "room temperature", "2026-01-31T12:00:00Z")


def test_latest_values_are_a_line_each() -> None:
    text = shown(latest_table([ViewRow(latest_sort("humidity"), NOON, {"value": 48.25, "at": NOON})]))
    assert "humidity" in text
    assert "48.25" in text
    assert "2026-01-31 12:00:00" in text


def test_rollups_are_a_table_a_metric_with_their_means_drawn() -> None:
    rows = [rollup_row([float(n)], NOON + n * 60_000, metric) for metric in ("a", "b") for n in range(3)]
    text = shown(*rollups_tables(rows))
    assert "a, 1m  ▁▅█" in text
    assert "b, 1m  ▁▅█" in text
    assert text.index("12:00:00") < text.index("12:02:00")


def test_newest_rollups_name_size_and_metric() -> None:
    text = shown(newest_rollups_table([rollup_row([1.0, 3.0], size="1h")]))
    assert [cell.strip() for cell in text.splitlines()[4].strip("│").split("│")] == [
        "1h",
        "temperature",
        "2026-01-31 12:00:00",
        "2",
        "2",
        "1",
        "3",
        "1",
    ]


def test_rows_of_unknown_views_are_shown_field_by_field() -> None:
    text = shown(other_rows_table([ViewRow("presence", 3, {"online": 1, "since": 12})]))
    assert "online" in text
    assert "since" in text


@pytest.mark.parametrize("name", ["[red]hot[/red]", "be\x1b[2Jll"])
def test_names_are_never_markup_nor_control_sequences(name: str) -> None:
    text = shown(latest_table([ViewRow(latest_sort(name), 1, {"value": 1.0, "at": 1})]))
    assert name.replace("\x1b", "�") in text


def test_a_fold_in_python_shows_texts_truths_and_times() -> None:
    row = ViewRow(
        "presence",
        1_024,
        {"status": "offline", "open": True, "closed": False, "since_at": 1_767_268_800_000, "interval_ms": 90_000},
    )
    text = shown(other_rows_table([row]))
    for cell in ("offline", "yes", "no", "2026-01-01 12:00:00", "1 min 30 s"):
        assert cell in text


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(0, "0 s"), (1_500, "1.5 s"), (60_000, "1 min"), (303_000, "5 min 3 s"), (7_260_000, "2 h 1 min"),
     (187_200_000, "2 d 4 h")],
)  # fmt: skip
def test_durations_are_told_by_their_largest_units(milliseconds: int, text: str) -> None:
    assert duration_text(milliseconds) == text
