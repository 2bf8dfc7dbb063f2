"""Questions about devices and groups, answered from one store."""

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Self, cast

from telefold.schemas.view_rows import (
    ALL_GROUPS,
    OPEN_ALERTS,
    ViewRow,
    device_partition,
    group_partition,
    latest_sort,
)
from telefold.schemas.view_stores import ViewReader
from telefold.views.rollups import LATEST_PREFIX, ROLLUP_PREFIX, RollupKey
from telefold.views.windows import Windows

# '#' ends each part of a key; this sorts right behind everything that such a part begins.
_BEHIND = chr(ord("#") + 1)


class Views:
    """Reads what the job keeps of devices and groups; each answer is of one generation of the views.

    Times are epoch milliseconds. A row is absent where nothing was folded into it, or where it has expired. Raises
    StoreUnavailable and StoreRefused as the store does. Close it, or use it in a `with` block.
    """

    def __init__(self, reader: ViewReader, rollup_sizes: Mapping[str, int]) -> None:
        self._reader = reader
        self._sizes = rollup_sizes

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._reader.close()

    @property
    def rollup_sizes(self) -> tuple[str, ...]:
        """The sizes of windows that the job keeps, the smallest first."""
        return tuple(sorted(self._sizes, key=lambda size: self._sizes[size]))

    def device(self, device_id: str, metric: str | None = None) -> list[ViewRow]:
        """Rows of a device but past windows, by sort key.

        They are latest values, of each size and metric the newest window, and the rows of folds in Python; of the first
        two those of one `metric` if it is given.
        """
        reader, partition = self._reader.pinned(), device_partition(device_id)
        before = reader.range(partition, end=ROLLUP_PREFIX)
        behind = reader.range(partition, start=ROLLUP_PREFIX[:-1] + _BEHIND)
        rows = [
            row
            for row in before + behind
            if metric is None or row.sort == latest_sort(metric) or not row.sort.startswith(LATEST_PREFIX)
        ]
        for size in self._sizes:
            for name in [metric] if metric else _metrics_with_windows(reader, partition, size):
                rows += _newest_windows(reader, partition, size, name, limit=1)
        return sorted(rows, key=lambda row: row.sort)

    def latest(self, device_id: str, metric: str | None = None) -> list[ViewRow]:
        """The newest reading of each metric, or of the one that is given."""
        partition = device_partition(device_id)
        if metric is None:
            return self._reader.range(partition, LATEST_PREFIX)
        row = self._reader.get(partition, latest_sort(metric))
        return [row] if row else []

    def rollups(
        self,
        device_id: str,
        metric: str | None = None,
        size: str | None = None,
        since_ms: int | None = None,
        until_ms: int | None = None,
        limit: int | None = None,
    ) -> list[ViewRow]:
        """Windows of one size, the smallest unless it is named, by metric and time: those that end after `since_ms`
        and start before `until_ms`, of each metric the newest `limit`. Raises KeyError for a size that is not kept.
        """
        size = size or self.rollup_sizes[0]
        start = "" if since_ms is None else _key_time(Windows(size, self._sizes[size]).start(since_ms))
        end = "" if until_ms is None else _key_time(until_ms)
        reader, partition = self._reader.pinned(), device_partition(device_id)
        metrics = [metric] if metric else list(_metrics_with_windows(reader, partition, size))
        return [row for name in metrics for row in _newest_windows(reader, partition, size, name, start, end, limit)]

    def groups(self) -> list[ViewRow]:
        """The first row of every group, whose sort key ends with the group's name."""
        return self._reader.range(ALL_GROUPS)

    def group(self, name: str) -> list[ViewRow]:
        """All rows of a group, such as `site#berlin` or `all`, but past windows of its rollups."""
        reader, partition = self._reader.pinned(), group_partition(name)
        rows, start = reader.range(partition, "fleet"), ""
        while found := reader.range(partition, ROLLUP_PREFIX, start, limit=1):
            key = RollupKey.of(found[0])
            rows += _newest_windows(reader, partition, key.size, key.metric, limit=1)
            start = f"{key.size}#{key.metric}{_BEHIND}"
        return rows

    def alerts(self, rule: str | None = None, severity: str | None = None, resolved: bool = False) -> list[ViewRow]:
        """The open alerts of all devices, the newest first, and with `resolved` those too that ended within a day."""
        rows = [
            row
            for row in self._reader.range(OPEN_ALERTS, f"alert#{rule}#" if rule else "alert#")
            if (resolved or row.data["state"] != "resolved") and severity in (None, row.data["severity"])
        ]
        return sorted(rows, key=lambda row: cast(int, row.data["since_at"]), reverse=True)

    def alert(self, device_id: str, rule: str) -> ViewRow | None:
        """The alert of a rule on a device, if it is open or ended within a day."""
        return self._reader.get(OPEN_ALERTS, f"alert#{rule}#{device_id}")

    def alert_history(self, device_id: str, rule: str | None = None) -> list[ViewRow]:
        """Every alert of a device within 90 days, by rule and time."""
        rows = self._reader.range(device_partition(device_id), f"alert#{rule}#" if rule else "alert#")
        return [row for row in rows if "began_at" in row.data]


def _metrics_with_windows(reader: ViewReader, partition: str, size: str) -> Iterator[str]:
    """The metrics that have windows of `size`: one small read each, however many windows there are."""
    start = ""
    while rows := reader.range(partition, f"{ROLLUP_PREFIX}{size}#", start, limit=1):
        metric = RollupKey.of(rows[0]).metric
        yield metric
        start = metric + _BEHIND


def _newest_windows(
    reader: ViewReader, partition: str, size: str, metric: str, start: str = "", end: str = "", limit: int | None = None
) -> list[ViewRow]:
    """The newest `limit` windows, the oldest first."""
    rows = reader.range(partition, f"{ROLLUP_PREFIX}{size}#{metric}#", start, end, limit, newest_first=True)
    return rows[::-1]


def _key_time(at: int) -> str:
    """The time as keys of windows have it. A bound between two whole seconds, where windows start, is the later one."""
    return f"{datetime.fromtimestamp(math.ceil(at / 1000), UTC):%Y-%m-%dT%H:%M:%SZ}"
