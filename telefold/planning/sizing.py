"""Streams, stores, state and KPUs that a fleet takes, predicted from its description. Nothing is asked of AWS.

The model is arithmetic over `Costs`, which were measured; it describes a job that has run for long enough to forget.
"""

from collections.abc import Callable, Mapping, Sequence
from math import ceil, inf
from statistics import fmean
from typing import Literal, NamedTuple

import msgspec

from telefold.connectors.settings import ViewSettings
from telefold.operators.settings import JobSettings
from telefold.planning.example_items import (
    DEVICE_ID,
    METRIC,
    UNIT_BYTES,
    blocks,
    due_items,
    heads,
    metric_names,
    parts,
)
from telefold.schemas.codec import encode
from telefold.schemas.events import DeviceEvent
from telefold.schemas.packed_rows import BLOCK_WINDOWS
from telefold.schemas.row_limits import item_bytes
from telefold.schemas.view_rows import ViewUpdate

_DEFAULTS = JobSettings()
_DEFAULT_RETENTION_S: int = ViewSettings.model_fields["retention_rollups_s"].default
_DEFAULT_FAST_RETENTION_S: int = ViewSettings.model_fields["retention_fast_s"].default
DAY_S = 86_400


class Costs(msgspec.Struct, frozen=True):
    """Costs of one event, device, row or item, as measured. CPU is in microseconds of one core, size in bytes."""

    event_us: float
    """The time to read, decode and deduplicate an event. As the next two and `state_ratio`, by `make bench-growth`."""
    device_us: float
    """The time to read and write the state of a device, once a flush in which it sent something."""
    row_us: float
    """The time to fold the readings of a row, batch it and take it out in Python, before any store is called."""
    state_ratio: float
    """Bytes of a checkpoint per byte of keys and values in state: indexes, filters, versions not yet compacted."""
    statement_us: float
    """The client's time to send an item to DynamoDB in one statement, by `make bench-stores`."""
    redis_item_us: float
    """The client's time to write an item to Redis: twice that of a row by the same, which writes six of a device with
    one call of the script; most calls of a job write one item."""
    redis_item_bytes: float
    """What an item takes in Redis beside its body: its key, its expiry, its part of the index, and what is left empty.
    `tests/contract/test_redis_room.py` holds it against a Redis."""


COSTS = Costs(
    event_us=15.4,
    device_us=22.7,
    row_us=3.5,
    state_ratio=1.03,
    statement_us=78.5,
    redis_item_us=14.2,
    redis_item_bytes=268.0,
)

CPU_HEADROOM = 2.0
"""KPUs are for so many times the CPU of steady load: a job that catches up, and cores slower than the measured ones."""
DISK_HEADROOM = 3.0
"""KPUs have disk for so many times the state: the copy for local recovery, and a compaction under way."""

KPU_DISK_BYTES = 50e9
KPU_NATIVE_BYTES = 1e9
"""The part of a KPU's 4 GB that is outside the heap: RocksDB caches state there, and Python takes part of it."""
KPUS_A_JOB = 64
"""The default quota."""
SHARD_RECORDS = 1_000
SHARD_BYTES = 1_000_000
"""The bytes that a shard takes a second, partition keys included."""
SHARD_SHARE = 0.8
"""The share of that which devices are to fill: their ids do not spread over the shards quite evenly."""
PARTITION_WRITES = 1_000
"""Write units a second that DynamoDB gives one partition key."""
TABLE_WRITES = 40_000
"""The default quota of an on-demand table."""


PartitionKey = Literal["device", "random", "constant"]


class Fleet(msgspec.Struct, frozen=True):
    """Devices that each report every `interval_s` seconds, and how the job is to be set."""

    devices: int
    interval_s: float
    metrics: int
    """Metrics in each event."""
    rollup_sizes: Mapping[str, int] = msgspec.field(default_factory=lambda: _DEFAULTS.rollup_sizes)
    """Label to milliseconds, as in the settings."""
    lateness_ms: int = _DEFAULTS.rollup_lateness_ms
    flush_ms: int = _DEFAULTS.flush_interval_ms
    durable_ms: int = _DEFAULTS.durable_interval_ms
    retention_s: int = _DEFAULT_RETENTION_S
    """The retention of rollups."""
    fast_retention_s: int = _DEFAULT_FAST_RETENTION_S
    """How long Redis keeps them."""
    key: PartitionKey = "device"
    """The partition key of producers: the device's id, one of its own for each event, or the same for all."""
    stream_retention_s: int = DAY_S
    """How long the stream keeps records; the default is that of the templates."""
    provisioned: bool = False
    """Whether the table's write units are provisioned, and not on demand."""

    @property
    def interval_ms(self) -> float:
        return self.interval_s * 1_000

    @property
    def series(self) -> int:
        """The number of series: metrics of all devices."""
        return self.devices * self.metrics


class Sizing(msgspec.Struct, frozen=True):
    """The size that a fleet needs. Rates are a second, sizes in bytes."""

    events: float
    record_bytes: int
    shards: int
    rows: float
    """Rows that change, after the changes of one device within a flush were made one."""
    items: float
    """Items written to Redis, into which these rows are packed: heads of devices, and blocks of closed windows."""
    durable_items: float
    """Items written to DynamoDB."""
    writes: float
    """Write units of DynamoDB."""
    device_writes: float
    """Write units of one device, part of `writes`."""
    head_bytes: float
    """An item of DynamoDB with the newest readings of a device, its current windows and the closed ones whose block is
    not over, or with a part of them; the mean."""
    block_bytes: float
    """The largest item with windows before those, once all that belong to it are over; 0 where there are no windows."""
    rows_kept: float
    items_kept: float
    """The items that these rows are in, in DynamoDB."""
    table_bytes: float
    redis_bytes: float
    state_bytes: float
    fold_cores: float
    store_cores: float
    """Cores for the stores' clients."""
    kpus: int
    """KPUs without the one that is billed for orchestration."""


def size(fleet: Fleet, costs: Costs = COSTS) -> Sizing:
    events = fleet.devices / fleet.interval_s
    record = record_bytes(fleet.metrics)
    rows = fleet.series * (1 + len(fleet.rollup_sizes)) / max(fleet.interval_s, fleet.flush_ms / 1_000)
    fast, durable = _fast_kinds(fleet), _durable_kinds(fleet)
    items, durable_items = (sum(kind.written for kind in kinds) for kinds in (fast, durable))
    statements = durable_items + sum(kind.missed for kind in durable)
    writes = sum(kind.units for kind in durable)
    rows_kept = fleet.series * (
        1 + sum(fleet.retention_s * 1_000 / max(fleet.interval_ms, length) for length in fleet.rollup_sizes.values())
    )
    remembered_ms = _PRUNED_EVERY * max(fleet.lateness_ms, _DEFAULTS.dedup_horizon_ms)
    state = serialised_state(fleet, remembered_ms) * costs.state_ratio
    fold_cores = events * fold_us(costs, fleet, rows / events) / 1e6
    store_cores = (statements * costs.statement_us + items * costs.redis_item_us) / 1e6
    return Sizing(
        events=events,
        record_bytes=record,
        shards=ceil(max(events / SHARD_RECORDS, events * record / SHARD_BYTES) / SHARD_SHARE),
        rows=rows,
        items=items,
        durable_items=durable_items,
        writes=writes,
        device_writes=writes / fleet.devices,
        head_bytes=fmean(map(item_bytes, durable[0].states)),
        block_bytes=max((item_bytes(kind.states[-1]) for kind in durable[1:]), default=0),
        rows_kept=rows_kept,
        items_kept=sum(kind.kept(lambda item: 1) for kind in durable),
        table_bytes=sum(kind.kept(lambda item: item_bytes(item) + _STORED_BYTES) for kind in durable),
        redis_bytes=sum(kind.kept(lambda item: len(item.packed or b"") + costs.redis_item_bytes) for kind in fast),
        state_bytes=state,
        fold_cores=fold_cores,
        store_cores=store_cores,
        kpus=ceil(max((fold_cores + store_cores) * CPU_HEADROOM, state * DISK_HEADROOM / KPU_DISK_BYTES)),
    )


_STORED_BYTES = 100
"""What DynamoDB bills for storage beside an item's own bytes."""


class _Kind(NamedTuple):
    """The items of a fleet that are alike: the heads of its devices, or their blocks of one window size."""

    states: Sequence[ViewUpdate]
    """An item of them each time that it is written, or at times spread over a while."""
    written: float
    """Items written a second."""
    missed: float
    """Items that an UPDATE does not find, a second, so that an INSERT follows."""
    whole: float
    """The items that stay as the last of `states`, or in all of them if no state follows another."""
    changing: float
    """The items that are still written, and so are in any of `states`."""

    @property
    def units(self) -> float:
        """Write units a second. An UPDATE that does not find its item takes a unit as well."""
        return self.written * fmean(ceil(item_bytes(state) / UNIT_BYTES) for state in self.states) + self.missed

    def kept(self, amount: Callable[[ViewUpdate], float]) -> float:
        """The sum of an amount of each item in the store."""
        whole = self.states[-1:] if self.changing else self.states
        return self.whole * fmean(map(amount, whole)) + self.changing * fmean(map(amount, self.states))


def _fast_kinds(fleet: Fleet) -> list[_Kind]:
    """The items of Redis, written with each flush: heads first, then blocks of each window size."""
    kept_s = min(fleet.retention_s, fleet.fast_retention_s)
    return [
        _heads_of(fleet, heads(*_of_a_part(fleet)), max(fleet.interval_ms, fleet.flush_ms)),
        *(
            _filling(fleet, label, length_ms, fleet.flush_ms, kept_s, is_missed=False)
            for label, length_ms in fleet.rollup_sizes.items()
        ),
    ]


def _durable_kinds(fleet: Fleet) -> list[_Kind]:
    """The items of DynamoDB, in the same order; they are written when they are due, or with each flush as well."""
    due_ms = max(fleet.interval_ms, fleet.flush_ms, fleet.durable_ms)
    filling = {
        label: _filling(fleet, label, length_ms, due_ms, fleet.retention_s, is_missed=fleet.durable_ms == 0)
        for label, length_ms in fleet.rollup_sizes.items()
        if length_ms > fleet.durable_ms
    }
    if fleet.durable_ms == 0:
        return [_heads_of(fleet, heads(*_of_a_part(fleet)), due_ms), *filling.values()]
    due = due_items(*_of_a_part(fleet), due_ms, fleet.durable_ms, is_whole=parts(fleet.metrics) == 1)
    held = [_written_once(fleet, states, due.cycle_ms) for states in due.blocks.values() if states]
    return [_heads_of(fleet, due.heads, due.cycle_ms / len(due.heads)), *held, *filling.values()]


def _of_a_part(fleet: Fleet) -> tuple[int, float, tuple[tuple[str, int], ...]]:
    return ceil(fleet.metrics / parts(fleet.metrics)), fleet.interval_ms, tuple(fleet.rollup_sizes.items())


def _heads_of(fleet: Fleet, states: Sequence[ViewUpdate], every_ms: float) -> _Kind:
    """Written for as long as their device exists. Parts of an item are items."""
    at_once = fleet.devices * parts(fleet.metrics)
    return _Kind(states, at_once * 1_000 / every_ms, missed=0, whole=0, changing=at_once)


def _written_once(fleet: Fleet, states: Sequence[ViewUpdate], cycle_ms: float) -> _Kind:
    """Blocks of which heads hold the windows at first, and that are written so often in a cycle."""
    at_once = fleet.devices * parts(fleet.metrics)
    whole = at_once * len(states) / cycle_ms
    return _Kind(states, whole * 1_000, missed=0, whole=whole * fleet.retention_s * 1_000, changing=0)


def _filling(fleet: Fleet, label: str, length_ms: int, due_ms: float, kept_s: int, *, is_missed: bool) -> _Kind:
    """Each device has one that still fills up, and those that are kept for as long as the last window in them."""
    at_once = fleet.devices * parts(fleet.metrics)
    filled_ms = max(fleet.interval_ms, BLOCK_WINDOWS * length_ms)
    window_ms = max(fleet.interval_ms, length_ms)
    written_ms = min(filled_ms, max(window_ms, due_ms))
    metrics, interval_ms, _ = _of_a_part(fleet)
    states = blocks(metrics, interval_ms, label, length_ms)
    windows_a_write = min(len(states), round(written_ms / window_ms))
    return _Kind(
        states[::-windows_a_write][::-1],
        written=at_once * 1_000 / written_ms,
        missed=at_once * 1_000 / filled_ms if is_missed else 0,
        whole=at_once * kept_s * 1_000 / filled_ms,
        changing=at_once,
    )


def fold_us(costs: Costs, fleet: Fleet, rows_an_event: float) -> float:
    """CPU microseconds an event, all but the stores' clients."""
    devices_an_event = rows_an_event / (fleet.metrics * (1 + len(fleet.rollup_sizes)))
    return costs.event_us + devices_an_event * costs.device_us + rows_an_event * costs.row_us


_EVENT_ID = "0" * 32


def record_bytes(metrics: int) -> int:
    """The size of an event with so many metrics, as a shard counts it: the newest schema, and the partition key."""
    event = DeviceEvent(
        event_id=_EVENT_ID,
        device_id=DEVICE_ID,
        type="telemetry",
        event_time=1_767_268_800_000,
        sequence=1_000_000,
        metrics=dict.fromkeys(metric_names(metrics), 21.5),
        attributes={"site": "berlin", "model": "th-200"},
    )
    return len(encode(event)) + len(DEVICE_ID)


_PRUNED_EVERY = 1.25
"""How many horizons are remembered at most: what lies behind the horizon is forgotten every quarter of it."""

# As `DeviceState`, `EventIds`, `Window`, `Readings` and `Latest` write themselves; a string has its length in front of
# it. What the keys of a device begin with RocksDB stores about once.
_ENTRY = 11
_CLOCK = _ENTRY + 3 + len(DEVICE_ID) + 62
_LATEST = 1 + len(METRIC) + 24
_WINDOW = 12
_NAMED, _ONE_READING, _READINGS = 1 + len(METRIC), 17, 57
_IDS_A_CHUNK = 16
_ID = 1 + len(_EVENT_ID) + (_ENTRY + 8 + 4 + 8) / _IDS_A_CHUNK


def serialised_state(fleet: Fleet, remembered_ms: float, since_ms: float = inf) -> float:
    """Bytes of keys and values of a job that has run for `since_ms` and forgets what is older than `remembered_ms`.

    A window is forgotten with its whole block, and so after so many windows more as a block has.
    """
    device = _CLOCK + float(fleet.metrics * _LATEST)
    for length in fleet.rollup_sizes.values():
        of_many = min(1.0, max(0.0, length / fleet.interval_ms - 1))
        window = _WINDOW + fleet.metrics * (_NAMED + _ONE_READING + of_many * (_READINGS - _ONE_READING))
        every_ms = max(fleet.interval_ms, length)
        held = min(remembered_ms + BLOCK_WINDOWS * length, since_ms - every_ms) / every_ms
        device += 1 + window + max(0.0, held) * (_ENTRY + 8 + window)
    ids = max(1.0, min(remembered_ms, since_ms) / fleet.interval_ms)
    return fleet.devices * (device + ids * _ID)
