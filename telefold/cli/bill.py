"""The bill of a fleet, as people and programs read it."""

from collections.abc import Iterator
from typing import NamedTuple

from telefold.cli.tables import table
from telefold.cli.text_table import TextTable
from telefold.planning import costs
from telefold.planning.costs import Bill
from telefold.planning.prices import PRICES
from telefold.planning.sizing import DAY_S, KPU_DISK_BYTES, Fleet, Sizing

_TITLES = {
    "flink_kpus": "managed Flink, KPUs",
    "flink_disk": "managed Flink, disk",
    "kinesis_shards": "Kinesis, shards",
    "kinesis_retention": "Kinesis, retention",
    "kinesis_puts": "Kinesis, puts",
    "dynamodb_writes": "DynamoDB, writes",
    "dynamodb_storage": "DynamoDB, storage",
    "dynamodb_backup": "DynamoDB, backup",
    "redis_nodes": "Redis, nodes",
    "s3_archive": "S3, archive",
    "endpoints_and_rest": "endpoints and rest",
    "total": "total",
    "usd_device_month": "a device",
    "usd_million_events": "a million events",
}


class Answer(NamedTuple):
    """The fields of `--json` that say what a fleet costs."""

    usd_month: dict[str, float]
    """The lines of the bill, and `total`."""
    usd_device_month: float
    usd_million_events: float
    write_units_device_hour: float


def answer(fleet: Fleet, sizing: Sizing, bill: Bill) -> Answer:
    return Answer(
        usd_month={**bill.lines, "total": bill.total},
        usd_device_month=bill.total / fleet.devices,
        usd_million_events=bill.total / costs.events(sizing) * 1e6,
        write_units_device_hour=sizing.device_writes * 3_600,
    )


def bill_table(fleet: Fleet, sizing: Sizing, found: Answer) -> TextTable:
    """The table of the same fields, but for the write units, which are no dollars."""
    because = {**dict(_of_the_job(fleet, sizing)), **dict(_of_the_stores(fleet, sizing)), **_SUMS}
    amounts = {name: f"{dollars:,.2f}" for name, dollars in found.usd_month.items()}
    amounts["usd_device_month"] = f"{found.usd_device_month:,.4f}"
    amounts["usd_million_events"] = f"{found.usd_million_events:,.4f}"
    title = (
        f"A month of {costs.HOURS} hours in {PRICES.region}, by list prices: Kinesis and DynamoDB as of"
        f" {PRICES.looked_up}, the rest as known before"
    )
    lines = [(_TITLES[name], because[name], amount) for name, amount in amounts.items()]
    return table(title, ("line", "because", "USD"), lines, left=2)


_SUMS = {
    "total": "the lines above",
    "usd_device_month": "total / devices",
    "usd_million_events": "total / events of a month",
}


def _of_the_job(fleet: Fleet, sizing: Sizing) -> Iterator[tuple[str, str]]:
    yield "flink_kpus", f"{sizing.kpus:,} + {costs.ORCHESTRATION_KPUS} at {PRICES.kpu_hour:g} an hour"
    yield "flink_disk", f"{sizing.kpus:,} of {KPU_DISK_BYTES / 1e9:g} GB at {PRICES.kpu_disk_gb:g} a GB"
    shards = f"{sizing.shards:,}, and {costs.OTHER_SHARDS} of dead letters, alerts and rules"
    yield "kinesis_shards", f"{shards}, at {PRICES.shard_hour:g} an hour"
    yield "kinesis_retention", _of_retention(fleet)
    yield "kinesis_puts", f"{_millions(costs.put_units(sizing))} of 25 KB at {PRICES.million_put_units:g} a million"


def _of_retention(fleet: Fleet) -> str:
    if fleet.stream_retention_s == DAY_S:
        return "a day has no surcharge"
    hours = f"{fleet.stream_retention_s / 3_600:g} hours instead of 24"
    return f"{hours}: {PRICES.retention_shard_hour:g} an hour more for each of these shards"


def _of_the_stores(fleet: Fleet, sizing: Sizing) -> Iterator[tuple[str, str]]:
    yield "dynamodb_writes", _of_writes(fleet, sizing)
    yield "dynamodb_storage", f"{_gb(sizing.table_bytes / 1e9)} at {PRICES.table_gb:g} a GB"
    yield "dynamodb_backup", f"point-in-time recovery of these at {PRICES.table_backup_gb:g} a GB"
    yield "redis_nodes", _of_redis(sizing)
    yield (
        "s3_archive",
        f"the {_gb(costs.archive_gb(sizing))} of a first month at {PRICES.archive_gb:g} a GB",
    )
    yield "endpoints_and_rest", "two endpoints in two zones, what passes them, keys, secret, alarms, dashboard, logs"


def _of_writes(fleet: Fleet, sizing: Sizing) -> str:
    if fleet.provisioned:
        units = f"{costs.provisioned_units(sizing):,.0f} units/s provisioned, {costs.PROVISIONED_USE:.0%} of them used"
        return f"{units}, at {PRICES.write_capacity_month:g} a unit"
    return f"{_millions(costs.write_units(sizing))} on demand at {PRICES.million_write_units:g} a million"


def _of_redis(sizing: Sizing) -> str:
    node, shards = costs.redis_for(sizing.redis_bytes)
    pairs = "a pair" if shards == 1 else f"{shards:,} pairs"
    return f"{pairs} of {node.name} at {node.hour:g} an hour, {costs.REDIS_FULL:.0%} of each for rows"


def _millions(count: float) -> str:
    return f"{count / 1e6:,.0f} million units"


def _gb(count: float) -> str:
    return f"{count:,.1f} GB"
