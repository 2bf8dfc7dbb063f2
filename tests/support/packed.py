"""Rows of a device as items hold them, made up or taken out of what a fold has written."""

from collections.abc import Iterator

from telefold.schemas.packed_rows import VERSIONS_A_TIME, unpack
from telefold.schemas.view_rows import LATEST, ROLLUPS, ViewRow, ViewUpdate, latest_sort, rollup_sort

NOON = 1_769_860_800_000
MINUTE = 60_000
SIZES = {"1m": MINUTE, "1h": 60 * MINUTE}
METRICS = ("temp", "t", 'quoted "é"')
DEVICE = "device#d"


def rows_of(update: ViewUpdate) -> Iterator[ViewUpdate]:
    """An update as it is if it is a row; else all rows in the item."""
    if update.packed is None:
        yield update
        return
    for row in unpack(update.packed):
        view = LATEST if row.sort.startswith("latest#") else ROLLUPS
        yield ViewUpdate(view, update.partition, row.sort, row.version, row.data, row.expires_at)


def window(
    size: str, metric: str, start: int, count: int, number: float = 1.5, keep: int | None = None, m2: float = 0
) -> ViewRow:
    data = {
        "count": count, "sum": number * count, "min": number, "max": number, "m2": m2, "first_at": start + 1,
        "first": number,
        "last_at": start + SIZES[size] - 1, "last": number, "increase": 0.25,
    }  # fmt: skip
    expires_at = None if keep is None else start // 1_000 + keep
    return ViewRow(rollup_sort(size, metric, start), count, data, expires_at)


def reading(metric: str, at: int, readings: int = 1, value: float = 20.5) -> ViewRow:
    return ViewRow(latest_sort(metric), at * VERSIONS_A_TIME + readings, {"value": value, "at": at})
