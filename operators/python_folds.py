"""Folds in Python over the accepted events of each device, fed in micro-batches: batches of changed rows come out."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from pyflink.common import Types
from pyflink.datastream import DataStream, KeyedStream
from pyflink.java_gateway import get_gateway

from operators.flink.fold_function import BATCH_TYPE, EMITTED_TYPE, FoldFunction, RuledFoldFunction
from operators.flink.group_function import GroupFunction
from operators.flink.jvm import edge, process, transform
from operators.flink.rule_function import RULE_TYPE, RuleFunction
from operators.folds.fold import Fold
from schemas.rules import RuleChange, encode_change

_MAX_CHARS = 32 * 1024 * 1024
_ROWS_A_BATCH = 1_000
_CHARS_A_BATCH = 8 * 1024 * 1024
_CONTRIBUTIONS_A_BATCH = 10_000
_SETTLE_MS = 200


class Rules(NamedTuple):
    """What folds with rules go by."""

    records: DataStream
    """Records of the stream of rules, as texts of one character a byte, whatever they hold."""
    known: Sequence[RuleChange]
    """Changes that the stream may not have any more."""


class FoldedInPython(NamedTuple):
    batches: DataStream
    """Rows of `operators.device_fold.Folded.batches`' type, of what the folds make of the events."""
    set_aside: tuple[DataStream, ...]
    """Letters of what a fold failed on, and of records that are no rules, as `connectors.kinesis.write_dead_letters`
    takes them."""


def fold_in_python(
    accepted: DataStream,
    folds: Sequence[Fold[Any]],
    *,
    interval_ms: int,
    max_events: int,
    retention_ms: int,
    rules: Rules | None = None,
) -> FoldedInPython:
    """Fold the `accepted` events by each of `folds`.

    Events wait at most three quarters of `interval_ms` for others of their device, and rows the rest of it for other
    devices' rows. Nothing is kept over a checkpoint barrier. What is known of a device is dropped when it has said
    nothing for `retention_ms`.
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
    if rules is None:
        emitted = process(_keyed(batches), FoldFunction(folds, retention_ms), EMITTED_TYPE, "folds")
        set_aside = ()
    else:
        keyed, set_aside = _with_rules(batches, rules, retention_ms)
        emitted = process(keyed, RuledFoldFunction(folds, retention_ms), EMITTED_TYPE, "folds")
    rows = _part(emitted, "rows", edge().Emitted.rows(), edge().DeviceFold.batchType())
    if any(_contributes(fold) for fold in folds):
        rows = rows.union(_of_groups(emitted, max(1, interval_ms // 8)))
    gathered = transform(
        rows,
        "gather",
        "gather",
        edge().DeviceFold.batchType(),
        edge().GatherLines(max(1, interval_ms // 4), _ROWS_A_BATCH, _CHARS_A_BATCH),
    )
    letters = _part(emitted, "fold-letters", edge().Emitted.letters(), edge().DeadLetters.type())
    return FoldedInPython(gathered, (letters, *set_aside))


def _contributes(fold: Fold[Any]) -> bool:
    return type(fold).contributes is not Fold.contributes


def _of_groups(emitted: DataStream, interval_ms: int) -> DataStream:
    """The rows of groups. What the devices of a task contribute to one goes there in one batch, however many it is."""
    made = _part(emitted, "contributions", edge().Emitted.contributions(), edge().MicroBatch.appendType())
    batches = transform(
        made,
        "contributions-by-group",
        "contributions-by-group",
        edge().MicroBatch.appendType(),
        edge().MicroBatch.append(interval_ms, _CONTRIBUTIONS_A_BATCH, _MAX_CHARS),
    )
    return process(_keyed(batches), GroupFunction(), BATCH_TYPE, "groups")


def _part(stream: DataStream, name: str, function: Any, of_type: Any) -> DataStream:
    return DataStream(stream._j_data_stream.flatMap(function, of_type).name(name).uid(name))


def _keyed(batches: DataStream) -> KeyedStream:
    """Keyed in the JVM, as `DataStream.key_by` does after a step through Python of its own."""
    keyed = batches._j_data_stream.keyBy(get_gateway().jvm.KeyByKeySelector(), _key_type())
    return KeyedStream(keyed, Types.STRING(), batches)


def _with_rules(batches: DataStream, rules: Rules, retention_ms: int) -> tuple[KeyedStream, tuple[DataStream, ...]]:
    """Keyed once: what comes from the operator of a task stays there. And the letters of what is no rule."""
    read = _read(rules)
    changes = _in_order(_part(read, "rule-changes", edge().Rules.changes(), edge().Rules.type()))
    operator = edge().RulesToDevices([_change(one) for one in rules.known], _SETTLE_MS, retention_ms)
    connected = _keyed(batches)._j_data_stream.connect(changes._j_data_stream.broadcast())
    told = connected.transform("rules-to-devices", edge().RulesToDevices.type(), operator).uid("rules-to-devices")
    again = get_gateway().jvm.org.apache.flink.streaming.api.datastream.DataStreamUtils.reinterpretAsKeyedStream(
        told, get_gateway().jvm.KeyByKeySelector(), _key_type()
    )
    letters = _in_order(_part(read, "rule-letters", edge().Emitted.letters(), edge().DeadLetters.type()))
    return KeyedStream(again, Types.STRING(), DataStream(told)), (letters,)


def _read(rules: Rules) -> DataStream:
    """In one task, as there is one answer to how many rules there are."""
    records = rules.records._j_data_stream.map(edge().RuleRecords(), edge().MicroBatch.appendType())
    keyed = _keyed(DataStream(records.name("rule-records").uid("rule-records").setParallelism(1)))
    read = process(keyed, RuleFunction([change.rule for change in rules.known]), RULE_TYPE, "read-rules")
    return _in_order(read)


def _in_order(stream: DataStream) -> DataStream:
    """In one task: several would send what they share in an order that each task behind them sees differently."""
    stream._j_data_stream.setParallelism(1)
    return stream


def _change(change: RuleChange) -> Any:
    row = get_gateway().jvm.org.apache.flink.types.Row(3)
    for position, value in enumerate((change.rule, change.version, encode_change(change).decode())):
        row.setField(position, value)
    return row


def _key_type() -> Any:
    return Types.ROW([Types.STRING()]).get_java_type_info()
