"""Parts of a rollup's sort key, and the statistics that its data stands for."""

import math
from collections.abc import Iterable
from typing import NamedTuple, cast

import msgspec

from telefold.schemas.view_rows import Numbers, ViewRow, latest_sort

LATEST_PREFIX = latest_sort("")
ROLLUP_PREFIX = "rollup#"


class RollupKey(NamedTuple):
    """The parts of a rollup's sort key; `start` is ISO 8601."""

    size: str
    metric: str
    start: str

    @classmethod
    def of(cls, row: ViewRow) -> "RollupKey":
        return cls(*row.sort.removeprefix(ROLLUP_PREFIX).split("#"))


def metric_of(row: ViewRow) -> str | None:
    """The metric of a latest value or of a window; None of any other row."""
    if row.sort.startswith(LATEST_PREFIX):
        return row.sort.removeprefix(LATEST_PREFIX)
    return RollupKey.of(row).metric if row.sort.startswith(ROLLUP_PREFIX) else None


def metrics_of(rows: Iterable[ViewRow]) -> list[str]:
    """The metrics that have a latest value or a window among the rows of a device, by name."""
    return sorted({metric for row in rows if (metric := metric_of(row)) is not None})


class Statistics(msgspec.Struct, frozen=True):
    count: int
    mean: float
    min: float
    max: float
    std: float
    """The standard deviation of the population, which is all readings that there are."""


def statistics(row: ViewRow) -> Statistics:
    """Mean and standard deviation from what a rollup's data sums up.

    A mean lies between the extremes, whatever rounding says; readings that are all the same do not deviate.
    """
    data = cast(Numbers, row.data)
    count, least, most = int(data["count"]), data["min"], data["max"]
    mean = min(max(data["sum"] / count, least), most)
    std = math.sqrt(data["m2"] / count) if least < most else 0.0
    return Statistics(count, mean, least, most, std)


def with_statistics(row: ViewRow) -> ViewRow:
    """The row as it is, and if it is a rollup with `mean` and `std` in its data."""
    if not row.sort.startswith(ROLLUP_PREFIX):
        return row
    found = statistics(row)
    return msgspec.structs.replace(row, data={**row.data, "mean": found.mean, "std": found.std})
