"""Groups of devices inside Flink: the second of two stages, fed with what single devices contribute."""

from collections.abc import Iterator
from typing import Any

import msgspec
from pyflink.common import Row, Types
from pyflink.datastream.functions import KeyedProcessFunction, RuntimeContext
from pyflink.datastream.state import MapStateDescriptor

from operators.flink.failures import metrics
from operators.flink.fold_function import batch
from operators.folds.groups import GroupRow, read_contributions, take_all

_decode_row = msgspec.json.Decoder(GroupRow).decode


class GroupFunction(KeyedProcessFunction):  # type: ignore[misc]
    """Takes lines of `Contributed` of a group, keyed by its partition, and emits its rows as `BATCH_TYPE`.

    What it cannot read, or has no room for, it leaves out and counts: the other devices of the group go on.

    A row's state lives as long as the row, and is gone when event time has come to its `ends_at`.
    """

    def open(self, context: RuntimeContext) -> None:
        counters = metrics(context)
        self._begun = counters.counter("groupRowsBegun")
        self._ended = counters.counter("groupRowsEnded")
        self._left_out = counters.counter("contributionsLeftOut")
        self._rows: Any = context.get_map_state(MapStateDescriptor("group-rows", Types.STRING(), Types.STRING()))

    def process_element(self, lines: str, context: KeyedProcessFunction.Context) -> Iterator[Row]:
        rows: dict[str, GroupRow] = {}
        contributed, unreadable = read_contributions(lines)
        self._left_out.inc(unreadable + take_all(rows, contributed, self._read))
        for sort, row in rows.items():
            self._rows.put(sort, msgspec.json.encode(row).decode())
            if row.ends_at is not None:
                context.timer_service().register_event_time_timer(row.ends_at * 1_000)
        key = context.get_current_key()
        yield from batch(update for sort, row in rows.items() for update in row.updates(key, sort))

    def on_timer(self, timestamp: int, context: KeyedProcessFunction.OnTimerContext) -> Iterator[Row]:
        over = [
            sort
            for sort, text in self._rows.items()
            if (ends_at := _decode_row(text).ends_at) is not None and ends_at * 1_000 <= timestamp
        ]
        for sort in over:
            self._rows.remove(sort)
            self._ended.inc()
        return iter(())

    def _read(self, sort: str) -> GroupRow | None:
        text = self._rows.get(sort)
        if text is None:
            self._begun.inc()
            return None
        return _decode_row(text)
