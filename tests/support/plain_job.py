"""A fold over a log as the job runs it, without Flink: chunks, timers, groups, and a checkpoint to fall back to."""

from collections.abc import Iterable, Sequence
from copy import deepcopy
from itertools import count
from random import Random
from typing import Any
from zlib import crc32

from telefold.operators.folds.fold import Fold
from telefold.operators.folds.groups import GroupRow, take_all
from telefold.operators.folds.state_codec import StateCodec
from telefold.operators.folds.taking import Due, Happening, Judged, Silent, take
from telefold.schemas.events import ArrivedEvent, DeviceEvent, heard_at
from telefold.schemas.rules import RuleChange
from telefold.schemas.view_rows import ViewUpdate

Log = list[tuple[DeviceEvent, int]]
"""Accepted events and their arrivals, in the order of these."""


class Stores:
    """What a store holds of all that is written, by its condition: what is not newer is passed over."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], ViewUpdate] = {}

    def write(self, updates: Iterable[ViewUpdate]) -> None:
        for update in updates:
            key = update.partition, update.sort
            if key not in self.rows or self.rows[key].version < update.version:
                self.rows[key] = update


class Job:
    """A fold over a log in two shards, a device in one of them: each is read at its own pace, in chunks.

    While it is `live` its timers fire by the time of the log, up to which both shards have been read; and once it may
    fall back to a checkpoint, and go on from there over what it has written since.
    """

    def __init__(self, fold: Fold[Any], log: Log, retention_ms: int | None, stores: Stores) -> None:
        self._kept, self._retention_ms, self._stores = StateCodec(fold), retention_ms, stores
        self._devices: dict[str, OneDevice] = {}
        self._groups: dict[str, dict[str, GroupRow]] = {}
        self._shards: dict[int, Log] = {}
        for event, arrival in log:
            self._shards.setdefault(crc32(event.device_id.encode()) % 2, []).append((event, arrival))
            self._devices.setdefault(event.device_id, OneDevice())

    def run(self, at: int, chunks: Sequence[int], live: bool, chance: Random, pokes: Sequence[RuleChange] = ()) -> None:
        """Up to the arrival `at`, when everything has been read, with chunks of one event behind the last of `chunks`;
        judged when rules come into force behind a device's last event.
        """
        falls_at, kept = chance.randint(0, 20), deepcopy((self._devices, self._groups, self._shards))
        for number in count():
            if number == falls_at // 2:
                kept = deepcopy((self._devices, self._groups, self._shards))
            if number == falls_at:
                self._devices, self._groups, self._shards = deepcopy(kept)
            if not (unread := [shard for shard, rest in sorted(self._shards.items()) if rest]):
                break
            if live:
                self._fire(min(self._shards[shard][0][1] for shard in unread) - 1)
            shard, size = chance.choice(unread), chunks[number] if number < len(chunks) else 1
            self._read(self._shards[shard][:size])
            del self._shards[shard][:size]
        for moment in sorted(change.in_force_at for change in pokes):
            if moment <= at:
                self._fire(moment - 1)
                for device_id, device in self._devices.items():
                    if device.heard_at < moment:
                        self._give(device_id, [Judged(moment)])
        self._fire(at)

    def _read(self, chunk: Log) -> None:
        """What came of each device at once."""
        for device_id in dict.fromkeys(event.device_id for event, _ in chunk):
            mine = [_arrived(event, arrival) for event, arrival in chunk if event.device_id == device_id]
            self._devices[device_id].heard_at = heard_at(mine[-1])
            self._give(device_id, mine)

    def _give(self, device_id: str, happened: Sequence[Happening]) -> None:
        device = self._devices[device_id]
        taken = take(self._kept, device_id, device.text, happened, self._retention_ms)
        assert not taken.failures, taken.failures
        device.text = taken.text
        device.timers.update(taken.armed)
        self._stores.write(taken.updates)
        for one in taken.contributions:
            rows = self._groups.setdefault(one.partition, {})
            take_all(rows, [one], lambda sort: None)
            self._stores.write(rows[one.sort].updates(one.partition, one.sort))

    def _fire(self, until: int) -> None:
        """The timers that are due by `until`, those of a device in their order."""
        for device_id, device in self._devices.items():
            while due := sorted(at for _, at in device.timers if at <= until):
                device.timers = {timer for timer in device.timers if timer[1] != due[0]}
                if device.text is not None and self._kept.timers(device.text)[0] == due[0]:
                    self._give(device_id, [Due(due[0])])
                if device.text is not None and self._kept.timers(device.text)[1] == due[0]:
                    self._give(device_id, [Silent(due[0])])


class OneDevice:
    """What Flink keeps of a device for a fold."""

    def __init__(self) -> None:
        self.text: str | None = None
        self.timers: set[tuple[str, int]] = set()
        self.heard_at = 0
        """The arrival of its newest event."""


def _arrived(event: DeviceEvent, arrival: int) -> ArrivedEvent:
    fields = {name: getattr(event, name) for name in event.__struct_fields__}
    return ArrivedEvent(**fields, arrival=arrival)
