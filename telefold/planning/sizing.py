"""Streams, stores, state and KPUs that a fleet takes, predicted from its description. Nothing is asked of AWS.

The model is arithmetic over `Costs`, which were measured; it describes a job that has run for long enough to forget.
"""

from collections.abc import Mapping
from math import ceil, inf
from typing import Literal

import msgspec

from telefold.connectors.settings import ViewSettings
from telefold.operators.settings import JobSettings
from telefold.schemas.codec import encode
from telefold.schemas.events import DeviceEvent

_DEFAULTS = JobSettings()
_DEFAULT_RETENTION_S: int = ViewSettings.model_fields["retention_rollups_s"].default
DAY_S = 86_400


class Costs(msgspec.Struct, frozen=True):
    """Costs of one event, device or row, as measured. CPU is in microseconds of one core, size in bytes."""

    event_us: float
    """The time to read, decode and deduplicate an event. As the next two and `state_ratio`, by `make bench-growth`."""
    device_us: float
    """The time to read and write the state of a device, once a flush in which it sent something."""
    row_us: float
    """The time to fold the readings of a row, batch it and take it out in Python, before any store is called."""
    state_ratio: float
    """Bytes of a checkpoint per byte of keys and values in state: indexes, filters, versions not yet compacted."""
    statement_us: float
    """The client's time to write a row to DynamoDB with one statement. As the next, by `make bench-stores`."""
    redis_row_us: float
    """The client's time to write a row to Redis."""
    redis_row_bytes: float
    """The size of a rollup of several readings in Redis, in a partition of a day or a week: its key, its expiry and its
    part of the index included. `tests/contract/test_redis_room.py` holds it against a Redis."""


COSTS = Costs(
    event_us=15.4,
    device_us=22.7,
    row_us=3.5,
    state_ratio=1.03,
    statement_us=78.5,
    redis_row_us=7.1,
    redis_row_bytes=670.0,
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
    retention_s: int = _DEFAULT_RETENTION_S
    """The retention of rollups."""
    key: PartitionKey = "device"
    """The partition key of producers: the device's id, one of its own for each event, or the same for all."""
    stream_retention_s: int = 7 * DAY_S
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
    """Rows written, after those of one device that changed within a flush were made one."""
    new_rows: float
    """Rows that are not in the stores yet, part of `rows`: all that a window has are new once."""
    writes: float
    """Write units of DynamoDB."""
    device_writes: float
    """Write units of one device, part of `writes`."""
    rows_kept: float
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
    new_rows = sum(fleet.series * 1_000 / max(fleet.interval_ms, length) for length in fleet.rollup_sizes.values())
    # A row that is not there costs the UPDATE that is refused, and the INSERT.
    writes = rows + new_rows
    rows_kept = fleet.series * (
        1 + sum(fleet.retention_s * 1_000 / max(fleet.interval_ms, length) for length in fleet.rollup_sizes.values())
    )
    remembered_ms = _PRUNED_EVERY * max(fleet.lateness_ms, _DEFAULTS.dedup_horizon_ms)
    state = serialised_state(fleet, remembered_ms) * costs.state_ratio
    fold_cores = events * fold_us(costs, fleet, rows / events) / 1e6
    store_cores = (writes * costs.statement_us + rows * costs.redis_row_us) / 1e6
    return Sizing(
        events=events,
        record_bytes=record,
        shards=ceil(max(events / SHARD_RECORDS, events * record / SHARD_BYTES) / SHARD_SHARE),
        rows=rows,
        new_rows=new_rows,
        writes=writes,
        device_writes=writes / fleet.devices,
        rows_kept=rows_kept,
        table_bytes=rows_kept * _ROW_BYTES,
        redis_bytes=rows_kept * costs.redis_row_bytes,
        state_bytes=state,
        fold_cores=fold_cores,
        store_cores=store_cores,
        kpus=ceil(max((fold_cores + store_cores) * CPU_HEADROOM, state * DISK_HEADROOM / KPU_DISK_BYTES)),
    )


def fold_us(costs: Costs, fleet: Fleet, rows_an_event: float) -> float:
    """CPU microseconds an event, all but the stores' clients."""
    devices_an_event = rows_an_event / (fleet.metrics * (1 + len(fleet.rollup_sizes)))
    return costs.event_us + devices_an_event * costs.device_us + rows_an_event * costs.row_us


_DEVICE_ID, _EVENT_ID, _NAME = "device-000001", "0" * 32, "metric-0001"


def record_bytes(metrics: int) -> int:
    """The size of an event with so many metrics, as a shard counts it: the newest schema, and the partition key."""
    event = DeviceEvent(
        event_id=_EVENT_ID,
        device_id=_DEVICE_ID,
        type="telemetry",
        event_time=1_767_268_800_000,
        sequence=1_000_000,
        metrics={f"{_NAME[:-4]}{number:04d}": 21.5 for number in range(metrics)},
        attributes={"site": "berlin", "model": "th-200"},
    )
    return len(encode(event)) + len(_DEVICE_ID)


_ROW_BYTES = 300
"""The size of a rollup as DynamoDB bills it: keys, names, numbers, and 100 bytes that it adds to every item.

A write takes one unit, as it is under 1 KB.
"""

_PRUNED_EVERY = 1.25
"""How many horizons are remembered at most: what lies behind the horizon is forgotten every quarter of it."""

# As `DeviceState`, `EventIds`, `Window`, `Readings` and `Latest` write themselves; a string has its length in front of
# it. What the keys of a device begin with RocksDB stores about once.
_ENTRY = 11
_CLOCK = _ENTRY + 3 + len(_DEVICE_ID) + 62
_LATEST = 1 + len(_NAME) + 24
_WINDOW = 12
_NAMED, _ONE_READING, _READINGS = 1 + len(_NAME), 17, 57
_IDS_A_CHUNK = 16
_ID = 1 + len(_EVENT_ID) + (_ENTRY + 8 + 4 + 8) / _IDS_A_CHUNK


def serialised_state(fleet: Fleet, remembered_ms: float, since_ms: float = inf) -> float:
    """Bytes of keys and values of a job that has run for `since_ms` and forgets what is older than `remembered_ms`."""
    device = _CLOCK + float(fleet.metrics * _LATEST)
    for length in fleet.rollup_sizes.values():
        of_many = min(1.0, max(0.0, length / fleet.interval_ms - 1))
        window = _WINDOW + fleet.metrics * (_NAMED + _ONE_READING + of_many * (_READINGS - _ONE_READING))
        every_ms = max(fleet.interval_ms, length)
        earlier = max(0.0, min(remembered_ms / every_ms, since_ms / every_ms - 1))
        device += 1 + window + earlier * (_ENTRY + 8 + window)
    ids = max(1.0, min(remembered_ms, since_ms) / fleet.interval_ms)
    return fleet.devices * (device + ids * _ID)
