"""Tables at widths where there is no room for them: nothing is cut off, and no two rows look the same."""

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from telefold.cli.tables import newest_rollups_table, other_rows_table, table
from telefold.cli.text_table import TextTable, fitting
from telefold.schemas.view_rows import ViewRow, rollup_sort

NOON = 1_769_860_800_000  # 2026-01-31T12:00:00Z
WIDTHS = (120, 80, 60, 40)

OUTAGES = [
    ViewRow(f"presence#outage#2026-01-31T12:00:0{second}Z", 1, {"from_at": NOON + second, "duration_ms": 303_000})
    for second in range(3)
]
ROLLUPS = [
    ViewRow(
        rollup_sort("15m", metric, NOON),
        1,
        {"count": 1_234_567, "sum": 2.5e9, "min": -1_234.567, "max": 98_765.4321, "m2": 7e12},
    )
    for metric in ("pressure_of_the_inlet_valve_1", "pressure_of_the_inlet_valve_2")
]
ALERTS = table(
    "Alerts",
    ("device", "rule", "state", "since (UTC)", "severity", "value", "count"),
    [(f"plant-berlin-boiler-{n}", "too-hot", "firing", "2026-01-31 12:00:00", "critical", "85", "1") for n in (1, 2)],
    left=6,
)
RULES = table(
    "Rules",
    ("rule", "condition", "severity", "as of (UTC)", "by"),
    [(f"rule-{n}", f'temperature > 8{n} for 5m where site = "berlin"', "info", "2026-01-31", "ann") for n in (1, 2)],
    left=5,
)
NAMELESS = table("too-hot", ("", ""), [("condition", "temperature > 80 until < 75 for 5m"), ("by", "ann")], left=2)
CASES = {
    "outages": other_rows_table(OUTAGES),
    "rollups": newest_rollups_table(ROLLUPS),
    "alerts": ALERTS,
    "rules": RULES,
    "without headings": NAMELESS,
    "without rows": table("Nothing", ("device", "value"), []),
    "wide letters": table("", ("device", "value"), [("温度センサー" * 8 + str(n), "1") for n in (1, 2)]),
}


def lines(shown: TextTable, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(shown)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def letters(text: str) -> str:
    """What is left of it without what a table is drawn and wrapped with."""
    return re.sub(r"[\s┏┓┃┡┩│└┘━┳╇┴─]", "", text)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", CASES)
def test_nothing_is_cut_off_at_any_width(name: str, width: int) -> None:
    shown = lines(CASES[name], width)
    assert "…" not in "".join(shown)
    assert all(Console(width=width).measure(line).maximum <= width for line in shown)
    of_cells = sorted(letter for row in CASES[name]._rows for cell in row for letter in letters(cell))
    rest = list("".join(map(letters, shown)))
    for letter in of_cells:
        rest.remove(letter)


@pytest.mark.parametrize(
    ("name", "width", "names"),
    [
        ("outages", 80, ["presence#outage#2026-01-31T12:00:00Z", "presence#outage#2026-01-31T12:00:02Z"]),
        ("outages", 61, ["presence#outage#2026-01-31T12:00:00Z", "presence#outage#2026-01-31T12:00:02Z"]),
        ("rollups", 120, ["pressure_of_the_inlet_valve_1", "pressure_of_the_inlet_valve_2"]),
        ("rollups", 60, ["pressure_of_the_inlet_valve_1", "pressure_of_the_inlet_valve_2"]),
        ("alerts", 80, ["plant-berlin-boiler-1", "plant-berlin-boiler-2"]),
        ("alerts", 60, ["plant-berlin-boiler-1", "plant-berlin-boiler-2"]),
        ("rules", 60, ["rule-1", "rule-2"]),
    ],
)
def test_names_stay_in_one_piece_as_long_as_there_is_room_for_them(name: str, width: int, names: list[str]) -> None:
    shown = lines(CASES[name], width)
    for one in names:
        assert any(one in line for line in shown)


def test_without_room_for_its_columns_each_row_is_a_paragraph() -> None:
    shown = lines(ALERTS, 40)
    assert shown[1:4] == ["device: plant-berlin-boiler-1", "rule: too-hot", "state: firing"]
    assert lines(NAMELESS, 12)[1] == "condition"


def test_columns_are_narrowed_from_the_last_to_the_first_and_never_below_their_least() -> None:
    assert fitting([10, 10, 10], [4, 4, 4], 30) == [10, 10, 10]
    assert fitting([10, 10, 10], [4, 4, 4], 28) == [10, 10, 8]
    assert fitting([10, 10, 10], [4, 4, 4], 20) == [10, 6, 4]
    assert fitting([10, 10, 10], [4, 4, 4], 12) == [4, 4, 4]
    assert fitting([10, 10, 10], [4, 4, 4], 11) is None


@given(
    st.lists(st.text("ab#1", min_size=1, max_size=40), min_size=2, max_size=2, unique=True),
    st.integers(30, 120),
)
def test_two_rows_that_differ_look_different(names: list[str], width: int) -> None:
    shown = [lines(table("", ("row", "value"), [(name, "1")]), width) for name in names]
    assert shown[0] != shown[1]
