"""Rollups of groups of devices: of all, and of those whose newest attribute has a value, when they sent a reading."""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache

from telefold.schemas.events import DeviceEvent
from telefold.schemas.view_rows import ROLLUPS, Value, rollup_sort
from telefold.verify.judges.groups import PARTITION
from telefold.verify.judges.known import EventOrder, Known, order_of
from telefold.verify.judges.rows import Row
from telefold.views.windows import Windows

_UNIT = 2**-50
"""A few times what one operation on doubles may be off, relatively."""

_Starts = list[tuple[str, int, int]]
"""Windows that a reading is in: label, start, and the end if it is as long as it can be."""

_shared_sort = lru_cache(maxsize=100_000)(rollup_sort)


class _Device:
    """A device. Its attributes are forgotten by arrivals of events that count, its counters by those of all it sent."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self.known = Known(names)
        self.counted = self.heard = 0
        """The greatest arrivals, of events that were accepted and with those that were sent twice."""
        self.newest: dict[str, tuple[EventOrder, float]] = {}
        """The newest reading, by metric."""
        self.groups: tuple[str, ...] = ()
        self.last: dict[str, tuple[_Starts, tuple[str, ...], list[_Rollup]]] = {}
        """The windows of the last reading, the groups that it counted in, and their rollups, by metric."""

    def forget(self, arrival: int, retention_ms: float) -> None:
        """Forget what is too old for an event of `arrival`. The two operators of the job differ by a millisecond."""
        if arrival - self.counted >= retention_ms:
            self.known, self.groups = Known(self._names), ()
        if arrival - self.heard > retention_ms:
            self.newest = {}

    def rise(self, metric: str, moment: EventOrder, value: float) -> float:
        before = self.newest.get(metric)
        if before is not None and moment <= before[0]:
            return 0.0
        self.newest[metric] = moment, value
        if before is None:
            return 0.0
        return value if value < before[1] else value - before[1]


class _Rollup:
    """Readings of one metric in one window."""

    __slots__ = (
        "changed", "count", "first_at", "increase", "last_at", "m2", "max", "mean", "min", "rises", "size", "sum",
        "window_end",
    )  # fmt: skip

    def __init__(self, window_end: int) -> None:
        self.window_end = window_end
        """The end of the window if it is as long as it can be."""
        self.changed = 0
        """The arrival of the last of its readings that was heard."""
        self.count = 0
        self.sum = self.mean = self.m2 = self.increase = self.size = self.rises = 0.0
        self.min, self.max = math.inf, -math.inf
        self.first_at, self.last_at = 2**62, 0

    def add(self, value: float, at: int, increase: float, arrival: int) -> None:
        self.changed = arrival
        self.count += 1
        self.sum += value
        off = value - self.mean
        self.mean += off / self.count
        self.m2 += off * (value - self.mean)
        self.size += abs(value)
        self.increase += increase
        self.rises += abs(increase)
        # Most readings are neither, and verify has millions of them.
        if value < self.min:
            self.min = value
        if value > self.max:
            self.max = value
        if at < self.first_at:
            self.first_at = at
        if at > self.last_at:
            self.last_at = at

    @property
    def data(self) -> dict[str, Value]:
        return {
            "count": self.count,
            "sum": self.sum,
            "min": self.min,
            "max": self.max,
            "m2": self.m2,
            "first_at": self.first_at,
            "last_at": self.last_at,
            "increase": self.increase,
        }

    @property
    def rounding(self) -> dict[str, float]:
        """How far two may be apart that add the same up in another order, or merge it.

        Of sums by what their terms come to without their signs; of `m2` by how far means may be off, which is by the
        last digits of readings, and with it each deviation.
        """
        off = _UNIT * (self.count + 8)
        squares = self.count * max(abs(self.min), abs(self.max)) ** 2
        deviations = off * math.sqrt(self.m2 * squares) + off**2 * squares
        return {"sum": off * self.size, "increase": off * self.rises, "m2": deviations}


class GroupRollups:
    """The rollups of all groups by `names` of attributes, in windows of `sizes`: label to milliseconds of the longest.

    A device that is silent for `retention_ms` is forgotten. Rows are kept for `retention_s`, None for ever. What
    arrives when the row of its window has ended adds nothing to it; nor, if rows have no end, what arrives
    `retention_ms` after the window.
    """

    def __init__(
        self, names: Sequence[str], sizes: Mapping[str, int], retention_s: int | None, retention_ms: int | None
    ) -> None:
        self._names, self._kept_s = names, retention_s
        self._windows = [(label, Windows(label, longest_ms)) for label, longest_ms in sizes.items()]
        self._retention_ms = math.inf if retention_ms is None else retention_ms
        self._counted_for_ms = self._retention_ms if retention_s is None else retention_s * 1_000
        self._devices: dict[str, _Device] = {}
        self.held: dict[tuple[str, str], _Rollup] = {}
        """Rollups by group and sort key."""
        self._rows: list[Row] | None = None

    def hear(self, event: DeviceEvent, arrival: int) -> None:
        device = self._devices.get(event.device_id)
        if device is None:
            device = self._devices[event.device_id] = _Device(self._names)
        else:
            device.forget(arrival, self._retention_ms)
        device.counted, device.heard = max(device.counted, arrival), max(device.heard, arrival)
        if device.known.hear(event) or not device.groups:
            values = (f"{name}#{one.value}" for name, one in device.known.attributes.items())
            device.groups = ("all", *values)
        if not event.metrics:
            return
        at, moment = event.event_time, order_of(event)
        windows: _Starts = []
        for label, size in self._windows:
            start = size.start(at)
            if arrival < start + size.longest_ms + self._counted_for_ms:
                windows.append((label, start, start + size.longest_ms))
        self._rows = None
        for metric, value in event.metrics.items():
            increase = device.rise(metric, moment, value)
            for rollup in self._rollups(device, metric, windows):
                rollup.add(value, at, increase, arrival)

    def _rollups(self, device: _Device, metric: str, windows: _Starts) -> list[_Rollup]:
        """Find those that a reading goes into, often those of the reading before."""
        last = device.last.get(metric)
        if last is not None and last[0] == windows and last[1] is device.groups:
            return last[2]
        found = []
        for label, start, end in windows:
            sort = _shared_sort(label, metric, start)
            for group in device.groups:
                rollup = self.held.get((group, sort))
                if rollup is None:
                    rollup = self.held[group, sort] = _Rollup(end)
                found.append(rollup)
        device.last[metric] = windows, device.groups, found
        return found

    def hear_again(self, device_id: str, arrival: int) -> None:
        """Note that a device sent an event twice: it counts nowhere, but the device was heard."""
        device = self._devices[device_id]
        if arrival - device.heard > self._retention_ms:
            device.newest = {}
        device.heard = max(device.heard, arrival)

    def rows(self) -> list[Row]:
        """All rows, which are the same at any time of the log behind its last event."""
        if self._rows is None:
            self._rows = [self._row(group, sort, one) for (group, sort), one in self.held.items()]
        return self._rows

    def _row(self, group: str, sort: str, one: _Rollup) -> Row:
        ends_at = None if self._kept_s is None else one.window_end // 1_000 + self._kept_s
        key = (f"{PARTITION}{group}", sort)
        return Row(ROLLUPS, *key, one.count, one.count, one.data, ends_at, one.changed, rounding=one.rounding)
