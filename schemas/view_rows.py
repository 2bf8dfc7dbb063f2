"""Rows of the materialized views, their keys, and how a program sees them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal

import msgspec

Value = float | int | str | bool
Data = Mapping[str, Value]
"""Field name to value. Times in it are epoch milliseconds."""
Numbers = Mapping[str, float]
"""The data of rows of the views below, which hold nothing else."""

LATEST = "latest"
ROLLUPS = "rollups"
VIEWS = (LATEST, ROLLUPS)
"""The views that the JVM folds; every other view is that of a fold in Python."""


Destination = Literal["both", "fast", "durable"]
"""The stores that an update is for: `fast` alone until it is due, then `durable` alone."""
BOTH: Destination = "both"
FAST: Destination = "fast"
DURABLE: Destination = "durable"


# Strings and numbers make no cycles, so the garbage collector need not look at thousands of these.
class ViewUpdate(msgspec.Struct, frozen=True, gc=False):
    """A state of one row on its way to the stores.

    `version` never falls as the row's state advances and depends on the folded events alone: a store
    never replaces a row by one with a lower version, and may rewrite one of an equal version.
    `expires_at` is in epoch seconds, None for never.
    """

    view: str
    partition: str
    sort: str
    version: int
    data: Data = {}
    expires_at: int | None = None
    packed: bytes | None = None
    """The rows in an item that holds some, as `schemas.packed_rows` has them; such an item has no data."""
    changed: tuple[str, ...] = ()
    """The sort keys of those of them that have changed."""
    is_new: bool = False
    """Whether the durable store is likely to have nothing of it yet, so that it is written there with one request."""
    to: Destination = BOTH
    """The last field in JSON too, as the JVM looks for it there."""


class ViewRow(msgspec.Struct, frozen=True):
    """A row of a partition as a reader returns it."""

    sort: str
    version: int
    data: Data = {}
    expires_at: int | None = None
    behind_ms: int | None = None
    """How far it may be behind the log by the settings, in milliseconds; None where the reader does not say."""


class PackedItem(ViewRow, frozen=True, kw_only=True):
    """An item that holds rows, as a store's own reader returns it; it has no data."""

    packed: bytes


_DEVICE = "device#"
_GROUP = "fleet#"

ALL_GROUPS = "fleets"
"""The partition in which the first row of each group is found again, as `fleet#<group>`."""
OPEN_ALERTS = "alerts"
"""The partition in which the alerts of all devices are found again, as `alert#<rule>#<device>`."""


def device_partition(device_id: str) -> str:
    return f"{_DEVICE}{device_id}"


def device_of(partition: str) -> str:
    """The device_id whose rows lie in `partition`: the inverse of `device_partition`."""
    return partition.removeprefix(_DEVICE)


def is_of_a_device(partition: str) -> bool:
    """Whether rows of one device alone lie in `partition`."""
    return partition.startswith(_DEVICE)


def group_partition(group: str) -> str:
    """The partition of a group such as `site#berlin`, or `all`."""
    return f"{_GROUP}{group}"


def group_of(partition: str) -> str:
    """The group whose rows lie in `partition`: the inverse of `group_partition`."""
    return partition.removeprefix(_GROUP)


def is_of_a_group(partition: str) -> bool:
    """Whether rows of one group lie in `partition`."""
    return partition.startswith(_GROUP)


def latest_sort(metric: str) -> str:
    return f"latest#{metric}"


def rollup_sort(size: str, metric: str, window_start: int) -> str:
    """`size` as in the settings ("1m"), `window_start` in epoch milliseconds."""
    return f"rollup#{size}#{metric}#{key_time(window_start)}"


def key_time(at_ms: int) -> str:
    """A time as sort keys have it, whose order is that of times from year 1 to 9999."""
    return f"{datetime.fromtimestamp(at_ms // 1_000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def is_of_a_python_fold(row: ViewRow) -> bool:
    """Tell by the beginning of the sort key, which for a fold in Python is the fold's name."""
    return row.sort.partition("#")[0] not in ("latest", "rollup")
