"""Owners of rows: what the folds of a job may write, and what is the bookkeeping's or another view's."""

from telefold.schemas.packed_rows import PACKED, is_packed
from telefold.schemas.row_limits import is_shared_partition
from telefold.schemas.view_rows import (
    ALL_GROUPS,
    LATEST,
    ROLLUPS,
    VIEWS,
    ViewUpdate,
    device_of,
    group_of,
    is_of_a_device,
    is_of_a_group,
    latest_sort,
)

_SORT_PREFIXES = {LATEST: latest_sort(""), ROLLUPS: "rollup#"}


def why_not_owned(row: ViewUpdate) -> str | None:
    """Why a job's fold does not own `row`; None if it does.

    Views of the JVM's lie with devices, rollups with groups, too. A fold in Python writes rows under its own name, with
    devices, with groups, or in a partition that it shares among all devices, such as `alerts`.
    """
    if not _is_a_partition_of(row.view, row.partition):
        return f"the partition {row.partition[:200]!r} is not one that the view {row.view[:100]!r} writes to"
    if row.view == PACKED:
        return None if is_packed(row.sort) else f"no item has the sort key {row.sort[:200]!r}"
    prefix = _SORT_PREFIXES.get(row.view)
    owned = row.sort.startswith(prefix) if prefix else row.sort == row.view or row.sort.startswith(row.view + "#")
    return None if owned else f"the sort key {row.sort[:200]!r} is not one of the view {row.view[:100]!r}"


def _is_a_partition_of(view: str, partition: str) -> bool:
    if is_of_a_device(partition):
        return device_of(partition) != ""
    if is_of_a_group(partition):
        return group_of(partition) != "" and view not in (LATEST, PACKED)
    if view in (*VIEWS, PACKED):
        return False
    return partition == ALL_GROUPS or is_shared_partition(partition)
