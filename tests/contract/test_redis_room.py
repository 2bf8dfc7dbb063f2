"""The room that items take in Redis is what the sizing of a fleet says."""

import random
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from typing import Any, cast

import pytest
from redis import Redis

from bench.peers.rows import SIZES, add_reading, first_reading, latest_row, rise, rollup_row
from telefold.planning.example_items import metric_names
from telefold.planning.sizing import DAY_S, Fleet, size
from telefold.schemas.packed_rows import BLOCK_WINDOWS, HEAD, PACKED, block_prefix, pack
from telefold.schemas.view_rows import ViewRow, ViewUpdate, device_partition, key_time
from tests.support.open_stores import redis_writer

DAY_MS = DAY_S * 1_000
LOOK_S, LOOKS = 0.2, 8
WARM = 2
"""Devices of before the first look: with them the server has got ready to take any."""
BOUND = 1.1
"""The model is at most so many times what is measured, and at least that part of it."""


def used_bytes(redis_client: "Redis") -> int:
    """What lies in the server, without the buffers of connections, which come and go.

    The server counts what a connection takes at its next look only, one look a second: so what is returned has
    held for longer than that.
    """
    held: list[int] = []
    deadline = time.monotonic() + 30
    while len(held) < LOOKS:
        assert time.monotonic() < deadline, "the memory of the server does not settle"
        memory = cast("dict[str, Any]", redis_client.info("memory"))
        used = int(memory["used_memory"]) - int(memory["mem_clients_normal"])
        held = [*held, used] if used in held else [used]
        time.sleep(LOOK_S)
    return held[-1]


def rows_of(metric: str, partition: str, begins_ms: int, fleet: Fleet) -> Iterator[tuple[str, int, ViewRow]]:
    """The windows of a metric, each with its size and start; behind them, of no size, its newest reading.

    A device reports all of its metrics at once.
    """
    late, chance = random.Random(partition), random.Random(partition + metric)
    times = range(begins_ms, begins_ms + fleet.retention_s * 1_000, int(fleet.interval_ms))
    sent = [(at + late.randrange(100), round(chance.gauss(20, 0.5), 2)) for at in times]
    for label, length in SIZES:
        readings = int(length // fleet.interval_ms)
        for first in range(0, len(sent), readings):
            at, value = sent[first]
            rollup = first_reading(value, at, 0, "e", 0.0)
            for held, (at, value) in zip(sent[first:], sent[first + 1 : first + readings], strict=False):
                add_reading(rollup, value, at, 0, "e", rise((held[0], 0, "e", held[1], 1), at, 0, "e", value))
            rollup[1], rollup[4], rollup[9] = round(rollup[1], 2), float(f"{rollup[4]:.10g}"), round(rollup[9], 2)
            start = sent[first][0] - sent[first][0] % length
            yield label, start, row_of(rollup_row(partition, label, length, metric, start, rollup))
    yield "", 0, row_of(latest_row(partition, metric, *sent[-1]))


def row_of(update: ViewUpdate) -> ViewRow:
    return ViewRow(update.sort, update.version, update.data, update.expires_at)


def items_of(partition: str, begins_ms: int, fleet: Fleet) -> Iterator[ViewUpdate]:
    """The items of a device in the order of their writes: each block as it grows, and the head that is left."""
    windows: defaultdict[tuple[str, int], list[ViewRow]] = defaultdict(list)
    for metric in metric_names(fleet.metrics):
        for label, start, row in rows_of(metric, partition, begins_ms, fleet):
            windows[label, start].append(row)
    head = windows.pop(("", 0))
    blocks: defaultdict[str, list[ViewRow]] = defaultdict(list)
    for label, length in SIZES:
        *earlier, current = sorted(start for held, start in windows if held == label)
        head += windows[label, current]
        for start in earlier:
            sort = block_prefix(label) + key_time(start - start % (BLOCK_WINDOWS * length))
            blocks[sort] += windows[label, start]
            yield item(partition, sort, blocks[sort])
    yield item(partition, HEAD, head)


def item(partition: str, sort: str, rows: list[ViewRow]) -> ViewUpdate:
    expires = [row.expires_at for row in rows]
    expires_at = None if None in expires else max(at for at in expires if at is not None)
    return ViewUpdate(PACKED, partition, sort, max(row.version for row in rows), {}, expires_at, pack(rows))


@pytest.mark.parametrize(
    "fleet", [Fleet(2, 10, 2, retention_s=DAY_S), Fleet(2, 30, 5, retention_s=DAY_S)], ids=["2", "5"]
)
def test_items_of_a_day_take_the_memory_that_the_sizing_says(
    fleet: Fleet, redis_url: str, redis_client: "Redis"
) -> None:
    """Beside that of some devices more."""
    today_ms = time.time_ns() // 1_000_000 // DAY_MS * DAY_MS
    used: list[int] = []
    for device in range(WARM + fleet.devices):
        with closing(redis_writer(redis_url)) as writer:
            for written in items_of(device_partition(f"device-{device:06d}"), today_ms, fleet):
                assert writer.write([written]).written == 1
        used.append(used_bytes(redis_client))
    measured = used[-1] - used[WARM - 1]
    predicted = size(fleet).redis_bytes
    assert measured / BOUND <= predicted <= measured * BOUND
