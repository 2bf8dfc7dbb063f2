"""What the contenders that fold in Python have in common: the rows, and a reading added to a rollup."""

from functools import cache
from typing import Any

from bench.peers.work import SETTINGS
from telefold.schemas.view_rows import LATEST, ROLLUPS, ViewUpdate, latest_sort, rollup_sort

SIZES = tuple(SETTINGS.job.rollup_sizes.items())
"""Label and milliseconds of each window size."""
_KEPT_S = SETTINGS.views.retention[ROLLUPS] or 0
_FIELDS = ("count", "sum", "min", "max", "m2", "first_at", "first", "last_at", "last", "increase")

Rollup = list[Any]
"""The values of a rollup's data, in the order of its fields, and the sequences and ids of its first and last readings.

A list, which is what Python changes fastest."""

# Devices share their sort keys.
_latest_sort = cache(latest_sort)
_rollup_sort = cache(rollup_sort)


def first_reading(value: float, at: int, sequence: int, event_id: str, rise: float) -> Rollup:
    return [1, value, value, value, 0.0, at, value, at, value, rise, sequence, event_id, sequence, event_id]


def add_reading(rollup: Rollup, value: float, at: int, sequence: int, event_id: str, rise: float) -> None:
    mean = rollup[1] / rollup[0]
    rollup[0] += 1
    rollup[1] += value
    if value < rollup[2]:
        rollup[2] = value
    if value > rollup[3]:
        rollup[3] = value
    rollup[4] += (value - mean) * (value - rollup[1] / rollup[0])
    if at <= rollup[5] and (at, sequence, event_id) < (rollup[5], rollup[10], rollup[11]):
        rollup[5], rollup[6], rollup[10], rollup[11] = at, value, sequence, event_id
    if at >= rollup[7] and (at, sequence, event_id) > (rollup[7], rollup[12], rollup[13]):
        rollup[7], rollup[8], rollup[12], rollup[13] = at, value, sequence, event_id
    rollup[9] += rise


def rise(held: "Newest | None", at: int, sequence: int, event_id: str, value: float) -> float:
    """By how much a counter rose from its newest reading, `held`."""
    if held is None or (at, sequence, event_id) < held[:3]:
        return 0.0
    return value - held[3] if value >= held[3] else value


def rollup_row(partition: str, size: str, window_ms: int, metric: str, start: int, rollup: Rollup) -> ViewUpdate:
    data = dict(zip(_FIELDS, rollup, strict=False))
    expires_at = (start + window_ms) // 1000 + _KEPT_S
    return ViewUpdate(ROLLUPS, partition, _rollup_sort(size, metric, start), int(rollup[0]), data, expires_at)


Newest = tuple[int, int, str, float, int]
"""Of a metric: event_time, sequence, event_id, value, and how many readings there were at that time."""


def newest(held: Newest | None, at: int, sequence: int, event_id: str, value: float) -> Newest:
    """The very `held` where the reading is older."""
    if held is None or at > held[0]:
        return at, sequence, event_id, value, 1
    if at < held[0]:
        return held
    return (*max(held[:4], (at, sequence, event_id, value)), held[4] + 1)


def latest_row(partition: str, metric: str, at: int, value: float, readings: int = 1) -> ViewUpdate:
    return ViewUpdate(LATEST, partition, _latest_sort(metric), at * 2**20 + readings, {"value": value, "at": at})
