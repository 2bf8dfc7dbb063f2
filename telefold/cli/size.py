"""`telefold size`: what a fleet would take and cost, before anything of it exists."""

import sys
from collections.abc import Callable, Iterator
from math import isfinite
from typing import Annotated, TypeVar

import msgspec
import typer
from rich.console import Console
from rich.filesize import decimal

from telefold.cli.bill import Answer, answer, bill_table
from telefold.cli.tables import number, table
from telefold.planning.costs import monthly, provisioned_units
from telefold.planning.example_items import parts
from telefold.planning.sizing import CPU_HEADROOM, DAY_S, SHARD_SHARE, Fleet, PartitionKey, Sizing
from telefold.planning.sizing import size as size_of
from telefold.planning.sizing_advice import advice
from telefold.schemas.errors import UsageError
from telefold.schemas.limits import LIMITS
from telefold.schemas.packed_rows import BLOCK_WINDOWS
from telefold.schemas.setting_values import UNIT_MS, parse_duration, parse_sizes

T = TypeVar("T")

_KEYS: dict[PartitionKey, str] = {
    "device": "a device's events lie in one shard, in their order",
    "random": "a device's events lie in all shards, in no order",
    "constant": "all events lie in one shard, whatever it takes",
}


def size(
    devices: Annotated[int, typer.Option(min=1, help="How many devices there are.")],
    interval: Annotated[float, typer.Option(min=0.0001, help="Seconds between two events of one device.")],
    metrics: Annotated[int, typer.Option(min=1, max=LIMITS.metrics, help="Metrics in an event.")],
    rollups: Annotated[str, typer.Option(help="Window sizes, as rollup.sizes.")] = "1m,1h",
    lateness: Annotated[str, typer.Option(help="As rollup.lateness.")] = "1h",
    flush: Annotated[str, typer.Option(help="As flush.interval.")] = "1s",
    durable: Annotated[str, typer.Option(help="As durable.interval: how far DynamoDB may be behind.")] = "5m",
    retention: Annotated[str, typer.Option(help="As retention.rollups.")] = "90d",
    fast_retention: Annotated[str, typer.Option(help="As retention.fast: how long Redis has windows.")] = "1d",
    key: Annotated[
        str, typer.Option(help="The partition key of events: device (its id), random, or constant.")
    ] = "device",
    stream_retention: Annotated[
        str, typer.Option(help="As EventRetentionHours: how long the stream keeps records, 24h to 7d.")
    ] = "24h",
    provisioned: Annotated[
        bool, typer.Option("--provisioned", help="Write units of DynamoDB are provisioned, 70 % of them used.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """What a fleet takes, with the assumption behind each figure, and the bill of a month, line by line."""
    fleet = Fleet(
        devices,
        _finite("interval", interval),
        metrics,
        _parsed("rollups", parse_sizes, rollups),
        _milliseconds("lateness", lateness),
        _milliseconds("flush", flush),
        _parsed("durable", parse_duration, durable),
        _milliseconds("retention", retention) // 1_000,
        _milliseconds("fast-retention", fast_retention) // 1_000,
        _parsed("key", _parse_key, key),
        _parsed("stream-retention", _parse_stream_retention, stream_retention),
        provisioned,
    )
    sizing = size_of(fleet)
    costs = answer(fleet, sizing, monthly(fleet, sizing))
    if json:
        figures = {"fleet": fleet, "sizing": sizing, "advice": advice(fleet, sizing), **costs._asdict()}
        sys.stdout.write(msgspec.json.encode(figures).decode() + "\n")
    else:
        _show(fleet, sizing, costs)


def _parse_key(text: str) -> PartitionKey:
    try:
        key: PartitionKey = msgspec.convert(text, PartitionKey)
    except msgspec.ValidationError:
        raise ValueError("must be device, random or constant") from None
    return key


def _parse_stream_retention(text: str) -> int:
    """The seconds; Kinesis keeps records for whole hours, a day at least, and longer than a week at other prices."""
    length_ms = parse_duration(text)
    if length_ms % UNIT_MS["h"] or not DAY_S <= length_ms // 1_000 <= 7 * DAY_S:
        raise ValueError("must be whole hours, from 24h to 7d, beyond which the bill has no price")
    return length_ms // 1_000


def _finite(option: str, number: float) -> float:
    if not isfinite(number):
        raise UsageError([f"--{option} = {number}: must be a number of seconds."])
    return number


def _milliseconds(option: str, text: str) -> int:
    length = _parsed(option, parse_duration, text)
    if length == 0:
        raise UsageError([f"--{option}: must be longer than 0."])
    return length


def _parsed(option: str, parse: Callable[[str], T], text: str) -> T:
    try:
        return parse(text)
    except ValueError as error:
        raise UsageError([f"--{option} = {text!r}: {error}."]) from None


def _show(fleet: Fleet, sizing: Sizing, costs: Answer) -> None:
    console = Console()
    title = f"{number(fleet.devices)} devices, an event every {fleet.interval_s:g} s, {fleet.metrics} metrics"
    console.print(table(title, ("what", "takes", "because"), _lines(fleet, sizing, costs), left=3))
    console.print(bill_table(fleet, sizing, costs))
    for line in (*advice(fleet, sizing), _next(fleet, sizing)):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _lines(fleet: Fleet, sizing: Sizing, costs: Answer) -> list[tuple[str, str, str]]:
    return [
        ("events", f"{sizing.events:,.0f}/s", "devices / interval"),
        ("record", decimal(sizing.record_bytes), "an example in the newest schema, and its partition key"),
        ("partition key", fleet.key, _KEYS[fleet.key]),
        ("Kinesis", f"{sizing.shards:,} shards", f"1 000 records or 1 MB a second each, filled to {SHARD_SHARE:.0%}"),
        *_lines_of_rows(fleet, sizing, costs),
        (
            "state",
            decimal(round(sizing.state_bytes)),
            f"latest values, event ids and windows of {fleet.lateness_ms / 60_000:g} min (an hour at least), and"
            f" {BLOCK_WINDOWS} windows more of each size",
        ),
        ("CPU of the fold", f"{sizing.fold_cores:.2f} cores", "as measured an event, a device and a row"),
        ("CPU of writing", f"{sizing.store_cores:.2f} cores", "the clients of DynamoDB and Redis, as measured an item"),
        (
            "KPUs",
            f"{sizing.kpus} + 1",
            f"{CPU_HEADROOM:g} times the CPU, and disk for the state; one more for orchestration",
        ),
    ]


def _lines_of_rows(fleet: Fleet, sizing: Sizing, costs: Answer) -> Iterator[tuple[str, str, str]]:
    """The lines of rows, and of the items that they are packed into."""
    rows_an_event = fleet.metrics * (1 + len(fleet.rollup_sizes))
    yield (
        "view rows",
        f"{sizing.rows:,.0f}/s",
        f"{rows_an_event} a device (a latest value and {len(fleet.rollup_sizes)} rollups a metric), at most once"
        f" a flush of {fleet.flush_ms / 1_000:g} s",
    )
    count = parts(fleet.metrics)
    in_parts = "" if count == 1 else f", in {count} parts each"
    yield (
        "items of Redis",
        f"{sizing.items:,.0f}/s",
        f"a device's head with these rows, and when a window is over the block of {BLOCK_WINDOWS} that it is"
        f" in{in_parts}",
    )
    yield (
        "items of DynamoDB",
        f"{sizing.durable_items:,.0f}/s",
        f"the same at most every {fleet.durable_ms / 1_000:g} s; a head has windows of up to that length as long as"
        " there is room",
    )
    yield (
        "DynamoDB writes",
        f"{sizing.writes:,.0f} units/s",
        f"one a KB of an item: a head has {round(sizing.head_bytes, -1):,.0f} bytes, a block up to"
        f" {round(sizing.block_bytes, -1):,.0f}",
    )
    yield "writes of a device", f"{costs.write_units_device_hour:,.1f} units/h", "the same, a device and hour"
    kept = f"rollups kept {fleet.retention_s / 86_400:,.4g} days, {sizing.rows_kept:,.0f} rows"
    yield "DynamoDB storage", decimal(round(sizing.table_bytes)), f"{kept} in {sizing.items_kept:,.0f} items"
    hot = min(fleet.retention_s, fleet.fast_retention_s) / 86_400
    yield "Redis memory", decimal(round(sizing.redis_bytes)), f"heads, and blocks of {hot:,.4g} days"


def _next(fleet: Fleet, sizing: Sizing) -> str:
    billing = f"of {provisioned_units(sizing):,.0f} provisioned write units" if fleet.provisioned else "on demand"
    return (
        f"Next: a stream of {sizing.shards:,} shards, a table {billing}, and the job at parallelism {sizing.kpus:,};"
        " then compare `events in` and `rows out` of `telefold run telemetry` with these events, and"
        " the items of both stores."
    )
