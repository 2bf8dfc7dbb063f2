"""What a row costs the stores' clients, and how much room it takes in Redis: `python -m bench.stores --rows 20000`.

The local stack's stores share this machine, so only the CPU of this process counts. Every row is a rollup, and is
written twice: new, and then with a higher version, which is what most writes are.
"""

import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from redis import Redis

from connectors.dynamodb import DynamoDbWriter
from connectors.redis_views import RedisWriter
from connectors.view_rows import batches
from deploy.local.stack import LocalStack
from jobs import settings
from schemas.view_rows import ROLLUPS, ViewUpdate, device_partition, rollup_sort
from schemas.view_stores import ViewWriter

_ROWS_A_BATCH = 400
_ROWS_A_DEVICE = 20
_HOUR_MS, _HOUR_START_MS = 3_600_000, 1_767_268_800_000


class Figures(msgspec.Struct, frozen=True):
    """CPU microseconds a row that is already there, and bytes; names as in `jobs.sizing.Costs`."""

    rows: int
    statement_us: float
    redis_row_us: float
    redis_row_bytes: float


def main(rows: Annotated[int, typer.Option(min=1_000, help="Rows of 20 windows a device.")] = 20_000) -> None:
    """Print the figures as JSON."""
    with tempfile.TemporaryDirectory() as folder, LocalStack(Path(folder) / "telefold") as stack:
        loaded = settings.load(Path(stack.status.properties))
        views = loaded.views
        with (
            closing(Redis.from_url(views.redis_url)) as server,
            closing(RedisWriter(views.redis_url)) as redis,
            closing(DynamoDbWriter(views.dynamodb_table, loaded.views_region, views.dynamodb_endpoint)) as dynamodb,
        ):
            before = server.info("memory")["used_memory"]
            redis_us = _us_a_row(redis, rows)
            taken = server.info("memory")["used_memory"] - before
            dynamodb_us = _us_a_row(dynamodb, rows)
    figures = Figures(rows, round(dynamodb_us, 1), round(redis_us, 1), round(taken / rows, 1))
    sys.stdout.write(msgspec.json.encode(figures).decode() + "\n")


def _us_a_row(writer: ViewWriter, rows: int) -> float:
    """Of the second time."""
    for version in (1, 2):
        updates = [_row(number, version) for number in range(rows)]
        began = time.process_time()
        for batch in batches(updates, _ROWS_A_BATCH):
            writer.write(batch)
        seconds = time.process_time() - began
    return seconds / rows * 1e6


def _row(number: int, version: int) -> ViewUpdate:
    device, window = divmod(number, _ROWS_A_DEVICE)
    start = _HOUR_START_MS + window * _HOUR_MS
    data = {
        "count": version, "sum": 43.51 + number, "min": 20.0, "max": 22.7, "sum_sq": 946.9 + number,
        "first_at": start + 1_234, "last_at": start + 58_123,
    }  # fmt: skip
    sort = rollup_sort("1m", "temperature", start)
    return ViewUpdate(ROLLUPS, device_partition(f"device-{device:06d}"), sort, version, data, 4_000_000_000)


if __name__ == "__main__":
    typer.run(main)
