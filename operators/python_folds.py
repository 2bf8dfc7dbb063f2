"""Folds in Python over the accepted events of each device, fed in micro-batches: batches of changed rows come out."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from pyflink.common import Types
from pyflink.datastream import DataStream, KeyedStream
from pyflink.java_gateway import get_gateway

from operators.flink.fold_function import BATCH_TYPE, FoldFunction
from operators.flink.group_function import GroupFunction
from operators.flink.jvm import edge, process, transform
from operators.folds.fold import Fold
from schemas.rules import RuleChange, encode_change

_MAX_CHARS = 32 * 1024 * 1024
_ROWS_A_BATCH = 1_000
_CONTRIBUTIONS_A_BATCH = 10_000
_SETTLE_MS = 200


class Rules(NamedTuple):
    """What folds with rules go by."""

    stream: DataStream
    """Records of changes, as `schemas.rules.RuleChange` in JSON."""
    known: Sequence[RuleChange]
    """Changes that the stream may not have any more."""


def fold_in_python(
    accepted: DataStream, folds: Sequence[Fold[Any]], *, interval_ms: int, max_events: int, rules: Rules | None = None
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
    keyed = _keyed(batches) if rules is None else _with_rules(batches, rules)
    emitted = process(keyed, FoldFunction(folds), BATCH_TYPE, "folds")
    rows = emitted
    if any(_contributes(fold) for fold in folds):
        of_devices = DataStream(emitted._j_data_stream.filter(edge().Contributions.rows()).name("rows").uid("rows"))
        rows = of_devices.union(_of_groups(emitted, max(1, interval_ms // 8)))
    return transform(
        rows,
        "gather",
        "gather",
        edge().DeviceFold.batchType(),
        edge().GatherLines(max(1, interval_ms // 4), _ROWS_A_BATCH),
    )


def _contributes(fold: Fold[Any]) -> bool:
    return type(fold).contributes is not Fold.contributes


def _of_groups(emitted: DataStream, interval_ms: int) -> DataStream:
    """The rows of groups. What the devices of a task contribute to one goes there in one batch, however many it is."""
    made = emitted._j_data_stream.flatMap(edge().Contributions(), edge().EventLines.type())
    batches = transform(
        DataStream(made.name("contributions").uid("contributions")),
        "contributions-by-group",
        "contributions-by-group",
        edge().MicroBatch.appendType(),
        edge().MicroBatch.append(interval_ms, _CONTRIBUTIONS_A_BATCH, _MAX_CHARS),
    )
    return process(_keyed(batches), GroupFunction(), BATCH_TYPE, "groups")


def _keyed(batches: DataStream) -> KeyedStream:
    """Keyed in the JVM, as `DataStream.key_by` does after a step through Python of its own."""
    keyed = batches._j_data_stream.keyBy(get_gateway().jvm.KeyByKeySelector(), _key_type())
    return KeyedStream(keyed, Types.STRING(), batches)


def _with_rules(batches: DataStream, rules: Rules) -> KeyedStream:
    """Keyed once: what comes from the operator of a task stays there."""
    operator = edge().RulesToDevices([encode_change(change).decode() for change in rules.known], _SETTLE_MS)
    connected = _keyed(batches)._j_data_stream.connect(rules.stream._j_data_stream.broadcast())
    told = connected.transform("rules-to-devices", edge().MicroBatch.appendType(), operator).uid("rules-to-devices")
    again = get_gateway().jvm.org.apache.flink.streaming.api.datastream.DataStreamUtils.reinterpretAsKeyedStream(
        told, get_gateway().jvm.KeyByKeySelector(), _key_type()
    )
    return KeyedStream(again, Types.STRING(), DataStream(told))


def _key_type() -> Any:
    return Types.ROW([Types.STRING()]).get_java_type_info()
