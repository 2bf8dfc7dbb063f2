"""Advice on a fleet's size: limits that it meets, and settings that would make it smaller."""

from collections.abc import Iterator

import msgspec

from telefold.operators.settings import JobSettings
from telefold.planning.example_items import UNIT_BYTES
from telefold.planning.sizing import (
    DAY_S,
    KPU_NATIVE_BYTES,
    KPUS_A_JOB,
    PARTITION_WRITES,
    SHARD_BYTES,
    SHARD_RECORDS,
    TABLE_WRITES,
    Fleet,
    Sizing,
    size,
)
from telefold.schemas.setting_values import duration_text

_FEW_WRITES = 1_000
_MUCH_REDIS_BYTES = 50e9
_LONG_DURABLE_MS = 600_000
_WORTH_IT = 0.9
"""A change that leaves more than this of what there was is not worth a word."""


def advice(fleet: Fleet, sizing: Sizing) -> list[str]:
    """Sentences of advice, each with the setting or quota in it."""
    return [
        *_of_keys(fleet, sizing),
        *_of_one_device(fleet, sizing),
        *_of_quotas(sizing),
        *_of_the_stores(fleet, sizing),
        *_of_tasks(fleet, sizing),
        *_of_state(sizing),
    ]


def _of_keys(fleet: Fleet, sizing: Sizing) -> Iterator[str]:
    match fleet.key:
        case "constant":
            share = max(sizing.events / SHARD_RECORDS, sizing.events * sizing.record_bytes / SHARD_BYTES)
            enough = "which is enough for this fleet but for no greater one" if share <= 1 else "which is not enough"
            yield (
                f"A constant partition key puts all {sizing.events:,.0f} events a second into one shard, {enough},"
                " however many there are: use the device's id."
            )
        case "random":
            yield (
                "Random partition keys spread a device's events over all shards, where they have no order: while the"
                " job catches up with one shard before another they become too late, and presence and alerts are as"
                " they happen to come. Use the device's id; the metric otherKeys counts the events that do not."
            )


def _of_one_device(fleet: Fleet, sizing: Sizing) -> Iterator[str]:
    if max(1 / SHARD_RECORDS, sizing.record_bytes / SHARD_BYTES) > fleet.interval_s:
        yield (
            "One device sends more than a shard takes (1 000 records or 1 MB a second), and its events all go to one"
            " shard: let it send less often, or be several devices."
        )
    if sizing.device_writes > PARTITION_WRITES:
        yield (
            f"One device takes {sizing.device_writes:,.0f} write units a second, and DynamoDB gives a partition key"
            f" {PARTITION_WRITES:,}: raise durable.interval, or send fewer metrics."
        )


def _of_quotas(sizing: Sizing) -> Iterator[str]:
    if sizing.writes > TABLE_WRITES:
        yield f"DynamoDB's default quota is {TABLE_WRITES:,} write units a second for a table: have it raised."
    if sizing.kpus > KPUS_A_JOB:
        yield f"The default quota of an application is {KPUS_A_JOB} KPUs: have it raised, or split the fleet."


def _of_the_stores(fleet: Fleet, sizing: Sizing) -> Iterator[str]:
    longer_ms = max(_LONG_DURABLE_MS, 2 * fleet.durable_ms)
    slower = size(msgspec.structs.replace(fleet, durable_ms=longer_ms))
    if sizing.writes >= _FEW_WRITES and slower.writes < _WORTH_IT * sizing.writes:
        yield (
            f"DynamoDB may be further behind: durable.interval = {duration_text(longer_ms)} would take"
            f" {slower.writes:,.0f} write units a second instead of {sizing.writes:,.0f}. Redis is as fresh as before."
        )
    elif sizing.writes >= _FEW_WRITES and fleet.interval_ms >= fleet.durable_ms:
        yield (
            "No device reports twice before its rows are due, so every event writes its head: a durable.interval well"
            f" beyond the {fleet.interval_s:g} s between events makes fewer writes{_or_smaller_ones(sizing)}."
        )
    shorter = size(msgspec.structs.replace(fleet, fast_retention_s=DAY_S))
    if sizing.redis_bytes > _MUCH_REDIS_BYTES and shorter.redis_bytes < _WORTH_IT * sizing.redis_bytes:
        yield (
            f"Redis holds rollups for {min(fleet.retention_s, fleet.fast_retention_s) / DAY_S:,.0f} days:"
            f" retention.fast = 1d would take {shorter.redis_bytes / 1e9:,.1f} GB of it instead of"
            f" {sizing.redis_bytes / 1e9:,.1f} GB; readers get older ones from DynamoDB."
        )


def _or_smaller_ones(sizing: Sizing) -> str:
    if sizing.head_bytes <= UNIT_BYTES:
        return ""
    return f", and fewer metrics make smaller ones, of a unit for each {UNIT_BYTES:,} bytes"


def _of_tasks(fleet: Fleet, sizing: Sizing) -> Iterator[str]:
    flush_size = JobSettings().flush_size
    rows_a_flush = sizing.rows * fleet.flush_ms / 1_000 / sizing.kpus
    if rows_a_flush > flush_size:
        yield (
            f"A task gathers {rows_a_flush:,.0f} rows in a flush and sends them off at a flush.size of {flush_size:,}:"
            " raise flush.size, or more items are written than this says."
        )


def _of_state(sizing: Sizing) -> Iterator[str]:
    state = sizing.state_bytes / sizing.kpus
    if state > KPU_NATIVE_BYTES:
        yield (
            f"A KPU has {state / 1e9:,.1f} GB of state and {KPU_NATIVE_BYTES / 1e9:g} GB outside the heap to cache it"
            " in: much of it is read from disk, which CPU as measured does not include."
        )
