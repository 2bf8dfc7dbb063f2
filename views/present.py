"""What people look at: rows of the views as tables, with the statistics their data stands for."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import groupby, pairwise
from typing import NamedTuple, TypeVar, cast

import msgspec
from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from schemas.view_rows import Numbers, Value, ViewRow, latest_sort

LATEST_PREFIX = latest_sort("")
ROLLUP_PREFIX = "rollup#"
SPARK_WIDTH = 60
_BARS = "▁▂▃▄▅▆▇█"
# Below this share of the mean square, a variance is rounding and nothing else.
_NOISE = 1e-13
_TELL_EVERY = 1_000

T = TypeVar("T")


class RollupKey(NamedTuple):
    """The parts of a rollup's sort key; `start` is ISO 8601."""

    size: str
    metric: str
    start: str

    @classmethod
    def of(cls, row: ViewRow) -> "RollupKey":
        return cls(*row.sort.removeprefix(ROLLUP_PREFIX).split("#"))


class Statistics(msgspec.Struct, frozen=True):
    count: int
    mean: float
    min: float
    max: float
    std: float


def statistics(row: ViewRow) -> Statistics:
    """Mean and (population) standard deviation from what a rollup's data sums up."""
    data = cast(Numbers, row.data)
    count = int(data["count"])
    mean, mean_sq = data["sum"] / count, data["sum_sq"] / count
    variance = mean_sq - mean * mean
    std = math.sqrt(variance) if variance > _NOISE * mean_sq else 0.0
    return Statistics(count, mean, data["min"], data["max"], std)


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
    return f"{value:,}" if isinstance(value, int) else f"{value:,.6g}"


def byte_count(count: int) -> str:
    return f"{number(count)} ({decimal(count)})" if count >= 1_000 else number(count)


def time_text(at: float | int) -> str:
    """UTC time of epoch milliseconds, which the data of rows hold."""
    moment = datetime.fromtimestamp(at / 1000, UTC)
    return f"{moment:%Y-%m-%d %H:%M:%S}.{int(at) % 1000:03d}"


def duration_text(milliseconds: int) -> str:
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
    """What came from outside, safe for a terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> Table:
    """A table of plain text whose columns after the first `left` hold numbers."""
    made = Table(title=Text(printable(title)), title_justify="left")
    for index, column in enumerate(columns):
        made.add_column(column, justify="left" if index < left else "right")
    for row in rows:
        made.add_row(*(Text(printable(cell)) for cell in row))
    return made


@contextmanager
def counting(what: str, total: int | None = None, unit: str = "") -> Iterator[Callable[[int], None]]:
    """A live line on a terminal's stderr, and nothing elsewhere; yields what is to be told how much is done."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda done: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[done]}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=total, done="")
        of = "" if total is None else f" of {number(total)}"
        yield lambda done: bar.update(task, completed=done, done=f"{number(done)}{of} {unit}".rstrip())


def counted(items: Iterable[T], tell: Callable[[int], None]) -> Iterator[T]:
    """The items; `tell` hears now and then how many have gone by."""
    for index, item in enumerate(items):
        if index % _TELL_EVERY == 0:
            tell(index)
        yield item


def latest_table(rows: Iterable[ViewRow]) -> Table:
    cells = [
        (row.sort.removeprefix(LATEST_PREFIX), number(float(data["value"])), time_text(data["at"]))
        for row in rows
        for data in [cast(Numbers, row.data)]
    ]
    return table("Latest values", ("metric", "value", "at (UTC)"), cells)


def rollups_tables(rows: Iterable[ViewRow]) -> list[Table]:
    """A table for each size and metric, of `rows` in the order of their keys; the title draws the means."""
    return [
        _windows_table(size, metric, list(group))
        for (size, metric), group in groupby(rows, lambda row: RollupKey.of(row)[:2])
    ]


def _windows_table(size: str, metric: str, rows: Sequence[ViewRow]) -> Table:
    means = [statistics(row).mean for row in rows]
    cells = [(_window(row), *_statistics_cells(row)) for row in rows]
    return table(f"{metric}, {size}  {sparkline(means)}", ("window (UTC)", *_STATISTICS), cells)


def newest_rollups_table(rows: Iterable[ViewRow]) -> Table:
    cells = [(RollupKey.of(row).size, RollupKey.of(row).metric, _window(row), *_statistics_cells(row)) for row in rows]
    return table("Newest rollups", ("size", "metric", "window (UTC)", *_STATISTICS), cells, left=3)


def other_rows_table(rows: Iterable[ViewRow]) -> Table:
    """Rows of folds in Python, a line a field; fields that end with `_at` are times."""
    cells = [(row.sort, name, _text(name, value)) for row in rows for name, value in sorted(row.data.items())]
    return table("Folded in Python", ("row", "field", "value"), cells, left=2)


def _text(name: str, value: Value) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    return time_text(value) if name.endswith("_at") else number(value)


_STATISTICS = Statistics.__struct_fields__


def _statistics_cells(row: ViewRow) -> list[str]:
    return [number(value) for value in msgspec.structs.astuple(statistics(row))]


def _window(row: ViewRow) -> str:
    return RollupKey.of(row).start.replace("T", " ").removesuffix("Z")
