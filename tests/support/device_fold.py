"""A log through the fold: `python -m tests.support.device_fold FOLDER`, which prints a `fold_report.Report` as JSON."""

import random
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from py4j.java_gateway import get_field, set_field
from pyflink.common import Row
from pyflink.datastream import DataStream, StreamExecutionEnvironment
from pyflink.datastream.data_stream import CloseableIterator
from pyflink.java_gateway import get_gateway

from telefold.connectors.view_sink import decode_batch
from telefold.deploy.minicluster import environment, jvm
from telefold.edge.java import edge
from telefold.jobs import settings
from telefold.operators.device_fold import TimeRules, fold_devices
from telefold.operators.device_views import device_views
from telefold.schemas.codec import encode, readings_json
from telefold.schemas.corrections import Correction
from telefold.schemas.events import DeviceEvent
from telefold.schemas.limits import limits_json
from telefold.schemas.view_rows import VIEWS, ViewUpdate
from tests.support.fold_report import LATENESS, MINUTE, NOON, RETENTION, SIZES, Decision, Report
from tests.support.packed import rows_of
from tests.support.plan import GROUPS

HOUR = 60 * MINUTE
LAST = "49590338271490256608559692538361571095921757589136799"
NEXT = "49590338271490256608559692538361571095921757589136800"
AFTER_ALL = NOON + 24 * HOUR
"""An arrival with which the decoder takes every time of the log."""
CORRECTIONS = [
    Correction("d", "late", "c2", NOON - 5_000, 9, {"temperature": 0.1, 'quoted "é"': -5e-324}),
    Correction("d", "late", "c1", NOON, 8, {}),
]


class Sent(NamedTuple):
    event: DeviceEvent
    shard: str
    sequence_number: str


def main(root: Path) -> None:
    loaded = settings.parse(GROUPS)
    paths = environment.Paths.below(root, "fold", "fold")
    machine = jvm.start(paths.log, environment.jvm_environment(paths, loaded.source.endpoint))
    try:
        flink = environment.create(environment.configuration(loaded.job, "thread", paths, None, 0))
        # As if the connection were busy: our classes must be found by another one, too.
        get_gateway()._gateway_client.deque.clear()
        sys.stdout.buffer.write(msgspec.json.encode(_report(flink, [*_judged_log(), *_disordered_log()])))
    finally:
        machine.stop()


def _report(flink: StreamExecutionEnvironment, log: list[Sent]) -> Report:
    folded = fold_devices(
        _events(flink, log),
        device_views(SIZES, VIEWS, RETENTION),
        TimeRules(
            horizon_ms=LATENESS,
            lateness_ms=LATENESS,
            retention_ms=HOUR,
            largest_window_ms=HOUR,
            device_retention_ms=2 * HOUR,
        ),
        interval_ms=100,
        max_rows=100,
        cut={"shard-0": LAST},
        corrections=CORRECTIONS,
    )
    decided = folded.accepted.union(folded.set_aside)._j_data_stream.collectAsync()
    batches = CloseableIterator(folded.batches._j_data_stream.collectAsync(), folded.batches.get_type())
    flink.execute_async()
    # Both are read at the same time, or the one that is not read stops the other.
    with ThreadPoolExecutor(2) as pool:
        decisions, sent = pool.submit(list, _decisions(decided)), pool.submit(list, batches)
    return Report(
        decisions=decisions.result(),
        sent=len(log),
        folded=_newest(sent.result()),
        flushes=len(sent.result()),
    )


def _events(flink: StreamExecutionEnvironment, log: list[Sent]) -> DataStream:
    """The log as the source sends it on: PyFlink itself knows no such type."""
    events, made = edge().event, get_gateway().jvm.java.util.ArrayList()
    decoder = events.EventDecoder(readings_json(), limits_json()).opened()
    for sent in log:
        event = decoder.decode(encode(sent.event), sent.event.device_id, sent.sequence_number, AFTER_ALL, sent.shard)
        set_field(event, "arrival", NOON)
        made.add(event)
    return DataStream(flink._j_stream_execution_environment.fromCollection(made, events.Event.type()))


def _decisions(events: Any) -> Iterator[Decision]:
    lines = edge().python.EventLines()
    while events.hasNext():
        event = events.next()
        said = msgspec.json.decode(lines.map(event).getField(1), type=DeviceEvent)
        yield Decision(
            said.device_id,
            said.event_id,
            said.event_time,
            said.sequence,
            dict(said.metrics),
            get_field(event, "reason"),
        )


def _newest(batches: Iterable[Row]) -> list[ViewUpdate]:
    newest: dict[tuple[str, str], ViewUpdate] = {}
    for count, lines in batches:
        updates = decode_batch(lines).updates
        assert len(updates) == count
        for update in chain.from_iterable(map(rows_of, updates)):
            key = update.partition, update.sort
            if key not in newest or newest[key].version <= update.version:
                newest[key] = update
    return list(newest.values())


def _judged_log() -> list[Sent]:
    """Of device "d": within the cut, beyond it, and on a shard without one."""
    warm = {"temperature": 50.0}
    return [
        _sent("d", "new", NOON, 1, warm, "shard-0", LAST),
        _sent("d", "late", NOON - 10 * HOUR, 1, warm, "shard-0", LAST),
        _sent("d", "c1", NOON + 10 * HOUR, 1, warm, "shard-0", LAST, corrects="late"),
        _sent("d", "too late", NOON - LATENESS - 1, 1, warm, "shard-0", NEXT),
        _sent("d", "also too late", NOON - LATENESS - 1, 1, warm, "shard-1", LAST),
        _sent("d", "in time", NOON - LATENESS, 1, warm, "shard-0", NEXT),
    ]


def _disordered_log() -> Iterator[Sent]:
    """Of several devices, over two hours: out of order, too late, sent again, readings that tie, values at edges."""
    chance = random.Random(7)
    values = [-0.0, 0.0, 1e60, -1e60, 5e-324, 0.1, 1e-7, 12345678.9, 1.0, -1.0]
    sent: list[Sent] = []
    for number in range(1_500):
        time = NOON + number * 2 * HOUR // 1_500
        time -= chance.choice([0, 0, 0, 1, 61_000, chance.randrange(LATENESS + MINUTE)])
        names = chance.sample(["temperature", "humidity", 'quo"ted\\ü/%', "温度"], chance.randint(0, 3))
        metrics = {name: chance.choice([chance.gauss(20, 5), chance.choice(values)]) for name in names}
        device = chance.choice(["device-1", "device-2", 'gerät "1"\n☃', "device-4"])
        # Times of one device tie where they are rounded; sequences then fall as often as they rise.
        sequence = number if number % 2 else -number
        time -= time % chance.choice([1, 30_000])
        sent.append(_sent(device, f"e-{number}", time, sequence, metrics, "shard-2", NEXT))
        yield sent[-1]
        if chance.random() < 0.1:
            yield chance.choice(sent[-50:])


def _sent(
    device: str,
    event_id: str,
    event_time: int,
    sequence: int,
    metrics: dict[str, float],
    shard: str,
    sequence_number: str,
    corrects: str | None = None,
) -> Sent:
    event = DeviceEvent(event_id, device, "telemetry", event_time, sequence, metrics, corrects=corrects)
    return Sent(event, shard, sequence_number)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
