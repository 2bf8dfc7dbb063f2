"""`telefold archive`: what is kept of the event log."""

import sys
from collections import Counter
from collections.abc import Iterable
from itertools import count
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from telefold.cli.progress import counting
from telefold.cli.tables import byte_count, number, table, time_text
from telefold.cli.text_table import TextTable
from telefold.connectors.archive_holes import Continuity, Hole
from telefold.jobs import settings
from telefold.jobs.properties_file import DEFAULT_PATH
from telefold.jobs.stores import open_archive
from telefold.schemas.codec import HEADER_BYTES, VERSIONS, decode, header
from telefold.schemas.errors import RejectedEvent
from telefold.schemas.log_records import LogRecord

app = typer.Typer(help="Look at the archive of the event log.", no_args_is_help=True)


@app.callback()
def _commands() -> None:
    """Look at the archive of the event log."""


class Description(msgspec.Struct):
    """The contents of an archive. Times are in epoch milliseconds, None where there is no record."""

    path: str
    records: int = 0
    bytes: int = 0
    file_bytes: int = 0
    files: int = 0
    shards: list[str] = []
    first_arrival: int | None = None
    last_arrival: int | None = None
    devices: int = 0
    versions: dict[str, int] = {}
    """Schema version -> records that begin with its header, whether they are valid or not."""
    rejected: dict[str, int] = {}
    """Reason -> records, but for those that only their device's clock could tell to be late."""
    corrections: int = 0
    holes: list[Hole] = []
    """The gaps between records that are there."""
    silent_files: int = 0
    """Files of earlier builds, which do not tell what came before their records."""


@app.command()
def describe(
    properties: Annotated[Path, typer.Option(help="The job's application_properties.json.")] = DEFAULT_PATH,
    json: Annotated[bool, typer.Option("--json", help="Print the description as JSON.")] = False,
) -> None:
    """How much is archived, from when to when, of how many devices, what is no valid event, and what is missing.

    Exit 1 if anything is missing.
    """
    archive = open_archive(settings.load(properties))
    files = archive.files()
    with counting("Reading the archive", total=len(files), unit="files") as tell:
        finished = count(1)
        found = Continuity()
        records = archive.read(on_file=lambda _: tell(next(finished)), found=found)
        description = _described(archive.path, records)
    description.holes = archive.lasting(found.holes)
    description.silent_files = len(found.silent_files)
    description.files = len(files)
    description.file_bytes = sum(file.size for file in files)
    if json:
        sys.stdout.write(msgspec.json.encode(description).decode() + "\n")
    else:
        _show(description)
    if description.holes:
        raise typer.Exit(1)


def _described(path: str, records: Iterable[LogRecord]) -> Description:
    known = {header(version): str(version) for version in VERSIONS}
    versions: Counter[str] = Counter()
    rejected: Counter[str] = Counter()
    devices: set[str] = set()
    shards: set[str] = set()
    made = Description(path)
    for record in records:
        made.records += 1
        made.bytes += len(record.data)
        shards.add(record.shard)
        made.first_arrival = min(made.first_arrival or record.arrival, record.arrival)
        made.last_arrival = max(made.last_arrival or record.arrival, record.arrival)
        if version := known.get(record.data[:HEADER_BYTES]):
            versions[version] += 1
        try:
            event = decode(record.data, record.arrival)
        except RejectedEvent as error:
            rejected[str(error.reason)] += 1
            continue
        devices.add(event.device_id)
        made.corrections += event.corrects is not None
    made.shards, made.devices = sorted(shards), len(devices)
    made.versions, made.rejected = dict(sorted(versions.items())), dict(sorted(rejected.items()))
    return made


def _show(made: Description) -> None:
    console = Console()
    if made.records:
        console.print(_table(made))
    for hole in made.holes:
        console.print(f"Missing: {hole}.", soft_wrap=True, highlight=False, markup=False)
    if made.holes:
        following = "restore these files from a copy; `telefold rebuild --despite-holes` goes on without them."
    elif made.records:
        following = "`telefold verify` checks that the views say what this log and the stream behind it say."
    else:
        following = "`telefold run telemetry` archives what it reads; there are no records here yet."
    console.print(f"Next: {following}", soft_wrap=True, highlight=False, markup=False)


def _table(made: Description) -> TextTable:
    first, last = (time_text(at) for at in (made.first_arrival, made.last_arrival) if at is not None)
    cells = [
        ("records", number(made.records)),
        ("their bytes", byte_count(made.bytes)),
        ("files", number(made.files)),
        ("bytes of files", byte_count(made.file_bytes)),
        ("shards", number(len(made.shards))),
        ("first arrival (UTC)", first),
        ("last arrival (UTC)", last),
        ("devices", number(made.devices)),
        *((f"schema version {version}", number(records)) for version, records in made.versions.items()),
        ("corrections", number(made.corrections)),
        *((f"rejected: {reason}", number(records)) for reason, records in made.rejected.items()),
        *([("files that do not say what came before them", number(made.silent_files))] if made.silent_files else []),
        ("places where records are missing", number(len(made.holes))),
    ]
    return table(f"Archive {made.path}", ("what", "how much"), cells)
