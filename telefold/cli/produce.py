"""`telefold produce`: a made-up fleet that writes events into the stream."""

import random
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Protocol

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from telefold.cli.times import ALLOWED, parse_time
from telefold.connectors import aws
from telefold.jobs import settings
from telefold.jobs.properties_file import DEFAULT_PATH
from telefold.schemas.codec import CURRENT_VERSION
from telefold.schemas.errors import UsageError
from telefold.simulator.generator import DEFAULT_SPAN_MS, SCHEMA_CHOICES, Spec
from telefold.simulator.produce import Tally, records_to_send, send

_PLAIN_EVERY_S = 5.0


class Target(NamedTuple):
    stream: str
    region: str
    endpoint: str | None


def produce(
    events: Annotated[
        int, typer.Option(help="Distinct events; duplicates, corrections and poison come on top.")
    ] = 10_000,
    devices: Annotated[int, typer.Option(help="Devices that report in turn: device-1, device-2, ...")] = 100,
    seed: Annotated[int | None, typer.Option(help="The same seed and --start give the same bytes.")] = None,
    rate: Annotated[
        float | None,
        typer.Option(help="Records a second; events then happen as they are sent. Without it, as fast as they go."),
    ] = None,
    duplicates: Annotated[float, typer.Option(help="Fraction of events that are sent again later.")] = 0.0,
    out_of_order: Annotated[float, typer.Option(help="Fraction of events that are sent after newer ones.")] = 0.0,
    poison: Annotated[float, typer.Option(help="Broken records for each event, of every kind in turn.")] = 0.0,
    corrections: Annotated[
        float, typer.Option(help="Fraction of telemetry events that later ones correct, from devices of version 3 on.")
    ] = 0.0,
    schema_version: Annotated[str, typer.Option(help=f"{', '.join(SCHEMA_CHOICES[:-1])} or mixed.")] = str(
        CURRENT_VERSION
    ),
    start: Annotated[
        str | None,
        typer.Option(help=f"When the first event happens: {ALLOWED}. Without --rate, events fill the hour from it."),
    ] = None,
    stream: Annotated[str | None, typer.Option(help="The stream, if not the one in the properties.")] = None,
    region: Annotated[str | None, typer.Option(help="Its AWS region.")] = None,
    endpoint: Annotated[str | None, typer.Option(help="Its endpoint, for local servers.")] = None,
    properties: Annotated[Path, typer.Option(help="The job's application_properties.json.")] = DEFAULT_PATH,
    json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Send the events of a made-up fleet, and on request everything that goes wrong with them."""
    seed = random.SystemRandom().randrange(1_000_000) if seed is None else seed
    spec = Spec(events, devices, seed, duplicates, out_of_order, poison, schema_version, corrections)
    records = records_to_send(spec, _checked_rate(rate), _start(start, rate), _now)
    target = _target(stream, region, endpoint, properties)
    tally = Tally()
    stopped = False
    with closing(aws.client("kinesis", target.region, target.endpoint)) as client, _reporting(events, json) as report:
        try:
            send(client, target.stream, records, rate, tally, report)
        except KeyboardInterrupt:
            stopped = True
    if json:
        sys.stdout.write(orjson.dumps(tally.summary()).decode() + "\n")
    else:
        _say_summary(tally, seed, target.stream, stopped)
    if stopped:
        raise typer.Exit(130)


def _now() -> int:
    return time.time_ns() // 1_000_000


def _checked_rate(rate: float | None) -> float | None:
    if rate is not None and not 0 < rate < float("inf"):
        raise UsageError([f"--rate is {rate}, but must be more than 0 records a second."])
    return rate


def _start(text: str | None, rate: float | None) -> int | None:
    if text is None:
        return None
    try:
        start = parse_time(text, _now())
    except ValueError as error:
        raise UsageError([f"--start: {error}."]) from None
    latest = _now() - (DEFAULT_SPAN_MS if rate is None else 0)
    if start > latest:
        needed = "1h ago or earlier, since events fill the hour from it" if rate is None else "in the past"
        raise UsageError([f"--start is {text}, but must be {needed}: events of the future are rejected."])
    return start


def _target(stream: str | None, region: str | None, endpoint: str | None, properties: Path) -> Target:
    if stream and region:
        return Target(stream, region, endpoint)
    source = settings.load(properties).source
    return Target(stream or source.name, region or source.region, endpoint or source.endpoint)


class _Report(Protocol):
    def __call__(self, tally: Tally, /) -> Any: ...


@contextmanager
def _reporting(events: int, quiet: bool) -> Iterator[_Report]:
    """A bar on a terminal; elsewhere a line every few seconds."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines(console, events)
        return
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"), TimeRemainingColumn())
    with Progress("Sending events", *columns, console=console, transient=quiet) as bar:
        task = bar.add_task("", total=events, rate="")
        yield lambda tally: bar.update(task, completed=tally.kinds["event"], rate=f"{tally.rate:,.0f} records/s")


class _Lines:
    def __init__(self, console: Console, events: int) -> None:
        self._console = console
        self._events = events
        self._due = _PLAIN_EVERY_S

    def __call__(self, tally: Tally, /) -> None:
        if tally.seconds >= self._due:
            self._due = tally.seconds + _PLAIN_EVERY_S
            self._console.print(
                f"{tally.kinds['event']:,} of {self._events:,} events sent, {tally.rate:,.0f} records/s",
                soft_wrap=True,
                highlight=False,
            )


def _say_summary(tally: Tally, seed: int, stream: str, stopped: bool) -> None:
    kinds = tally.kinds
    names = {"duplicate": "duplicates", "correction": "corrections", "poison": "poison"}
    extras = [f"{kinds[kind]:,} {name}" for kind, name in names.items()]
    Console().print(
        f"{'Stopped after' if stopped else 'Sent'} {tally.records:,} records to {stream} in {tally.seconds:.1f} s, "
        f"{tally.rate:,.0f}/s: {kinds['event']:,} events, {', '.join(extras)} (seed {seed}).\n"
        "Next: `telefold run telemetry` folds them, `telefold query latest device-1` reads the result.",
        soft_wrap=True,
        highlight=False,
        markup=False,
    )
