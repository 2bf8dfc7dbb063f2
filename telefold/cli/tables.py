"""Tables of rows of the views for people, with the statistics their data stands for."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import groupby, pairwise
from typing import cast

from rich.filesize import decimal

from telefold.cli.text_table import TextTable
from telefold.schemas.view_rows import Numbers, Value, ViewRow
from telefold.views.rollups import LATEST_PREFIX, RollupKey, Statistics, statistics

SPARK_WIDTH = 60
_BARS = "▁▂▃▄▅▆▇█"
_WHOLE_UP_TO = 1e21
"""Whole numbers are written out below this, as JavaScript does."""


def sparkline(values: Sequence[float], width: int = SPARK_WIDTH) -> str:
    """A bar a value between the lowest and the highest of them; more values than `width` are averaged."""
    points = _averaged(values, width)
    if not points:
        return ""
    low, high = min(points), max(points)
    if low == high:
        return _BARS[len(_BARS) // 2] * len(points)
    scale = (len(_BARS) - 1) / (high - low)
    return "".join(_BARS[round((point - low) * scale)] for point in points)


def _averaged(values: Sequence[float], width: int) -> list[float]:
    count = min(len(values), width)
    edges = [index * len(values) // count for index in range(count + 1)] if count else [0]
    return [sum(values[a:b]) / (b - a) for a, b in pairwise(edges)]


def number(value: float | int) -> str:
    """A number as text, without the digits that only binary fractions have."""
    return _written(value, 15)


def rounded(value: float) -> str:
    """A computed value as text, to nine digits, or three behind the point if there are more before it."""
    before = len(f"{abs(value):.0f}")
    return _written(value, min(15, max(9, before + 3)))


def _written(value: float | int, digits: int) -> str:
    if isinstance(value, int) or (value.is_integer() and abs(value) < _WHOLE_UP_TO):
        return f"{int(value):,}"
    return f"{value:,.{digits}g}"


def byte_count(count: int) -> str:
    return f"{number(count)} ({decimal(count)})" if count >= 1_000 else number(count)


def time_text(at: float | int) -> str:
    """UTC time, to the second, of epoch milliseconds, which the data of rows hold."""
    return f"{datetime.fromtimestamp(at // 1000, UTC):%Y-%m-%d %H:%M:%S}"


def duration_text(milliseconds: float) -> str:
    """The two largest units that say something: `1.5 s`, `5 min 3 s`, `2 d 4 h`."""
    seconds = milliseconds / 1_000
    if seconds < 60:
        return f"{seconds:.3g} s"
    for unit, size, smaller, part in (("d", 86_400, "h", 3_600), ("h", 3_600, "min", 60), ("min", 60, "s", 1)):
        if seconds >= size:
            rest = int(seconds % size) // part
            return f"{int(seconds) // size} {unit}" + (f" {rest} {smaller}" if rest else "")
    raise AssertionError(milliseconds)


def printable(text: str) -> str:
    """Text from outside, made safe for a terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> TextTable:
    """A table of plain text whose columns after the first `left` hold numbers."""
    return TextTable(printable(title), columns, ([printable(cell) for cell in row] for row in rows), left)


def latest_table(rows: Iterable[ViewRow]) -> TextTable:
    cells = [
        (row.sort.removeprefix(LATEST_PREFIX), number(float(data["value"])), time_text(data["at"]))
        for row in rows
        for data in [cast(Numbers, row.data)]
    ]
    return table("Latest values", ("metric", "value", "at (UTC)"), cells)


def rollups_tables(rows: Iterable[ViewRow]) -> list[TextTable]:
    """A table for each size and metric, of `rows` in the order of their keys; the title draws the means."""
    return [
        _windows_table(size, metric, list(group))
        for (size, metric), group in groupby(rows, lambda row: RollupKey.of(row)[:2])
    ]


def _windows_table(size: str, metric: str, rows: Sequence[ViewRow]) -> TextTable:
    means = [statistics(row).mean for row in rows]
    cells = [(_window(row), *_statistics_cells(row)) for row in rows]
    return table(f"{metric}, {size}  {sparkline(means)}", ("window (UTC)", *_STATISTICS), cells)


def newest_rollups_table(rows: Iterable[ViewRow]) -> TextTable:
    cells = [(RollupKey.of(row).size, RollupKey.of(row).metric, _window(row), *_statistics_cells(row)) for row in rows]
    return table("Newest rollups", ("size", "metric", "window (UTC)", *_STATISTICS), cells, left=3)


def other_rows_table(rows: Iterable[ViewRow]) -> TextTable:
    """Rows of folds in Python, a line a field; fields that end with `_at` are times, those with `_ms` durations."""
    cells = [(row.sort, name, _text(name, value)) for row in rows for name, value in sorted(row.data.items())]
    return table("Folded in Python", ("row", "field", "value (times in UTC)"), cells, left=2)


def _text(name: str, value: Value) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if name.endswith("_at"):
        return time_text(value)
    return duration_text(value) if name.endswith("_ms") and value >= 0 else number(value)


_STATISTICS = Statistics.__struct_fields__


def _statistics_cells(row: ViewRow) -> list[str]:
    found = statistics(row)
    return [number(found.count), rounded(found.mean), number(found.min), number(found.max), rounded(found.std)]


def _window(row: ViewRow) -> str:
    return RollupKey.of(row).start.replace("T", " ").removesuffix("Z")
