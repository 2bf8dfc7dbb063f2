"""A log through the fold and through its reference in SQL: `python -m tests.support.device_fold FOLDER`.

Prints a `fold_report.Report` as JSON. One job does both, since starting one takes longer than folding this log.
"""

import random
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
from pyflink.common import Row, Types
from pyflink.datastream import DataStream, StreamExecutionEnvironment
from pyflink.datastream.data_stream import CloseableIterator
from pyflink.java_gateway import get_gateway

from connectors.view_sink import decode_batch
from jobs import settings
from jobs.local import environment, jvm
from operators.device_fold import TimeRules, fold_devices
from operators.device_views import device_views
from operators.sql.fold import fold_in_sql
from schemas.corrections import Correction
from schemas.view_rows import LATEST, ROLLUPS, VIEWS, ViewUpdate
from tests.support.fold_report import LATENESS, MINUTE, NOON, Decision, Report
from tests.support.plan import GROUPS

HOUR = 60 * MINUTE
SIZES = {"1m": MINUTE, "5m": 5 * MINUTE, "1h": HOUR}
RETENTION = {LATEST: 3_600, ROLLUPS: None}
FLUSHES = {"interval_ms": 100, "max_rows": 100}
LAST = "49590338271490256608559692538361571095921757589136799"
NEXT = "49590338271490256608559692538361571095921757589136800"
CORRECTIONS = [
    Correction("d", "late", "c2", NOON - 5_000, 9, {"temperature": 0.1, 'quoted "é"': -5e-324}),
    Correction("d", "late", "c1", NOON, 8, {}),
]
FIELDS = {
    "event_id": Types.STRING(),
    "device_id": Types.STRING(),
    "type": Types.STRING(),
    "event_time": Types.LONG(),
    "sequence": Types.LONG(),
    "metrics": Types.MAP(Types.STRING(), Types.DOUBLE()),
    "attributes": Types.MAP(Types.STRING(), Types.STRING()),
    "correlation_id": Types.STRING(),
    "partition_key": Types.STRING(),
    "shard": Types.STRING(),
    "sequence_number": Types.STRING(),
    "arrival": Types.LONG(),
    "payload": Types.PRIMITIVE_ARRAY(Types.BYTE()),
    "reason": Types.STRING(),
    "detail": Types.STRING(),
    "corrects": Types.STRING(),
    "sub_sequence_number": Types.LONG(),
    "previous": Types.STRING(),
}
EVENT_ROW = Types.ROW_NAMED(list(FIELDS), list(FIELDS.values()))


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


def _report(flink: StreamExecutionEnvironment, log: list[Row]) -> Report:
    folded = fold_devices(
        flink.from_collection(log, EVENT_ROW),
        device_views(SIZES, VIEWS, RETENTION),
        TimeRules(horizon=LATENESS, lateness=LATENESS, retention=HOUR, largest_window=HOUR, device_retention=2 * HOUR),
        **FLUSHES,
        cut={"shard-0": LAST},
        corrections=CORRECTIONS,
    )
    in_sql = fold_in_sql(flink, folded.accepted, SIZES, RETENTION[ROLLUPS], state_ttl_ms=HOUR, **FLUSHES)
    decided, batches, batches_in_sql = _collect(flink, folded.accepted.union(folded.set_aside), folded.batches, in_sql)
    return Report(
        decisions=[_decision(event) for event in decided],
        sent=len(log),
        folded=_newest(batches),
        folded_in_sql=_newest(batches_in_sql),
        flushes=len(batches),
    )


def _collect(flink: StreamExecutionEnvironment, *streams: DataStream) -> Iterator[list[Any]]:
    """All that comes out of `streams` in one run; read at the same time, or one that is not read stops the others."""
    results = [CloseableIterator(stream._j_data_stream.collectAsync(), _type(stream)) for stream in streams]
    flink.execute_async()
    with ThreadPoolExecutor(len(results)) as pool:
        return pool.map(list, results)


def _type(stream: DataStream) -> Any:
    """PyFlink knows no type of ours, not even one that is a row's but for its serialiser."""
    is_ours = str(stream._j_data_stream.getType().getClass().getName()).startswith("io.telefold.")
    return EVENT_ROW if is_ours else stream.get_type()


def _decision(event: Row) -> Decision:
    return Decision(*(event[list(FIELDS).index(name)] for name in Decision.__struct_fields__))


def _newest(batches: Iterable[Row]) -> list[ViewUpdate]:
    newest: dict[tuple[str, str], ViewUpdate] = {}
    for count, lines in batches:
        updates = decode_batch(lines).updates
        assert len(updates) == count
        for update in updates:
            key = update.partition, update.sort
            if key not in newest or newest[key].version <= update.version:
                newest[key] = update
    return list(newest.values())


def _judged_log() -> list[Row]:
    """Of device "d": within the cut, beyond it, and on a shard without one."""
    warm = {"temperature": 50.0}
    return [
        _row("d", "new", NOON, 1, warm, "shard-0", LAST),
        _row("d", "late", NOON - 10 * HOUR, 1, warm, "shard-0", LAST),
        _row("d", "c1", NOON + 10 * HOUR, 1, warm, "shard-0", LAST, corrects="late"),
        _row("d", "too late", NOON - LATENESS - 1, 1, warm, "shard-0", NEXT),
        _row("d", "also too late", NOON - LATENESS - 1, 1, warm, "shard-1", LAST),
        _row("d", "in time", NOON - LATENESS, 1, warm, "shard-0", NEXT),
    ]


def _disordered_log() -> Iterator[Row]:
    """Of several devices, over two hours: out of order, too late, sent again, readings that tie, values at edges."""
    chance = random.Random(7)
    values = [-0.0, 0.0, 1e60, -1e60, 5e-324, 0.1, 1e-7, 12345678.9, 1.0, -1.0]
    sent: list[Row] = []
    for number in range(1_500):
        time = NOON + number * 2 * HOUR // 1_500
        time -= chance.choice([0, 0, 0, 1, 61_000, chance.randrange(LATENESS + MINUTE)])
        names = chance.sample(["temperature", "humidity", 'quo"ted\\ü/%', "温度"], chance.randint(0, 3))
        metrics = {name: chance.choice([chance.gauss(20, 5), chance.choice(values)]) for name in names}
        device = chance.choice(["device-1", "device-2", 'gerät "1"\n☃', "device-4"])
        # Times of one device tie where they are rounded; sequences then fall as often as they rise.
        sequence = number if number % 2 else -number
        time -= time % chance.choice([1, 30_000])
        sent.append(_row(device, f"e-{number}", time, sequence, metrics, "shard-2", NEXT))
        yield sent[-1]
        if chance.random() < 0.1:
            yield chance.choice(sent[-50:])


def _row(
    device: str,
    event_id: str,
    event_time: int,
    sequence: int,
    metrics: dict[str, float],
    shard: str,
    sequence_number: str,
    corrects: str | None = None,
) -> Row:
    return Row(
        event_id, device, "telemetry", event_time, sequence, metrics, {}, None, device,
        shard, sequence_number, NOON, b"bytes", None, None, corrects, None, None,
    )  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]))
