"""The input of the benchmarks: an hour of a fleet's telemetry, the same bytes whenever it is made.

Devices report in turn, in the current schema. One record in a hundred repeats an earlier one of its device; one event
in fifty carries a time before that of the one sent before it. None of them is late.
"""

import base64
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from telefold.connectors.archive import write
from telefold.schemas.codec import encode
from telefold.schemas.events import DeviceEvent
from telefold.schemas.log_records import LogRecord

START_MS = 1_767_268_800_000
"""2026-01-01T12:00:00Z"""
SPAN_MS = 3_600_000

METRICS = ("temperature", "humidity")
_DUPLICATES = 0.01
_OUT_OF_ORDER = 0.02
_SHARDS = 4
_FIRST_SEQUENCE_NUMBER = 4 * 10**55
_RECENT = 3
"""Of so many last events of its device, one is what a duplicate repeats."""


class Fleet(NamedTuple):
    """Who sends how much."""

    devices: int = 2_000
    metrics: int = 2
    """In each event."""
    hot_share: float = 0.0
    """Of all records, this part is the first device's; the others send the rest in turn."""
    sites: int = 1
    """Over which the devices are spread."""


FLEET = Fleet()


def records(count: int, of: int, fleet: Fleet = FLEET) -> Iterator[LogRecord]:
    """The first `count` records of an hour that has `of`, duplicates included, in the order of their arrival."""
    chance = random.Random(of)
    recent: dict[int, list[bytes]] = {}
    metrics = metric_names(fleet.metrics)
    for index in range(count):
        turn, number = _turn(index, fleet)
        arrival = START_MS + index * SPAN_MS // of
        sent = recent.setdefault(number, [])
        if sent and chance.random() < _DUPLICATES:
            data = chance.choice(sent)
        else:
            event_time = _event_time(arrival, SPAN_MS * fleet.devices // of, chance)
            data = encode(_event(number, turn, event_time, metrics, site_of(number, fleet), chance))
            sent.append(data)
            del sent[:-_RECENT]
        shard = f"shardId-{number % _SHARDS:012d}"
        yield LogRecord(data, arrival, f"device-{number}", shard, str(_FIRST_SEQUENCE_NUMBER + index))


def metric_names(count: int) -> tuple[str, ...]:
    return (*METRICS, *(f"metric-{number}" for number in range(len(METRICS), count)))[:count]


def _turn(index: int, fleet: Fleet) -> tuple[int, int]:
    """How many records the device of record `index` has sent before, and which device that is."""
    of_hot = int(index * fleet.hot_share)
    if int((index + 1) * fleet.hot_share) > of_hot:
        return of_hot, 0
    hot = 1 if fleet.hot_share else 0
    turn, number = divmod(index - of_hot, fleet.devices - hot)
    return turn, number + hot


def _event_time(arrival: int, device_interval_ms: int, chance: random.Random) -> int:
    if chance.random() >= _OUT_OF_ORDER:
        return arrival
    return max(START_MS, arrival - int(chance.uniform(1.05, 3) * device_interval_ms))


def site_of(number: int, fleet: Fleet) -> str:
    return "berlin" if fleet.sites == 1 else f"site-{number % fleet.sites}"


def _event(
    number: int, turn: int, event_time: int, metrics: Sequence[str], site: str, chance: random.Random
) -> DeviceEvent:
    readings = [
        round(chance.uniform(30, 80), 1) if index else round(18 + number % 7 + chance.uniform(-5, 5), 2)
        for index in range(len(metrics))
    ]
    return DeviceEvent(
        event_id=f"{chance.getrandbits(128):032x}",
        device_id=f"device-{number}",
        type="telemetry",
        event_time=event_time,
        sequence=turn,
        metrics=dict(zip(metrics, readings, strict=True)),
        attributes={"site": site, "model": "th-200"},
    )


class Inputs(NamedTuple):
    """The same records for every reader."""

    events: int
    archive: str
    lines: str
    """A folder of text files: `<arrival> <the record in base64>`, the cheapest for a PyFlink job to read."""


def write_inputs(folder: Path, count: int, of: int, fleet: Fleet = FLEET) -> Inputs:
    """Lay `records(count, of, fleet)` out below `folder`."""
    inputs = Inputs(count, str(folder / "archive"), str(folder / "lines"))
    Path(inputs.lines).mkdir(parents=True)
    write(inputs.archive, records(count, of, fleet))
    with Path(inputs.lines, "records.txt").open("w") as lines:
        lines.writelines(f"{one.arrival} {base64.b64encode(one.data).decode()}\n" for one in records(count, of, fleet))
    return inputs
