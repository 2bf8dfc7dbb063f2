"""Prices of AWS in US dollars, the one place that has them. Free tiers, savings plans and reservations are left out."""

from datetime import date

import msgspec


class RedisNode(msgspec.Struct, frozen=True):
    """A type of node of ElastiCache, with Valkey."""

    name: str
    hour: float
    gib: float
    """GiB of memory, what is reserved included."""


class Prices(msgspec.Struct, frozen=True):
    """Prices of one region. A month has 730 hours."""

    region: str
    looked_up: date
    """The day on which they were looked up in AWS's price list."""
    unconfirmed: tuple[str, ...]
    """Fields below that were not looked up again on that day, and are as they were known before."""

    kpu_hour: float
    kpu_disk_gb: float
    """A GB and month of running application storage: 50 GB of each KPU are billed, of that for orchestration none."""
    shard_hour: float
    retention_shard_hour: float
    """An hour of a shard that keeps records for more than a day, and up to seven, beside `shard_hour`."""
    million_put_units: float
    million_write_units: float
    """A million write units of a table on demand."""
    write_capacity_month: float
    """A write unit a second, provisioned for a month."""
    million_read_units: float
    """A million read units of a table on demand; the bill has no line of reads, which depend on the readers."""
    table_gb: float
    table_backup_gb: float
    """A GB and month of point-in-time recovery."""
    redis_nodes: tuple[RedisNode, ...]
    """The last of them is the largest: of that one there are several where one does not do."""
    archive_gb: float
    """A GB and month of S3."""
    endpoint_hour: float
    """An hour of an interface endpoint in one zone."""
    endpoint_gb: float
    """A GB that passes through one."""
    keys_alarms_logs: float
    """A month of keys, the secret, alarms, the dashboard and logs, estimated."""


PRICES = Prices(
    region="us-east-1",
    looked_up=date(2026, 11, 29),
    unconfirmed=(
        "kpu_hour",
        "kpu_disk_gb",
        "redis_nodes",
        "archive_gb",
        "endpoint_hour",
        "endpoint_gb",
        "keys_alarms_logs",
    ),
    kpu_hour=0.11,
    kpu_disk_gb=0.10,
    shard_hour=0.015,
    retention_shard_hour=0.02,
    million_put_units=0.014,
    million_write_units=0.625,
    write_capacity_month=0.4745,
    million_read_units=0.125,
    table_gb=0.25,
    table_backup_gb=0.20,
    redis_nodes=(
        RedisNode("cache.t4g.small", 0.026, 1.37),
        RedisNode("cache.t4g.medium", 0.052, 3.09),
        RedisNode("cache.m7g.large", 0.1264, 6.38),
        RedisNode("cache.r7g.large", 0.1752, 13.07),
    ),
    archive_gb=0.023,
    endpoint_hour=0.01,
    endpoint_gb=0.01,
    keys_alarms_logs=15.0,
)
