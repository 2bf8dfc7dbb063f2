"""Batches of rows as the job hands them to its writer: latest values and rollups of a fleet, two metrics a device."""

import random
from collections.abc import Iterator

import msgspec

from bench.log import METRICS
from bench.peers.rows import SIZES, Rollup, add_reading, first_reading, latest_row, rollup_row
from telefold.schemas.view_rows import ViewUpdate, device_partition

ROWS_A_DEVICE = len(METRICS) * (1 + len(SIZES))

_ROWS_A_BATCH = 5_000
"""`MicroBatch` hands over no more of them at once."""
_READINGS_APART_MS = 1_000


def batches(fleet: str, devices: int, hour_ms: int, readings: int) -> list[str]:
    """The rows of `devices` devices after so many readings of each metric from `hour_ms` on, one JSON object a line.

    More readings of the same fleet make newer versions of the same rows; up to 60 are in one minute.
    """
    lines = [msgspec.json.encode(row).decode() for row in _rows(fleet, devices, hour_ms, readings)]
    return ["\n".join(lines[start : start + _ROWS_A_BATCH]) for start in range(0, len(lines), _ROWS_A_BATCH)]


def _rows(fleet: str, devices: int, hour_ms: int, readings: int) -> Iterator[ViewUpdate]:
    """In the job's order: devices mixed up, a metric's latest value behind its smallest rollup, other rollups apart."""
    cells = [(device_partition(f"{fleet}-{number}"), metric) for number in range(devices) for metric in METRICS]
    random.Random(fleet).shuffle(cells)
    last_at = hour_ms + (readings - 1) * _READINGS_APART_MS
    folded = [(partition, metric, *_fold(partition + metric, hour_ms, readings)) for partition, metric in cells]
    for size, window_ms in SIZES:
        for partition, metric, value, rollup in folded:
            yield rollup_row(partition, size, window_ms, metric, hour_ms, rollup)
            if size == SIZES[0][0]:
                yield latest_row(partition, metric, last_at, value)


def _fold(seed: str, hour_ms: int, readings: int) -> tuple[float, Rollup]:
    """The last of so many readings, and all of them."""
    chance = random.Random(seed)
    values = [round(chance.uniform(10, 40), 2) for _ in range(readings)]
    rollup = first_reading(values[0], hour_ms, 0, "e", 0.0)
    for number, value in enumerate(values[1:], 1):
        add_reading(rollup, value, hour_ms + number * _READINGS_APART_MS, number, "e", 0.0)
    return values[-1], rollup
