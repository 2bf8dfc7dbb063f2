"""`telefold query`: what the views say about a device, read from either store."""

import sys
import time
from collections.abc import Callable
from contextlib import closing
from itertools import chain
from pathlib import Path
from typing import Annotated

import msgspec
import orjson
import typer
from rich.console import Console

from telefold.cli.headline import headline
from telefold.cli.options import StoreOption
from telefold.cli.progress import counting
from telefold.cli.tables import (
    latest_table,
    newest_rollups_table,
    number,
    other_rows_table,
    printable,
    rollups_tables,
    time_text,
)
from telefold.cli.text_table import TextTable
from telefold.cli.times import ALLOWED, parse_time
from telefold.connectors import aws
from telefold.connectors.memory import MemoryViews
from telefold.jobs import settings
from telefold.jobs.properties_file import DEFAULT_PATH
from telefold.jobs.stores import open_archive
from telefold.reading import Views
from telefold.schemas.errors import UsageError
from telefold.schemas.setting_values import duration_text
from telefold.schemas.view_rows import ViewRow, device_partition
from telefold.verify.event_log import Log, of_device
from telefold.verify.folding import current_views, open_oracle
from telefold.verify.progress import counted
from telefold.views.rollups import LATEST_PREFIX, ROLLUP_PREFIX, metrics_of, with_statistics

app = typer.Typer(help="Read the views of a device.", no_args_is_help=True)

DEFAULT_WINDOWS = 60

Id = Annotated[str, typer.Argument(metavar="ID", help="The device, such as device-1.")]
Metric = Annotated[str | None, typer.Option(help="This metric alone.")]
Limit = Annotated[int | None, typer.Option(min=1, help="At most so many rows.")]
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
    store: StoreOption = None,
    properties: Properties = DEFAULT_PATH,
    json: Json = False,
) -> None:
    """Everything about a device but past windows: latest values, the newest rollups, and all other rows."""
    loaded = settings.load(properties)
    at = _time("as-of", as_of)
    with Views.open(loaded, store) if at is None else _views_up_to(loaded, id, at) as views:
        rows = views.device(id, metric)
        missing = None if metric in (None, *metrics_of(rows)) else _unknown_metric(views, id, metric)
    if missing:
        rows = []
    elif not rows and at is not None:
        missing = f"{id} had no rows yet at {time_text(at)} UTC, or none that were kept so long."
    if rows and not json:
        _say(headline(id, rows, _now() if at is None else at, metric), Console())
    _show(id, rows[:limit], _device_tables, json, missing)


@app.command()
def latest(
    id: Id,  # noqa: A002
    metric: Metric = None,
    limit: Limit = None,
    store: StoreOption = None,
    properties: Properties = DEFAULT_PATH,
    json: Json = False,
) -> None:
    """The newest reading of each metric."""
    with Views.open(properties, store) as views:
        rows = views.latest(id, metric)
        missing = None if rows else _unknown_metric(views, id, metric)
    _show(id, rows[:limit], lambda found: [latest_table(found)], json, missing)


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
    store: StoreOption = None,
    properties: Properties = DEFAULT_PATH,
    json: Json = False,
) -> None:
    """Count, mean, least, greatest and standard deviation a window, the newest last."""
    first, behind = _time("since", since), _time("until", until)
    limit = limit or (None if since else DEFAULT_WINDOWS)
    with Views.open(properties, store) as views:
        if size is not None and size not in views.rollup_sizes:
            kept = ", ".join(views.rollup_sizes)
            raise UsageError([f"--size is {size}, but must be one of telefold.job/rollup.sizes: {kept}."])
        rows = views.rollups(id, metric, size, first, behind, limit)
        missing = None if rows else _unknown_metric(views, id, metric)
    _show(id, rows, rollups_tables, json, missing)


def _unknown_metric(views: Views, device_id: str, metric: str | None) -> str | None:
    """The sentence for a metric that a device does not have; None where that is not what is wrong."""
    if metric is None or not (rows := views.device(device_id)) or metric in (known := metrics_of(rows)):
        return None
    return f"{device_id} has no metric {metric}: it has {', '.join(known) or 'none at all'}."


def _views_up_to(loaded: settings.Settings, device_id: str, at: int) -> Views:
    """The views of one device as the log up to the arrival time `at` has them, seen at that time.

    Late events and corrections that had arrived are judged as the current generation of the views judges them.
    """
    open_archive(loaded)
    now = current_views(loaded)
    source, is_its = loaded.source, of_device(device_id)
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
        _say(f"The archive lacks records of {hole}.")
    oracle = open_oracle(loaded, now, lambda: records)
    for record in records:
        oracle.add(record)
    folded = oracle.reckoning()
    if folded.sent:
        _say_as_of(device_id, at, folded.sent)
    rows = MemoryViews(clock=lambda: at / 1000)
    rows.write(list(folded.rows.values()))
    return Views(rows, loaded.job.rollup_sizes)


def _say_as_of(device_id: str, at: int, records: int) -> None:
    name = printable(device_id)
    _say(f"{name} as of {time_text(at)} UTC, folded from {number(records)} records of the log.")
    _say(f"Next: `telefold query device {name}` shows it now, `telefold verify --device {name}` checks that.")


def _say(line: str, console: Console | None = None) -> None:
    (console or Console(stderr=True)).print(line, soft_wrap=True, highlight=False, markup=False)


def _now() -> int:
    return time.time_ns() // 1_000_000


def _time(option: str, text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return parse_time(text, _now())
    except ValueError as error:
        raise UsageError([f"--{option}: {error}."]) from None


def _device_tables(rows: list[ViewRow]) -> list[TextTable]:
    newest = [row for row in rows if row.sort.startswith(ROLLUP_PREFIX)]
    values = [row for row in rows if row.sort.startswith(LATEST_PREFIX)]
    others = [row for row in rows if not row.sort.startswith((ROLLUP_PREFIX, LATEST_PREFIX))]
    kinds = ((values, latest_table), (newest, newest_rollups_table), (others, other_rows_table))
    return [as_table(some) for some, as_table in kinds if some]


def _say_how_old(rows: list[ViewRow]) -> None:
    """Say how far the rows may be behind, where the reader knows it: those from Redis are younger."""
    behind = [row.behind_ms for row in rows if row.behind_ms is not None]
    if behind:
        least, most = duration_text(min(behind)), duration_text(max(behind))
        _say(f"At most {most} behind the log." if least == most else f"At most {least} to {most} behind the log.")


def _show(
    device_id: str,
    rows: list[ViewRow],
    tables: Callable[[list[ViewRow]], list[TextTable]],
    json: bool,
    missing: str | None = None,
) -> None:
    partition = device_partition(device_id)
    if json:
        answer = {"partition": partition, "rows": msgspec.to_builtins([with_statistics(row) for row in rows])}
        sys.stdout.write(orjson.dumps(answer).decode() + "\n")
    elif rows:
        Console().print(*tables(rows))
        _say_how_old(rows)
    if not rows:
        _say(
            printable(
                missing
                or f"There are no such rows of {partition}. Is the id right, does the job run "
                "(`telefold run telemetry`), and has the device sent events?"
            )
        )
        raise typer.Exit(1)
