"""`telefold query`: what the views say about a device, read from either store."""

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Annotated

import msgspec
import orjson
import typer
from rich.console import Console
from rich.table import Table

from connectors import aws
from connectors.memory import MemoryViews
from jobs import settings, stores
from jobs.log import Log, of_device, open_archive
from jobs.properties import DEFAULT_PATH
from jobs.reckoning import current_views
from jobs.stores import StoreName
from jobs.times import ALLOWED, parse_time
from schemas.errors import UsageError
from schemas.view_rows import ViewRow, device_partition, latest_sort
from schemas.view_stores import ViewReader
from views.oracle import fold
from views.present import (
    LATEST_PREFIX,
    ROLLUP_PREFIX,
    RollupKey,
    counted,
    counting,
    latest_table,
    newest_rollups_table,
    number,
    other_rows_table,
    printable,
    rollups_tables,
    time_text,
)

app = typer.Typer(help="Read the views of a device.", no_args_is_help=True)

DEFAULT_WINDOWS = 60
# '#' ends each part of a key; this sorts right behind everything that such a part begins.
_BEHIND = chr(ord("#") + 1)


Id = Annotated[str, typer.Argument(metavar="ID", help="The device, such as device-1.")]
Metric = Annotated[str | None, typer.Option(help="This metric alone.")]
Limit = Annotated[int | None, typer.Option(min=1, help="At most so many rows.")]
StoreOption = Annotated[StoreName, typer.Option(help="The store to read: the durable one or the fast one.")]
Properties = Annotated[Path, typer.Option(help="The job's application_properties.json.")]
Json = Annotated[bool, typer.Option("--json", help="Print the rows as JSON.")]


@app.command()
def device(
    id: Id,  # noqa: A002 - shown to people
    metric: Metric = None,
    limit: Limit = None,
    as_of: Annotated[
        str | None,
        typer.Option(help=f"What the views held when the log was read up to this time of arrival: {ALLOWED}."),
    ] = None,
    store: StoreOption = "dynamodb",
    properties: Properties = DEFAULT_PATH,
    json: Json = False,
) -> None:
    """Everything about a device but past windows: latest values, the newest rollups, and all other rows."""
    loaded = settings.load(properties)
    partition = device_partition(id)
    at = _time("as-of", as_of)
    with closing(stores.open_reader(loaded, store) if at is None else _fold_up_to(loaded, id, at)) as reader:
        rows = sorted(_device_rows(reader, partition, metric, loaded.job.rollup_sizes), key=lambda row: row.sort)
    missing = None if at is None else f"{id} had no rows yet at {time_text(at)} UTC, or none that were kept so long."
    _show(partition, rows[:limit], _device_tables, json, missing)


@app.command()
def latest(
    id: Id,  # noqa: A002
    metric: Metric = None,
    limit: Limit = None,
    store: StoreOption = "dynamodb",
    properties: Properties = DEFAULT_PATH,
    json: Json = False,
) -> None:
    """The newest reading of each metric."""
    partition = device_partition(id)
    with closing(stores.open_reader(settings.load(properties), store)) as reader:
        rows = _latest_rows(reader, partition, metric)
    _show(partition, rows[:limit], lambda found: [latest_table(found)], json)


@app.command()
def rollups(
    id: Id,  # noqa: A002
    metric: Metric = None,
    size: Annotated[str | None, typer.Option(help="The windows' size; without it, the smallest there is.")] = None,
    since: Annotated[str | None, typer.Option(help=f"Windows that end after this time: {ALLOWED}.")] = None,
    until: Annotated[str | None, typer.Option(help="Windows that start before this time.")] = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help=f"The newest so many of each metric; {DEFAULT_WINDOWS} unless --since is given."),
    ] = None,
    store: StoreOption = "dynamodb",
    properties: Properties = DEFAULT_PATH,
    json: Json = False,
) -> None:
    """Count, mean, least, greatest and standard deviation a window, the newest last."""
    loaded = settings.load(properties)
    sizes = loaded.job.rollup_sizes
    size = size or min(sizes, key=lambda label: sizes[label])
    if size not in sizes:
        raise UsageError([f"--size is {size}, but must be one of telefold.job/rollup.sizes: {', '.join(sizes)}."])
    start, end = _bounds(since, until, sizes[size])
    limit = limit or (None if since else DEFAULT_WINDOWS)
    partition = device_partition(id)
    with closing(stores.open_reader(loaded, store)) as reader:
        metrics = [metric] if metric else list(_rolled_up_metrics(reader, partition, size))
        rows = [row for name in metrics for row in _windows(reader, partition, size, name, start, end, limit)]
    _show(partition, rows, rollups_tables, json)


def _fold_up_to(loaded: settings.Settings, device_id: str, at: int) -> ViewReader:
    """The views of one device as the log up to the arrival time `at` has them, seen at that time.

    Late events and corrections that had arrived are judged as the current generation of the views judges them.
    """
    open_archive(loaded)
    now = current_views(loaded)
    job, source = loaded.folding(now.fold).job, loaded.source
    is_its = of_device(device_id)
    with (
        closing(aws.client("kinesis", source.region, source.endpoint)) as kinesis,
        counting("Reading the log") as tell,
    ):
        log = Log(loaded.despite_holes(), kinesis)
        records = [
            record
            for record in counted(chain(log.archived(until_ms=at + 1), log.fresh()), tell)
            if record.arrival <= at and is_its(record)
        ]
    for hole in log.holes:
        _warn(f"The archive lacks records of {hole}.")
    folded = fold(records, job.rollup_sizes, job.rollup_lateness, loaded.views.retention, now.cut)
    if folded.sent:
        _say_as_of(device_id, at, folded.sent)
    views = MemoryViews(clock=lambda: at / 1000)
    views.write(list(folded.rows.values()))
    return views


def _warn(line: str) -> None:
    Console(stderr=True).print(line, soft_wrap=True, highlight=False, markup=False)


def _say_as_of(device_id: str, at: int, records: int) -> None:
    name = printable(device_id)
    Console(stderr=True).print(
        f"{name} as of {time_text(at)} UTC, folded from {number(records)} records of the log.\n"
        f"Next: `telefold query device {name}` shows it now, `telefold verify --device {name}` checks that.",
        soft_wrap=True,
        highlight=False,
        markup=False,
    )


def _device_rows(reader: ViewReader, partition: str, metric: str | None, sizes: dict[str, int]) -> Iterator[ViewRow]:
    for row in _rows_without_rollups(reader, partition):
        if metric is None or row.sort == latest_sort(metric) or not row.sort.startswith(LATEST_PREFIX):
            yield row
    for size in sizes:
        for name in [metric] if metric else _rolled_up_metrics(reader, partition, size):
            yield from _windows(reader, partition, size, name, limit=1)


def _rows_without_rollups(reader: ViewReader, partition: str) -> list[ViewRow]:
    before = reader.range(partition, end=ROLLUP_PREFIX)
    return before + reader.range(partition, start=ROLLUP_PREFIX[:-1] + _BEHIND)


def _latest_rows(reader: ViewReader, partition: str, metric: str | None) -> list[ViewRow]:
    if metric is None:
        return reader.range(partition, LATEST_PREFIX)
    row = reader.get(partition, latest_sort(metric))
    return [row] if row else []


def _rolled_up_metrics(reader: ViewReader, partition: str, size: str) -> Iterator[str]:
    """The metrics that have windows of `size`: one small read each, however many windows there are."""
    start = ""
    while rows := reader.range(partition, f"{ROLLUP_PREFIX}{size}#", start, limit=1):
        metric = RollupKey.of(rows[0]).metric
        yield metric
        start = metric + _BEHIND


def _windows(
    reader: ViewReader, partition: str, size: str, metric: str, start: str = "", end: str = "", limit: int | None = None
) -> list[ViewRow]:
    rows = reader.range(partition, f"{ROLLUP_PREFIX}{size}#{metric}#", start, end, limit, newest_first=True)
    return rows[::-1]


def _bounds(since: str | None, until: str | None, size_ms: int) -> tuple[str, str]:
    """Bounds of the windows' starts as their keys write them."""
    first, behind = _time("since", since), _time("until", until)
    start = "" if first is None else _key_time(first - first % size_ms)
    return start, "" if behind is None else _key_time(behind)


def _time(option: str, text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return parse_time(text, time.time_ns() // 1_000_000)
    except ValueError as error:
        raise UsageError([f"--{option}: {error}."]) from None


def _key_time(at: int) -> str:
    """Windows start at whole seconds, so bounds between two seconds are as good as the later one."""
    return f"{datetime.fromtimestamp(math.ceil(at / 1000), UTC):%Y-%m-%dT%H:%M:%SZ}"


def _device_tables(rows: list[ViewRow]) -> list[Table]:
    newest = [row for row in rows if row.sort.startswith(ROLLUP_PREFIX)]
    values = [row for row in rows if row.sort.startswith(LATEST_PREFIX)]
    others = [row for row in rows if not row.sort.startswith((ROLLUP_PREFIX, LATEST_PREFIX))]
    kinds = ((values, latest_table), (newest, newest_rollups_table), (others, other_rows_table))
    return [as_table(some) for some, as_table in kinds if some]


def _show(
    partition: str,
    rows: list[ViewRow],
    tables: Callable[[list[ViewRow]], list[Table]],
    json: bool,
    missing: str | None = None,
) -> None:
    if json:
        answer = {"partition": partition, "rows": msgspec.to_builtins(rows)}
        sys.stdout.write(orjson.dumps(answer).decode() + "\n")
    elif rows:
        Console().print(*tables(rows))
    if not rows:
        Console(stderr=True).print(
            printable(
                missing
                or f"There are no such rows of {partition}. Is the id right, does the job run "
                "(`telefold run telemetry`), and has the device sent events?"
            ),
            soft_wrap=True,
            highlight=False,
            markup=False,
        )
        raise typer.Exit(1)
