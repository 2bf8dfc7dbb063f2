"""Questions about devices and groups, answered from one store."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Self, cast

from telefold.schemas.view_rows import (
    ALL_GROUPS,
    OPEN_ALERTS,
    ViewRow,
    device_partition,
    group_partition,
    latest_sort,
    rollup_sort,
)
from telefold.schemas.view_stores import ViewReader
from telefold.views.packed_reader import PackedReader, Span
from telefold.views.rollups import LATEST_PREFIX, ROLLUP_PREFIX, RollupKey, metric_of
from telefold.views.windows import Windows

# '#' ends each part of a key; this sorts right behind everything that such a part begins.
_BEHIND = chr(ord("#") + 1)


class Views:
    """Reads what the job keeps of devices and groups; each answer is of one generation of the views.

    Times are epoch milliseconds. A row is absent where nothing was folded into it, or where it has expired. Raises
    StoreUnavailable and StoreRefused as the store does. Close it, or use it in a `with` block.
    """

    def __init__(self, reader: ViewReader, rollup_sizes: Mapping[str, int]) -> None:
        self._reader = reader if isinstance(reader, PackedReader) else PackedReader(reader)
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
        rows = [row for row in reader.newest(partition) if _is_about(row, metric)]
        rows += [row for row in self._newest_before_the_current(reader, partition, rows) if _is_about(row, metric)]
        return _newest_windows_alone(rows)

    def _newest_before_the_current(
        self, reader: PackedReader, partition: str, rows: Sequence[ViewRow]
    ) -> Iterator[ViewRow]:
        """The newest windows of the metrics that the current ones have no reading of."""
        there = {row.sort for row in rows}
        latest = [row for row in rows if row.sort.startswith(LATEST_PREFIX)]
        for size, longest_ms in self._sizes.items():
            windows = Windows(size, longest_ms)
            for row in latest:
                metric = row.sort.removeprefix(LATEST_PREFIX)
                sort = rollup_sort(size, metric, windows.start(cast(int, row.data["at"])))
                if sort not in there and (found := reader.get(partition, sort)):
                    yield found
            if not latest:
                yield from reader.windows(partition, Span(size), limit=1)

    def latest(self, device_id: str, metric: str | None = None) -> list[ViewRow]:
        """The newest reading of each metric, or of the one that is given."""
        partition = device_partition(device_id)
        if metric is None:
            return self._reader.pinned().range(partition, LATEST_PREFIX)
        row = self._reader.pinned().get(partition, latest_sort(metric))
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
        start_ms = None if since_ms is None else Windows(size, self._sizes[size]).start(since_ms)
        reader = self._reader.pinned()
        return reader.windows(device_partition(device_id), Span(size, start_ms, until_ms), metric, limit)

    def groups(self) -> list[ViewRow]:
        """The first row of every group, whose sort key ends with the group's name."""
        return self._reader.range(ALL_GROUPS)

    def group(self, name: str) -> list[ViewRow]:
        """All rows of a group, such as `site#berlin` or `all`, but past windows of its rollups."""
        reader, partition = self._reader.pinned(), group_partition(name)
        rows, start = reader.range(partition, "fleet"), ""
        while found := reader.range(partition, ROLLUP_PREFIX, start, limit=1):
            key = RollupKey.of(found[0])
            rows += _newest_window(reader, partition, key.size, key.metric)
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


def _newest_windows_alone(rows: Iterable[ViewRow]) -> list[ViewRow]:
    """The rows by sort key, but of each size and metric the newest window alone."""
    newest = {
        row.sort.rpartition("#")[0] if row.sort.startswith(ROLLUP_PREFIX) else row.sort: row
        for row in sorted(rows, key=lambda row: row.sort)
    }
    return list(newest.values())


def _is_about(row: ViewRow, metric: str | None) -> bool:
    """Whether a row is of a metric, or of none at all; every row is where none is asked for."""
    return metric is None or metric_of(row) in (None, metric)


def _newest_window(reader: ViewReader, partition: str, size: str, metric: str) -> list[ViewRow]:
    return reader.range(partition, f"{ROLLUP_PREFIX}{size}#{metric}#", limit=1, newest_first=True)
