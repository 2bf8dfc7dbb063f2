"""No engine: a loop in one Python process that folds into dicts. Nothing survives its end, and nothing is forgotten."""

import time
from collections.abc import Iterator

from bench.peers.fold import Device
from bench.peers.work import SETTINGS, Clock, KeptViews, Timing, Work
from telefold.connectors.archive import Archive
from telefold.schemas.codec import decode
from telefold.schemas.events import DeviceEvent
from telefold.schemas.view_rows import ViewUpdate

_FLUSH_S = SETTINGS.job.flush_interval_ms / 1000


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


class _Fold:
    def __init__(self) -> None:
        self._devices: dict[str, Device] = {}
        self._changed: dict[str, Device] = {}

    def add(self, event: DeviceEvent) -> None:
        device = self._devices.get(event.device_id)
        if device is None:
            device = self._devices[event.device_id] = Device.named(event.device_id)
        device.add(event)
        self._changed[event.device_id] = device

    def changes(self) -> Iterator[ViewUpdate]:
        """The rows that changed since the last call, each once."""
        for device in self._changed.values():
            yield from device.changes()
        self._changed.clear()
