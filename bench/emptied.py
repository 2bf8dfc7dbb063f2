"""How soon a Redis that was emptied beside a running job has all that is hot again: `make bench-emptied`.

The table of the local stack is given the items of a day of devices with two metrics: blocks of 20 minutes and 20 hours,
and heads. The job fills Redis from it when it starts and, as devices go on reporting, after each FLUSHALL. Most of that
time is the local DynamoDB's, one process on one core, so the two halves are told apart: reading the table alone, and
writing what was read into Redis, in one thread.
"""

import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Annotated

import msgspec
import typer
from redis import Redis
from rich.console import Console

from bench.freshness import RunningJob
from telefold.connectors import aws
from telefold.connectors.retry_policy import RetryPolicy
from telefold.deploy.local.stack import LocalStack
from telefold.jobs import settings, stores
from telefold.jobs.settings import Settings
from telefold.schemas.generations import FIRST
from telefold.schemas.packed_rows import (
    BLOCK_WINDOWS,
    HEAD,
    PACKED,
    ROLLUP_FIELDS,
    VERSIONS_A_TIME,
    block_prefix,
    pack,
    with_closed_windows,
)
from telefold.schemas.view_rows import ViewRow, ViewUpdate, device_partition, key_time, latest_sort, rollup_sort
from telefold.simulator import produce
from telefold.simulator.generator import Spec

_SIZES = {"1m": 60_000, "1h": 3_600_000}
_METRICS = ("temperature", "humidity")
_KEPT_S = 90 * 86_400
_PATIENCE_S = 1_800.0
_READINGS = 6

console = Console(stderr=True)


def main(
    devices: Annotated[int, typer.Option(min=1, help="Devices that the table has items of.")] = 1_000,
    hours: Annotated[int, typer.Option(min=1, help="How long they have reported.")] = 24,
    rate: Annotated[float, typer.Option(help="Events a second that come meanwhile.")] = 100.0,
    times: Annotated[int, typer.Option(min=1, help="How often Redis is emptied.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Fill the table, run the job, empty Redis, and wait until it is whole."""
    with tempfile.TemporaryDirectory() as folder, LocalStack(Path(folder) / "telefold") as stack:
        properties = Path(stack.status.properties)
        loaded = settings.load(properties)
        items = _fill(loaded, devices, hours)
        read_s, write_s = _halves(loaded)
        console.print(f"Reading the table alone takes {read_s:.1f} s, writing Redis alone {write_s:.1f} s.")
        with RunningJob(properties), Redis.from_url(loaded.views.redis_url) as redis:
            _await_whole(loaded)
            over = threading.Event()
            sender = threading.Thread(target=_send, args=(loaded, devices, rate, over), daemon=True)
            sender.start()
            seconds = [_emptied(loaded, redis) for _ in range(times)]
            over.set()
            sender.join()
    figures = {
        "devices": devices,
        "items": items,
        "whole_s": [round(one, 1) for one in seconds],
        "table_read_s": round(read_s, 1),
        "redis_written_s": round(write_s, 1),
    }
    if as_json:
        sys.stdout.write(msgspec.json.encode(figures).decode() + "\n")
    console.print(
        f"{items:,} items of {devices:,} devices were back {median(seconds):.1f} s after Redis was emptied"
        f" ({', '.join(f'{one:.1f}' for one in seconds)}): {items / median(seconds):,.0f} items/s. The local"
        f" DynamoDB reads {items / read_s:,.0f} items/s, and one thread writes {items / write_s:,.0f} items/s to Redis."
    )


def _fill(loaded: Settings, devices: int, hours: int) -> int:
    """Write the items of all devices into the table; how many those are."""
    of_one = list(_items(time.time_ns() // 1_000_000, hours))
    console.print(f"Writing {len(of_one) * devices:,} items of {devices:,} devices ...")
    with closing(stores.open_writer(loaded, lambda store: None)) as writer:
        for number in range(devices):
            partition = device_partition(f"device-{number}")
            writer.write([msgspec.structs.replace(one, partition=partition) for one in of_one])
            if (number + 1) % 500 == 0:
                console.print(f"  {number + 1:,} devices")
    with Redis.from_url(loaded.views.redis_url) as redis:
        redis.flushall()
    return len(of_one) * devices


def _items(now: int, hours: int) -> Iterator[ViewUpdate]:
    """The items of one device that has reported for so many hours."""
    for size, length in _SIZES.items():
        current = now - now % length
        begin = current - hours * 3_600_000 // length * length
        for start in range(begin, current, BLOCK_WINDOWS * length):
            starts = range(start, min(current, start + BLOCK_WINDOWS * length), length)
            rows = [_rollup(size, metric, at, length) for metric in _METRICS for at in starts]
            yield _item(f"{block_prefix(size)}{key_time(start)}#{begin // 1_000}", rows, now)
    latest = [ViewRow(latest_sort(name), now * VERSIONS_A_TIME + 1, {"value": 20.5, "at": now}) for name in _METRICS]
    windows = [_rollup(size, name, now - now % length, length) for size, length in _SIZES.items() for name in _METRICS]
    yield _item(HEAD, [*latest, *windows], now)


def _item(sort: str, rows: list[ViewRow], now: int) -> ViewUpdate:
    return ViewUpdate(PACKED, "", sort, now * VERSIONS_A_TIME, packed=pack(rows), expires_at=now // 1_000 + _KEPT_S)


def _rollup(size: str, metric: str, start: int, length: int) -> ViewRow:
    readings = [round(random.gauss(20, 1), 2) for _ in range(_READINGS)]
    mean, total = sum(readings) / _READINGS, round(sum(readings), 2)
    m2 = round(sum((value - mean) ** 2 for value in readings), 9)
    times = start + random.randrange(100), start + length - 1 - random.randrange(100)
    values = (_READINGS, total, min(readings), max(readings), m2, times[0], readings[0], times[1], readings[-1], 1.5)
    data = dict(zip(ROLLUP_FIELDS, values, strict=True))
    return ViewRow(rollup_sort(size, metric, start), _READINGS, data, (start + length) // 1_000 + _KEPT_S)


def _halves(loaded: Settings) -> tuple[float, float]:
    """Seconds to read the table, and to write what was read into Redis, as the job does both."""
    began = time.monotonic()
    with closing(stores.open_scan(loaded)) as scan:
        pages = [scan.page(0, 1)]
        while pages[-1].next_key is not None:
            pages.append(scan.page(0, 1, pages[-1].next_key))
    read = time.monotonic()
    with closing(stores.open_cache_writer(loaded, FIRST, RetryPolicy())) as writer:
        for page in pages:
            writer.write(with_closed_windows(update for _, update in page.rows))
    return read - began, time.monotonic() - read


def _send(loaded: Settings, devices: int, rate: float, over: threading.Event) -> None:
    with closing(aws.client("kinesis", loaded.source.region, loaded.source.endpoint)) as kinesis:
        records = produce.records_to_send(
            Spec(10_000_000, devices, seed=1), rate, None, lambda: time.time_ns() // 1_000_000
        )
        produce.send(kinesis, loaded.source.name, iter(lambda: None if over.is_set() else next(records), None), rate)


def _emptied(loaded: Settings, redis: "Redis") -> float:
    time.sleep(5)
    began = time.monotonic()
    redis.flushall()
    _await_whole(loaded)
    seconds = time.monotonic() - began
    console.print(f"Emptied, and whole after {seconds:.1f} s with {redis.dbsize():,} keys.")
    return seconds


def _await_whole(loaded: Settings) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    with closing(stores.open_marker(loaded)) as marker:
        while marker.whole_since() is None:
            if time.monotonic() > deadline:
                sys.exit(f"Redis was not whole within {_PATIENCE_S:.0f} s.")
            time.sleep(0.2)


if __name__ == "__main__":
    typer.run(main)
