"""The whole fold of one device, as contenders that fold in Python and keep their state in memory do it."""

from collections.abc import Iterator

import msgspec

from bench.peers.rows import SIZES, Newest, Rollup, add_reading, first_reading, latest_row, newest, rise, rollup_row
from telefold.schemas.events import DeviceEvent
from telefold.schemas.view_rows import ViewUpdate, device_partition

Cell = tuple[str, int, str, int]
"""The size of a window, its length in milliseconds, the metric, and the window's start in epoch milliseconds."""


class Device(msgspec.Struct):
    """What was folded, and which of its rows changed since they were last taken. Nothing is ever forgotten."""

    partition: str
    seen: set[str] = msgspec.field(default_factory=set)
    latest: dict[str, Newest] = msgspec.field(default_factory=dict)
    rollups: dict[Cell, Rollup] = msgspec.field(default_factory=dict)
    latest_changed: set[str] = msgspec.field(default_factory=set)
    rollups_changed: set[Cell] = msgspec.field(default_factory=set)

    @classmethod
    def named(cls, device_id: str) -> "Device":
        return cls(device_partition(device_id))

    def add(self, event: DeviceEvent) -> None:
        if event.event_id in self.seen:
            return
        self.seen.add(event.event_id)
        at = event.event_time
        for metric, value in event.metrics.items():
            held = self.latest.get(metric)
            rose = rise(held, at, event.sequence, event.event_id, value)
            reading = newest(held, at, event.sequence, event.event_id, value)
            if reading is not held:
                self.latest[metric] = reading
                self.latest_changed.add(metric)
            for size, window_ms in SIZES:
                cell = (size, window_ms, metric, at - at % window_ms)
                rollup = self.rollups.get(cell)
                if rollup is None:
                    self.rollups[cell] = first_reading(value, at, event.sequence, event.event_id, rose)
                else:
                    add_reading(rollup, value, at, event.sequence, event.event_id, rose)
                self.rollups_changed.add(cell)

    def changes(self) -> Iterator[ViewUpdate]:
        """The rows that changed since the last call, each once."""
        for metric in self.latest_changed:
            at, _, _, value, readings = self.latest[metric]
            yield latest_row(self.partition, metric, at, value, readings)
        for cell in self.rollups_changed:
            yield rollup_row(self.partition, *cell, self.rollups[cell])
        self.latest_changed.clear()
        self.rollups_changed.clear()
