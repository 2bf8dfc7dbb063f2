"""Rows of the materialized views, their keys, and how a program sees them."""

from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

Value = float | int | str | bool
Data = Mapping[str, Value]
"""Field name to value. Times in it are epoch milliseconds."""
Numbers = Mapping[str, float]
"""The data of rows of the views below, which hold nothing else."""

LATEST = "latest"
ROLLUPS = "rollups"
VIEWS = (LATEST, ROLLUPS)
"""What the JVM folds; every other view is that of a fold in Python."""


# Strings and numbers make no cycles, so the garbage collector need not look at thousands of these.
class ViewUpdate(msgspec.Struct, frozen=True, gc=False):
    """One state of one row on its way to the stores.

    `version` never falls as the row's state advances and depends on the folded events alone: a store
    never replaces a row by one with a lower version, and may rewrite one of an equal version.
    `expires_at` is in epoch seconds, None for never.
    """

    view: str
    partition: str
    sort: str
    version: int
    data: Data
    expires_at: int | None = None


class ViewRow(msgspec.Struct, frozen=True):
    """One row of a partition as a reader returns it."""

    sort: str
    version: int
    data: Data
    expires_at: int | None = None


_DEVICE = "device#"


def device_partition(device_id: str) -> str:
    return f"{_DEVICE}{device_id}"


def device_of(partition: str) -> str:
    """The device_id whose rows lie in `partition`: the inverse of `device_partition`."""
    return partition.removeprefix(_DEVICE)


def latest_sort(metric: str) -> str:
    return f"latest#{metric}"


def rollup_sort(size: str, metric: str, window_start: int) -> str:
    """`size` as in the settings ("1m"), `window_start` in epoch milliseconds."""
    start = datetime.fromtimestamp(window_start / 1000, UTC)
    return f"rollup#{size}#{metric}#{start:%Y-%m-%dT%H:%M:%SZ}"


def is_of_a_python_fold(row: ViewRow) -> bool:
    """By the beginning of its sort key, which for those is the fold's name."""
    return row.sort.partition("#")[0] not in ("latest", "rollup")
