"""A short log through the job's deduplication with a cut: `python -m tests.support.replay FOLDER`, decisions as JSON.

Each decision is [event_id, event_time, sequence, metrics, reason].
"""

import json
import sys
from pathlib import Path
from typing import Any

from pyflink.common import Row, Types
from pyflink.datastream import StreamExecutionEnvironment

from jobs import settings
from jobs.local import environment, jvm
from operators.dedup import deduplicate
from schemas.corrections import Correction
from tests.support.plan import GROUPS

NOON = 1_769_860_800_000
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
}


def main(root: Path) -> None:
    loaded = settings.parse(GROUPS)
    paths = environment.Paths.below(root, "replay", "replay")
    machine = jvm.start(paths.log, environment.jvm_environment(paths, loaded.source.endpoint))
    try:
        flink = environment.create(environment.configuration(loaded.job, "thread", paths, None, 0))
        flink.set_parallelism(1)
        json.dump(_decisions(flink), sys.stdout)
    finally:
        machine.stop()


def _decisions(flink: StreamExecutionEnvironment) -> list[Any]:
    log = [
        _row("new", NOON, "shard-0", LAST),
        _row("late", NOON - 10_000_000, "shard-0", LAST),
        _row("c1", NOON + 10_000_000, "shard-0", LAST, corrects="late"),
        _row("too late", NOON - 1_001, "shard-0", NEXT),
        _row("also too late", NOON - 1_001, "shard-1", LAST),
        _row("in time", NOON - 1_000, "shard-0", NEXT),
    ]
    deduplicated = deduplicate(
        flink.from_collection(log, Types.ROW_NAMED(list(FIELDS), list(FIELDS.values()))),
        horizon_ms=1_000,
        lateness_ms=1_000,
        retention_ms=1_000_000,
        largest_window_ms=60_000,
        cut={"shard-0": LAST},
        corrections=CORRECTIONS,
    )
    with deduplicated.accepted.union(deduplicated.too_late).execute_and_collect() as decided:
        shown = [list(FIELDS).index(name) for name in ("event_id", "event_time", "sequence", "metrics", "reason")]
        return [[each[index] for index in shown] for each in decided]


def _row(event_id: str, event_time: int, shard: str, sequence_number: str, corrects: str | None = None) -> Row:
    metrics = {"temperature": 50.0}
    return Row(
        event_id, "d", "telemetry", event_time, 1, metrics, {}, None, "d",
        shard, sequence_number, NOON, b"bytes", None, None, corrects,
    )  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]))
