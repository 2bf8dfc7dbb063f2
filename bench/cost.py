"""Write units and Redis memory of a live fleet, counted from what is really written, against the model.

`make bench-cost`. The fleet is a day's in minutes: a report a second, windows of 5 s and a minute instead of a minute
and an hour, and DynamoDB at most 25 s behind instead of five minutes. What the job sends to DynamoDB passes a proxy,
which counts by the rules of its bill: a unit for each KB of the larger of the item before and after, names included,
and for a refused condition as well. Exit code 1 where the model of `telefold size` is off by more than a tenth.
"""

import json
import random
import sys
import tempfile
import threading
import time
from base64 import b64decode
from collections.abc import Iterator
from contextlib import closing
from math import ceil
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
import typer
from redis import Redis
from rich.console import Console
from rich.table import Table

from bench.freshness import RunningJob, set_of_the_job
from telefold.connectors import aws, event_log
from telefold.deploy.local.stack import LocalStack
from telefold.jobs import settings
from telefold.planning.example_items import metric_names
from telefold.planning.sizing import Fleet, Sizing, size
from telefold.schemas.codec import encode
from telefold.schemas.events import DeviceEvent
from telefold.schemas.setting_values import parse_duration, parse_sizes
from tests.support.fault_proxy import Answer, FaultProxy, Forward, Request
from tests.support.properties import set_properties

BOUND = 0.1
_SIZES, _DURABLE, _HOT = "5s,1m", "25s", "1h"
_CYCLE_S = 75
"""After so long a block of 15 windows of 5 s has been written, as one is every third time that something is due."""
_UNIT = 1_024

console = Console(stderr=True)


class Counted(NamedTuple):
    """A job's writes to DynamoDB."""

    units: int
    items: int
    refused: int
    """The conditions that did not hold, part of `items`."""


class Meter:
    """Counts the write units of statements that pass, of rows of devices."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bytes: dict[tuple[str, str], int] = {}
        self.counted = Counted(0, 0, 0)

    def pass_on(self, request: Request, forward: Forward) -> Answer | None:
        answer = forward(request)
        if request.operation == "BatchExecuteStatement" and answer.status == 200:
            statements = json.loads(request.body)["Statements"]
            for statement, reply in zip(statements, json.loads(answer.body)["Responses"], strict=True):
                self._count(statement, "Error" in reply)
        return answer

    def _count(self, statement: Any, is_refused: bool) -> None:
        values = statement["Parameters"]
        if statement["Statement"].startswith("INSERT"):
            partition, sort, version, view, data, *expiry = values
        else:
            version, view, data, *expiry, partition, sort, _ = values
        key = partition["S"], sort["S"]
        if not key[0].startswith("device#"):
            return
        named = {"pk": partition, "sk": sort, "version": version, "view": view, "data": data}
        item = sum(len(name) + _bytes(value) for name, value in named.items())
        item += sum(len("expires_at") + _bytes(value) for value in expiry)
        with self._lock:
            before = self._bytes.get(key, 0)
            larger = before if is_refused else max(before, item)
            if not is_refused:
                self._bytes[key] = item
            units, items, refused = self.counted
            self.counted = Counted(units + max(1, ceil(larger / _UNIT)), items + 1, refused + is_refused)


def _bytes(value: dict[str, str]) -> int:
    ((kind, text),) = value.items()
    match kind:
        case "B":
            return len(b64decode(text))
        case "N":
            return ceil(len(text.strip("-").replace(".", "").strip("0") or "0") / 2) + 1
    return len(text.encode())


def main(
    devices: Annotated[int, typer.Option(min=10, help="Devices that report every second.")] = 100,
    metrics: Annotated[int, typer.Option(min=1, help="Metrics in each report.")] = 2,
    cycles: Annotated[int, typer.Option(min=1, help=f"How often {_CYCLE_S} s are measured.")] = 4,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Run the fleet, count, and hold the model against it."""
    with tempfile.TemporaryDirectory() as folder, LocalStack(Path(folder) / "telefold") as stack:
        properties, meter = Path(stack.status.properties), Meter()
        with FaultProxy(stack.status.dynamodb) as proxy:
            proxy.fault = meter.pass_on
            set_of_the_job(properties, durable_interval=_DURABLE, rollup_sizes=_SIZES)
            set_properties(properties, {"telefold.views": {"dynamodb.endpoint": proxy.url, "retention.fast": _HOT}})
            with RunningJob(properties):
                counted, redis_bytes, ran_s = _measure(properties, meter, devices, metrics, cycles)
    fleet = Fleet(devices, 1, metrics, parse_sizes(_SIZES), durable_ms=parse_duration(_DURABLE))
    # A fleet as young as that has half of its first block of each size, on the average.
    model = size(msgspec.structs.replace(fleet, fast_retention_s=round(ran_s - _CYCLE_S / 2)))
    figures = _figures(counted, redis_bytes, model, cycles * _CYCLE_S)
    if as_json:
        sys.stdout.write(msgspec.json.encode(figures).decode() + "\n")
    else:
        _show(figures)
    if any(abs(one["model"] / one["counted"] - 1) > BOUND for one in figures.values()):
        raise typer.Exit(1)


def _measure(properties: Path, meter: Meter, devices: int, metrics: int, cycles: int) -> tuple[Counted, int, float]:
    """The writes of so many cycles after one, what Redis holds at their end, and for how long devices have reported."""
    loaded = settings.load(properties)
    began = time.monotonic()
    console.print(f"{devices} devices report every second; the first {_CYCLE_S} s are not counted ...")
    before = Counted(0, 0, 0)
    with closing(aws.client("kinesis", loaded.source.region, loaded.source.endpoint)) as kinesis:
        for number, records in enumerate(_turns(devices, metrics, (1 + cycles) * _CYCLE_S)):
            if number == _CYCLE_S:
                before = meter.counted
                console.print(f"... the next {cycles * _CYCLE_S} s are ...")
            for batch in event_log.batches(records):
                event_log.append(kinesis, loaded.source.name, batch)
            time.sleep(max(0.0, began + number + 1 - time.monotonic()))
    after = meter.counted
    counted = Counted(*(one - other for one, other in zip(after, before, strict=True)))
    return counted, _redis_bytes(loaded.views.redis_url), time.monotonic() - began


def _turns(devices: int, metrics: int, count: int) -> Iterator[list[event_log.NewRecord]]:
    """Reports of all devices, of readings with two decimals that walk about 20."""
    chance = random.Random(1)
    values = [[20.0] * metrics for _ in range(devices)]
    for number in range(count):
        yield [_report(device, number, values[device], chance) for device in range(devices)]


def _report(device: int, number: int, values: list[float], chance: random.Random) -> event_log.NewRecord:
    values[:] = [round(value + (20 - value) * 0.1 + chance.gauss(0, 0.2), 2) for value in values]
    name = f"device-{device:06d}"
    readings = dict(zip(metric_names(len(values)), values, strict=True))
    event = DeviceEvent(f"{name}-{number}", name, "telemetry", time.time_ns() // 1_000_000, number, readings)
    return event_log.NewRecord(encode(event), name)


def _redis_bytes(url: str) -> int:
    """All that Redis holds of devices: items, and the indexes of their partitions."""
    with Redis.from_url(url) as redis:
        keys = list(redis.scan_iter("tf:{device#*", count=1_000))
        with redis.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.memory_usage(key, samples=0)
            return sum(pipeline.execute())


def _figures(counted: Counted, redis_bytes: int, model: Sizing, seconds: float) -> dict[str, dict[str, float]]:
    return {
        "write units": {"counted": counted.units, "model": round(model.writes * seconds)},
        "items of DynamoDB": {"counted": counted.items, "model": round(model.durable_items * seconds)},
        "bytes of Redis": {"counted": redis_bytes, "model": round(model.redis_bytes)},
    }


def _show(figures: dict[str, dict[str, float]]) -> None:
    table = Table("what", "counted", "model", "model / counted")
    for what, one in figures.items():
        table.add_row(what, f"{one['counted']:,}", f"{one['model']:,}", f"{one['model'] / one['counted']:.2f}")
    Console().print(table)
    Console().print(
        f"The model of `telefold size` is to be within {BOUND:.0%}. Next: `telefold size` says what your fleet costs."
    )


if __name__ == "__main__":
    typer.run(main)
