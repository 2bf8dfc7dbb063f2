"""`telefold refill`: what Redis has lost, from the table."""

import sys
import time
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console

from jobs import settings
from jobs.properties import DEFAULT_PATH
from jobs.refill import Refilled
from jobs.refill import refill as refill_redis
from views.present import counting

_out = Console(soft_wrap=True, highlight=False)


def refill(
    properties: Annotated[Path, typer.Option(help="The job's application_properties.json.")] = DEFAULT_PATH,
    json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Write every row of the DynamoDB table into Redis, after Redis was emptied, replaced or restored.

    No row steps back by it, so it may run beside the live job. It reads the whole table once.
    """
    loaded = settings.load(properties)
    began = time.monotonic()
    with counting("reading the table", unit="rows") as tell:
        done = refill_redis(loaded, tell)
    if json:
        sys.stdout.write(orjson.dumps(done._asdict() | {"seconds": round(time.monotonic() - began, 3)}).decode() + "\n")
    else:
        _show(done, time.monotonic() - began)


def _show(done: Refilled, seconds: float) -> None:
    newer = f"; of {done.newer:,} it had a newer state" if done.newer else ""
    _out.print(f"{done.written:,} rows are in Redis as in the table{newer} ({seconds:.1f} s).")
    _out.print("Next: [bold]telefold verify[/bold] compares both stores with the log.")
