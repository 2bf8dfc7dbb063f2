"""Costs of a fleet a month on AWS, from its size and list prices. `python -m telefold.planning.costs` prints a table.

Prices are AWS's for us-east-1 on demand, without free tiers and savings plans; other regions differ.
"""

from math import ceil
from typing import NamedTuple

from telefold.planning.sizing import Fleet, Sizing, size
from telefold.schemas.setting_values import parse_sizes

HOURS = 730
_SECONDS = HOURS * 3_600

KPU_HOUR = 0.11
KPU_DISK = 5.0
"""The price of a month: 50 GB at 0.10."""
SHARD_HOUR, RETENTION_SHARD_HOUR = 0.015, 0.02
"""The second is for keeping events for more than a day, up to seven."""
MILLION_PUT_UNITS = 0.014
MILLION_WRITE_UNITS = 0.625
TABLE_GB, TABLE_BACKUP_GB = 0.25, 0.20
REDIS_GB_HOUR = 0.0134
"""The price of an hour and a GB of memory: a cache.r7g.large with Valkey has 13.07 GiB and costs 0.1752."""
REDIS_SMALLEST_GB, REDIS_NODES = 13.07, 2
REDIS_FULL = 0.75
"""The share of memory at which the alarm is raised."""
ARCHIVE_GB = 0.023
ENDPOINTS = 4 * 0.01 * HOURS
"""The price of two endpoints, in two zones each."""
REST = 15.0
"""The price of keys, secret, alarms, dashboard and logs."""
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
_PACKED = 0.28
"""Bytes of the archive per byte of a record: a million records of 162 bytes are 45 MB in files."""


class Costs(NamedTuple):
    """Costs in US dollars a month."""

    flink: float
    kinesis: float
    dynamodb: float
    redis: float
    rest: float
    """Endpoints, archive of a first month, keys and alarms."""

    @property
    def total(self) -> float:
        return sum(self)


def monthly(sizing: Sizing) -> Costs:
    events = sizing.events * _SECONDS
    return Costs(
        flink=(sizing.kpus + 1) * KPU_HOUR * HOURS + sizing.kpus * KPU_DISK,
        kinesis=sizing.shards * (SHARD_HOUR + RETENTION_SHARD_HOUR) * HOURS + events * MILLION_PUT_UNITS / 1e6,
        dynamodb=sizing.writes * _SECONDS * MILLION_WRITE_UNITS / 1e6
        + sizing.table_bytes / 1e9 * (TABLE_GB + TABLE_BACKUP_GB),
        redis=_redis(sizing.redis_bytes),
        rest=ENDPOINTS + events * sizing.record_bytes * _PACKED / 1e9 * ARCHIVE_GB + REST,
    )


def _redis(held: float) -> float:
    """Memory in steps of the smallest node, twice for the replica."""
    nodes = max(1, ceil(held / 2**30 / REDIS_FULL / REDIS_SMALLEST_GB))
    return nodes * REDIS_SMALLEST_GB * REDIS_GB_HOUR * HOURS * REDIS_NODES


def fleet(events: int, *, thrifty: bool) -> Fleet:
    """The fleet of the table: two metrics a device every 10 s; a week of rollups, by the defaults or thriftily."""
    week = 7 * 86_400
    if not thrifty:
        return Fleet(events * 10, 10, 2, retention_s=week)
    return Fleet(events * 10, 10, 2, parse_sizes("5m,1h"), flush_ms=60_000, retention_s=week)


def table() -> str:
    """The costs of both ways, for 1 000, 10 000 and 100 000 events a second, as a table in Markdown."""
    lines = [_line(rate, thrifty) for rate in (1_000, 10_000, 100_000) for thrifty in (False, True)]
    return "\n".join([f"| {' | '.join(_COLUMNS)} |", "|---" * len(_COLUMNS) + "|", *lines])


def _line(rate: int, thrifty: bool) -> str:
    sizing = size(fleet(rate, thrifty=thrifty))
    costs = monthly(sizing)
    cells = [
        f"{rate:,}",
        "thrifty" if thrifty else "default",
        f"{sizing.shards}",
        f"{sizing.kpus} + 1",
        f"{sizing.writes:,.0f}",
        *(f"{_rounded(part):,}" for part in costs),
        f"**{_rounded(costs.total):,} $**",
    ]
    return f"| {' | '.join(cells)} |"


def _rounded(dollars: float) -> int:
    """Round to two digits, and not below a dollar: no more is known."""
    digits = len(str(int(dollars)))
    return int(round(dollars, min(0, 2 - digits)))


if __name__ == "__main__":
    print(table())
