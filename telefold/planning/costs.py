"""The bill of a fleet a month on AWS, from its size and list prices.

`python -m telefold.planning.costs` prints a table of three fleets.
"""

from collections.abc import Mapping
from math import ceil
from typing import NamedTuple

import msgspec

from telefold.planning.prices import PRICES, Prices, RedisNode
from telefold.planning.sizing import DAY_S, KPU_DISK_BYTES, Fleet, Sizing, size
from telefold.schemas.setting_values import parse_sizes

HOURS = 730
"""The hours of a month."""
_SECONDS = HOURS * 3_600

ORCHESTRATION_KPUS = 1
KPU_DISK_GB = KPU_DISK_BYTES / 1e9
OTHER_SHARDS = 3
"""The shards of the streams of dead letters, alerts and rules, which keep records as long as the events' does."""
PUT_UNIT_BYTES = 25_000
PROVISIONED_USE = 0.7
"""The share of provisioned write units that is used: the target of auto scaling, which leaves room for peaks."""
REDIS_NODES = 2
"""The nodes of each shard: one that is written to, and its replica."""
REDIS_FULL = 0.75
"""The share of a node's memory for rows: a quarter is reserved, and the alarm is raised at three quarters."""
ENDPOINT_ZONES = 4
"""Two interface endpoints, in two zones each."""
_PACKED = 0.28
"""Bytes of the archive per byte of a record: a million records of 162 bytes are 45 MB in files."""


class Bill(msgspec.Struct, frozen=True):
    """US dollars a month, line by line."""

    flink_kpus: float
    flink_disk: float
    kinesis_shards: float
    kinesis_retention: float
    """What shards cost more for keeping records for more than a day."""
    kinesis_puts: float
    dynamodb_writes: float
    dynamodb_storage: float
    dynamodb_backup: float
    redis_nodes: float
    s3_archive: float
    """The price of keeping what arrives in one month, for a month; the archive grows by as much each month."""
    endpoints_and_rest: float

    @property
    def lines(self) -> Mapping[str, float]:
        return msgspec.structs.asdict(self)

    @property
    def total(self) -> float:
        return sum(self.lines.values())


class Redis(NamedTuple):
    """Nodes of one type: so many shards, each of a node and its replica."""

    node: RedisNode
    shards: int

    @property
    def hour(self) -> float:
        return self.node.hour * self.shards * REDIS_NODES


def monthly(fleet: Fleet, sizing: Sizing, prices: Prices = PRICES) -> Bill:
    shards = sizing.shards + OTHER_SHARDS
    table_gb = sizing.table_bytes / 1e9
    return Bill(
        flink_kpus=(sizing.kpus + ORCHESTRATION_KPUS) * prices.kpu_hour * HOURS,
        flink_disk=sizing.kpus * KPU_DISK_GB * prices.kpu_disk_gb,
        kinesis_shards=shards * prices.shard_hour * HOURS,
        kinesis_retention=shards * prices.retention_shard_hour * HOURS if fleet.stream_retention_s > DAY_S else 0.0,
        kinesis_puts=put_units(sizing) * prices.million_put_units / 1e6,
        dynamodb_writes=_writes(fleet, sizing, prices),
        dynamodb_storage=table_gb * prices.table_gb,
        dynamodb_backup=table_gb * prices.table_backup_gb,
        redis_nodes=redis_for(sizing.redis_bytes, prices).hour * HOURS,
        s3_archive=archive_gb(sizing) * prices.archive_gb,
        endpoints_and_rest=ENDPOINT_ZONES * prices.endpoint_hour * HOURS
        + events(sizing) * sizing.record_bytes / 1e9 * prices.endpoint_gb
        + prices.keys_alarms_logs,
    )


def events(sizing: Sizing) -> float:
    """The events of a month."""
    return sizing.events * _SECONDS


def put_units(sizing: Sizing) -> float:
    """The put units of a month: one for each event, and for each further 25 KB of it."""
    return events(sizing) * ceil(sizing.record_bytes / PUT_UNIT_BYTES)


def write_units(sizing: Sizing) -> float:
    """The write units of a month."""
    return sizing.writes * _SECONDS


def provisioned_units(sizing: Sizing) -> float:
    """The write units a second to provision."""
    return sizing.writes / PROVISIONED_USE


def archive_gb(sizing: Sizing) -> float:
    """The GB by which the archive grows in a month."""
    return events(sizing) * sizing.record_bytes * _PACKED / 1e9


def redis_for(held: float, prices: Prices = PRICES) -> Redis:
    """The cheapest nodes that have room for so many bytes; bigger ones than the last type cost as much a byte."""
    last = prices.redis_nodes[-1]
    fitting = [Redis(node, 1) for node in prices.redis_nodes if held <= _room(node)]
    return min([*fitting, Redis(last, max(1, ceil(held / _room(last))))], key=lambda redis: redis.hour)


def _room(node: RedisNode) -> float:
    """Bytes of rows that a node has room for."""
    return node.gib * 2**30 * REDIS_FULL


def _writes(fleet: Fleet, sizing: Sizing, prices: Prices) -> float:
    if fleet.provisioned:
        return provisioned_units(sizing) * prices.write_capacity_month
    return write_units(sizing) * prices.million_write_units / 1e6


_COLUMNS = (
    "events/s",
    "settings",
    "shards",
    "KPUs",
    "write units/s",
    "managed Flink",
    "Kinesis",
    "DynamoDB",
    "Redis",
    "rest",
    "a month",
)


def fleet(events: int, *, thrifty: bool) -> Fleet:
    """The fleet of the table: two metrics a device every 10 s; a week of rollups, by the defaults or thriftily."""
    week = 7 * DAY_S
    if not thrifty:
        return Fleet(events * 10, 10, 2, retention_s=week)
    return Fleet(events * 10, 10, 2, parse_sizes("5m,1h"), flush_ms=60_000, retention_s=week)


def table() -> str:
    """The costs of both ways, for 1 000, 10 000 and 100 000 events a second, as a table in Markdown."""
    lines = [_line(rate, thrifty) for rate in (1_000, 10_000, 100_000) for thrifty in (False, True)]
    return "\n".join([f"| {' | '.join(_COLUMNS)} |", "|---" * len(_COLUMNS) + "|", *lines])


def _line(rate: int, thrifty: bool) -> str:
    described = fleet(rate, thrifty=thrifty)
    sizing = size(described)
    bill = monthly(described, sizing)
    cells = [
        f"{rate:,}",
        "thrifty" if thrifty else "default",
        f"{sizing.shards}",
        f"{sizing.kpus} + {ORCHESTRATION_KPUS}",
        f"{sizing.writes:,.0f}",
        *(f"{_rounded(part):,}" for part in by_service(bill).values()),
        f"**{_rounded(bill.total):,} $**",
    ]
    return f"| {' | '.join(cells)} |"


def by_service(bill: Bill) -> dict[str, float]:
    """The bill of a month by service, in USD, in the order of the table's columns."""
    return {
        "managed Flink": bill.flink_kpus + bill.flink_disk,
        "Kinesis": bill.kinesis_shards + bill.kinesis_retention + bill.kinesis_puts,
        "DynamoDB": bill.dynamodb_writes + bill.dynamodb_storage + bill.dynamodb_backup,
        "Redis": bill.redis_nodes,
        "rest": bill.s3_archive + bill.endpoints_and_rest,
    }


def _rounded(dollars: float) -> int:
    """Round to two digits, and not below a dollar: no more is known."""
    digits = len(str(int(dollars)))
    return int(round(dollars, min(0, 2 - digits)))


if __name__ == "__main__":
    print(table())
