"""The room that rows take in Redis is what the sizing of a fleet says."""

import random
import time
from collections.abc import Iterator
from contextlib import closing

from redis import Redis

from bench.peers.rows import SIZES, add_reading, first_reading, latest_row, rise, rollup_row
from telefold.planning.sizing import DAY_S, Fleet, size
from telefold.schemas.view_rows import ViewUpdate, device_partition
from tests.support.open_stores import redis_writer

DEVICES, INTERVAL_MS = 10, 10_000
METRICS = ("temperature", "humidity")
DAY_MS = DAY_S * 1_000
BOUND = 1.1
"""The model is at most so many times what is measured, and at least that part of it."""


def used_bytes(redis_client: "Redis") -> int:
    return int(redis_client.info("memory")["used_memory"])


def day_of(metric: str, partition: str, day_ms: int) -> Iterator[ViewUpdate]:
    """The rows of a metric after a day of readings."""
    chance = random.Random(partition + metric)
    sent = [(at, round(chance.gauss(20, 0.5), 2)) for at in range(day_ms, day_ms + DAY_MS, INTERVAL_MS)]
    for label, length in SIZES:
        readings = length // INTERVAL_MS
        for first in range(0, len(sent), readings):
            at, value = sent[first]
            rollup = first_reading(value, at, 0, "e", 0.0)
            for held, (at, value) in zip(sent[first:], sent[first + 1 : first + readings], strict=False):
                add_reading(rollup, value, at, 0, "e", rise((held[0], 0, "e", held[1], 1), at, 0, "e", value))
            yield rollup_row(partition, label, length, metric, sent[first][0], rollup)
    yield latest_row(partition, metric, *sent[-1])


def test_rows_of_a_day_take_the_memory_that_the_sizing_says(redis_url: str, redis_client: "Redis") -> None:
    today_ms = time.time_ns() // 1_000_000 // DAY_MS * DAY_MS
    before = used_bytes(redis_client)
    with closing(redis_writer(redis_url)) as writer:
        for device in range(DEVICES):
            partition = device_partition(f"device-{device:06d}")
            rows = [row for metric in METRICS for row in day_of(metric, partition, today_ms)]
            assert writer.write(rows).written == len(rows)
    measured = used_bytes(redis_client) - before
    predicted = size(Fleet(DEVICES, INTERVAL_MS / 1_000, len(METRICS), retention_s=DAY_S)).redis_bytes
    assert measured / BOUND <= predicted <= measured * BOUND
