"""How soon a Redis that was emptied beside a running job has all that is hot again: `make bench-emptied`.

The table of the local stack is given the items of a day of devices with two metrics: blocks of 20 minutes and 20 hours,
and heads. The job fills Redis from it when it starts and, as devices go on reporting, after each FLUSHALL. Most of that
time is the local DynamoDB's, one process on one core, so the two halves are told apart: reading the table alone, and
writing what was read into Redis, in one thread.
"""

import sys
import tempfile
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
from telefold.connectors.retry_policy import RetryPolicy
from telefold.deploy.local.stack import LocalStack
from telefold.jobs import settings, stores
from telefold.jobs.settings import Settings
from telefold.planning import example_items
from telefold.schemas.generations import FIRST
from telefold.schemas.packed_rows import BLOCK_WINDOWS, block_prefix, with_closed_windows
from telefold.schemas.view_rows import ViewUpdate, device_partition, key_time
from telefold.simulator.generator import Spec
from tests.support.producer import Producer

_SIZES = {"1m": 60_000, "1h": 3_600_000}
_METRICS, _INTERVAL_MS = 2, 10_000
_KEPT_S = 90 * 86_400
_MOST_EVENTS = 10_000_000
_PATIENCE_S = 1_800.0

console = Console(stderr=True)


def main(
    devices: Annotated[int, typer.Option(min=1, help="Devices that the table has items of.")] = 1_000,
    hours: Annotated[int, typer.Option(min=1, help="How long they have reported.")] = 24,
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
            with closing(Producer(loaded, Spec(_MOST_EVENTS, devices, seed=1))) as producer:
                producer.start()
                seconds = [_emptied(loaded, redis) for _ in range(times)]
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
    """The items of one device that has reported for so many hours: what is in them is an example's, of another time."""
    expires_at = now // 1_000 + _KEPT_S
    for size, length in _SIZES.items():
        *_, block = example_items.blocks(_METRICS, _INTERVAL_MS, size, length)
        current = now - now % length
        begin = current - hours * 3_600_000 // length * length
        for start in range(begin, current, BLOCK_WINDOWS * length):
            sort = f"{block_prefix(size)}{key_time(start)}#{begin // 1_000}"
            yield msgspec.structs.replace(block, sort=sort, expires_at=expires_at)
    head, *_ = example_items.heads(_METRICS, _INTERVAL_MS, tuple(_SIZES.items()))
    yield msgspec.structs.replace(head, expires_at=expires_at)


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
