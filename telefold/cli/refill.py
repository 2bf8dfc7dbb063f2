"""`telefold refill`: what Redis has lost, from the table."""

import sys
import time
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console

from telefold.cli.progress import counting
from telefold.connectors.view_rows import row_name
from telefold.jobs import settings
from telefold.jobs.properties_file import DEFAULT_PATH
from telefold.jobs.refill import Refilled
from telefold.jobs.refill import refill as refill_redis

_out = Console(soft_wrap=True, highlight=False)
_err = Console(stderr=True, soft_wrap=True, highlight=False)
_NAMED = 20
_LONGEST_NAME = 300


def refill(
    properties: Annotated[Path, typer.Option(help="The job's application_properties.json.")] = DEFAULT_PATH,
    json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Write what is hot of the DynamoDB table into Redis, after Redis was emptied, replaced or restored.

    A live job does so by itself. No row steps back by it, so it may run beside one. It reads the whole table once.
    Exit code 1 if there are rows that Redis does not take; all others are there then.
    """
    loaded = settings.load(properties)
    began = time.monotonic()
    with counting("Reading the table", unit="rows") as tell:
        done = refill_redis(loaded, tell)
    show = _write if json else _show
    show(done, time.monotonic() - began)
    for row, why in done.refused[:_NAMED]:
        _err.print(f"Not in Redis: {row_name(row)[:_LONGEST_NAME]}: {why}.", markup=False)
    if done.refused:
        raise typer.Exit(1)


def _write(done: Refilled, seconds: float) -> None:
    answer = {"written": done.written, "newer": done.newer, "refused": len(done.refused)}
    sys.stdout.write(orjson.dumps(answer | {"seconds": round(seconds, 3)}).decode() + "\n")


def _show(done: Refilled, seconds: float) -> None:
    newer = f"; of {done.newer:,} it had a newer state" if done.newer else ""
    refused = f"; {len(done.refused):,} it does not take" if done.refused else ""
    _out.print(f"{done.written:,} rows are in Redis as in the table{newer}{refused} ({seconds:.1f} s).")
    _out.print("Next: [bold]telefold verify[/bold] compares both stores with the log.")
