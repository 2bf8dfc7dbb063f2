"""No engine: a loop in one Python process that folds into dicts. Nothing survives its end, and nothing is forgotten."""

import time
from collections.abc import Iterator

from bench.peers.rows import SIZES, Rollup, add_reading, first_reading, latest_row, rollup_row
from bench.peers.work import SETTINGS, Clock, KeptViews, Timing, Work
from connectors.archive import Archive
from schemas.codec import decode
from schemas.events import DeviceEvent
from schemas.view_rows import ViewUpdate, device_partition

_FLUSH_S = SETTINGS.job.flush_interval / 1000


def run(work: Work) -> Timing:
    archive, views, fold = Archive(work.inputs.archive), KeptViews(str(work.rows)), _Fold()
    clock = Clock(work.inputs.events)
    due = time.monotonic() + _FLUSH_S
    for done, record in enumerate(archive.read(), 1):
        fold.add(decode(record.data, record.arrival))
        if done == clock.half:
            clock.passed(done)
        if time.monotonic() >= due:
            views.write(list(fold.changes()))
            due = time.monotonic() + _FLUSH_S
    views.write(list(fold.changes()))
    views.close()
    return clock.timing()


class _Device:
    def __init__(self, device_id: str) -> None:
        self.partition = device_partition(device_id)
        self.seen: set[str] = set()
        self.latest: dict[str, tuple[int, int, float]] = {}
        self.rollups: dict[tuple[str, int, str, int], Rollup] = {}


class _Fold:
    def __init__(self) -> None:
        self._devices: dict[str, _Device] = {}
        self._latest_changed: set[tuple[_Device, str]] = set()
        self._rollups_changed: set[tuple[_Device, tuple[str, int, str, int]]] = set()

    def add(self, event: DeviceEvent) -> None:
        device = self._devices.get(event.device_id)
        if device is None:
            device = self._devices[event.device_id] = _Device(event.device_id)
        if event.event_id in device.seen:
            return
        device.seen.add(event.event_id)
        at = event.event_time
        for metric, value in event.metrics.items():
            reading = (at, event.sequence, value)
            held = device.latest.get(metric)
            if held is None or reading > held:
                device.latest[metric] = reading
                self._latest_changed.add((device, metric))
            for size, window_ms in SIZES:
                cell = (size, window_ms, metric, at - at % window_ms)
                rollup = device.rollups.get(cell)
                if rollup is None:
                    device.rollups[cell] = first_reading(value, at)
                else:
                    add_reading(rollup, value, at)
                self._rollups_changed.add((device, cell))

    def changes(self) -> Iterator[ViewUpdate]:
        """The rows that changed since the last call, each once."""
        for device, metric in self._latest_changed:
            at, _, value = device.latest[metric]
            yield latest_row(device.partition, metric, at, value)
        for device, cell in self._rollups_changed:
            yield rollup_row(device.partition, *cell, device.rollups[cell])
        self._latest_changed.clear()
        self._rollups_changed.clear()
