"""Folds in Python over the accepted events of each device, fed in micro-batches: batches of changed rows come out."""

from collections.abc import Sequence
from typing import Any

from pyflink.common import Types
from pyflink.datastream import DataStream, KeyedStream
from pyflink.java_gateway import get_gateway

from operators.flink.fold_function import BATCH_TYPE, FoldFunction
from operators.flink.jvm import edge, transform
from operators.folds.fold import Fold

_MAX_CHARS = 32 * 1024 * 1024
_ROWS_A_BATCH = 1_000


def fold_in_python(
    accepted: DataStream, folds: Sequence[Fold[Any]], *, interval_ms: int, max_events: int
) -> DataStream:
    """Rows of `operators.device_fold.Folded.batches`' type, of what `folds` make of the `accepted` events.

    Events wait at most three quarters of `interval_ms` for others of their device, and rows the rest of it for other
    devices' rows. Nothing is kept over a checkpoint barrier.
    """
    lines = DataStream(
        accepted._j_data_stream.map(edge().EventLines(), edge().EventLines.type())
        .name("event-lines")
        .uid("event-lines")
    )
    batches = transform(
        lines,
        "events-by-device",
        "events-by-device",
        edge().MicroBatch.appendType(),
        edge().MicroBatch.append(max(1, interval_ms * 3 // 4), max_events, _MAX_CHARS),
    )
    rows = _keyed(batches).process(FoldFunction(folds), BATCH_TYPE).name("folds").uid("folds")
    return transform(
        rows,
        "gather",
        "gather",
        edge().DeviceFold.batchType(),
        edge().GatherLines(max(1, interval_ms // 4), _ROWS_A_BATCH),
    )


def _keyed(batches: DataStream) -> KeyedStream:
    """Keyed in the JVM, as `DataStream.key_by` does after a step through Python of its own."""
    key_type = Types.ROW([Types.STRING()]).get_java_type_info()
    keyed = batches._j_data_stream.keyBy(get_gateway().jvm.KeyByKeySelector(), key_type)
    return KeyedStream(keyed, Types.STRING(), batches)
