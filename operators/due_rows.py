"""Rows on their way to the stores: to the fast one now, to the durable one now or when they are due."""

from collections.abc import Sequence

from pyflink.datastream import DataStream

from telefold.edge.java import edge
from telefold.edge.streams import flat_map, key_by, transform

_ROWS_A_BATCH = 1_000
_CHARS_A_BATCH = 8 * 1024 * 1024


def until_due(batches: Sequence[DataStream], *, interval_ms: int, durable_ms: int) -> DataStream:
    """Join `batches`, of the type of `operators.device_fold.Folded.batches`, to fewer and larger ones.

    Of rows that are for the fast store alone the newest is for the durable one too, at most `durable_ms` later; 0 makes
    them for both at once, as all others are. What is due is in state until then.
    """
    view, due = edge().view, edge().batch.DueRows
    first, *others = batches
    rows = flat_map(first.union(*others) if others else first, due.split(), due.type(), "single-rows")
    operator = due(durable_ms, interval_ms, _ROWS_A_BATCH, _CHARS_A_BATCH)
    return transform(key_by(rows, due.key()), operator, view.RowLines.batchType(), "due-rows")
