"""Folds in Python over the accepted events of each device, fed in micro-batches: batches of changed rows come out."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from pyflink.datastream import DataStream, KeyedStream

from telefold.edge.java import edge, row
from telefold.edge.streams import (
    flat_map,
    in_one_task,
    key_rows,
    map_each,
    process,
    rows_keyed_as_they_are,
    transform,
    transform_with_broadcast,
)
from telefold.operators.flink.fold_function import BATCH_TYPE, EMITTED_TYPE, FoldFunction, RuledFoldFunction
from telefold.operators.flink.group_function import GroupFunction
from telefold.operators.flink.rule_function import RULE_TYPE, RuleFunction
from telefold.operators.flush_budget import FlushBudget
from telefold.operators.folds.fold import Fold
from telefold.schemas.rules import RULES_SETTLE_MS, RuleChange, encode_change

_MAX_CHARS = 32 * 1024 * 1024
_CONTRIBUTIONS_A_BATCH = 10_000


class Rules(NamedTuple):
    """The rules that folds go by."""

    records: DataStream
    """Records of the stream of rules, as texts of one character a byte, whatever they hold."""
    known: Sequence[RuleChange]
    """The changes that are known, as the stream may not have them any more."""


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

    Events wait for others of their device, and contributions for others to their group, for their parts of
    `interval_ms`, as `FlushBudget` divides it. Nothing is kept over a checkpoint barrier. What is known of a device is
    dropped when it has said nothing for `retention_ms`.
    """
    lines = map_each(accepted, edge().python.EventLines(), edge().python.EventLines.type(), "event-lines")
    budget = FlushBudget(interval_ms)
    batches = _batched(lines, budget.events_ms, max_events, "events-by-device")
    if rules is None:
        emitted = process(key_rows(batches), FoldFunction(folds, retention_ms), EMITTED_TYPE, "folds")
        set_aside = ()
    else:
        keyed, set_aside = _with_rules(batches, rules, retention_ms)
        emitted = process(keyed, RuledFoldFunction(folds, retention_ms), EMITTED_TYPE, "folds")
    rows = flat_map(emitted, edge().python.Emitted.rows(), edge().view.RowLines.batchType(), "rows")
    if any(_contributes(fold) for fold in folds):
        rows = rows.union(_of_groups(emitted, budget.contributions_ms))
    return FoldedInPython(rows, (_letters(emitted, "fold-letters"), *set_aside))


def _contributes(fold: Fold[Any]) -> bool:
    return type(fold).contributes is not Fold.contributes


def _of_groups(emitted: DataStream, interval_ms: int) -> DataStream:
    """The rows of groups. What the devices of a task contribute to one goes there in one batch, however many it is."""
    made = flat_map(
        emitted, edge().python.Emitted.contributions(), edge().batch.MicroBatch.appendType(), "contributions"
    )
    batches = _batched(made, interval_ms, _CONTRIBUTIONS_A_BATCH, "contributions-by-group")
    return process(key_rows(batches), GroupFunction(), BATCH_TYPE, "groups")


def _batched(lines: DataStream, interval_ms: int, max_lines: int, name: str) -> DataStream:
    batch = edge().batch.MicroBatch
    return transform(lines, batch.append(interval_ms, max_lines, _MAX_CHARS), batch.appendType(), name)


def _letters(emitted: DataStream, name: str) -> DataStream:
    return flat_map(emitted, edge().python.Emitted.letters(), edge().deadletter.DeadLetters.type(), name)


def _with_rules(batches: DataStream, rules: Rules, retention_ms: int) -> tuple[KeyedStream, tuple[DataStream, ...]]:
    """Keyed once: what comes from the operator of a task stays there. And the letters of what is no rule."""
    read = _read(rules)
    changes = in_one_task(flat_map(read, edge().rules.Rules.changes(), edge().rules.Rules.type(), "rule-changes"))
    operator = edge().rules.RulesToDevices([_change(one) for one in rules.known], RULES_SETTLE_MS, retention_ms)
    told = transform_with_broadcast(
        key_rows(batches), changes, operator, edge().rules.RulesToDevices.type(), "rules-to-devices"
    )
    return rows_keyed_as_they_are(told), (in_one_task(_letters(read, "rule-letters")),)


def _read(rules: Rules) -> DataStream:
    """Read rules in one task, as there is one answer to how many rules there are."""
    batch_type = edge().batch.MicroBatch.appendType()
    records = in_one_task(map_each(rules.records, edge().rules.RuleRecords(), batch_type, "rule-records"))
    function = RuleFunction([change.rule for change in rules.known])
    return in_one_task(process(key_rows(records), function, RULE_TYPE, "read-rules"))


def _change(change: RuleChange) -> Any:
    return row(change.rule, change.version, encode_change(change).decode())
