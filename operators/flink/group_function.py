"""Groups of devices inside Flink: the second of two stages, fed with what single devices contribute."""

from collections.abc import Iterator
from typing import Any

import msgspec
from pyflink.common import Row, Types
from pyflink.datastream.functions import KeyedProcessFunction, RuntimeContext
from pyflink.datastream.state import MapStateDescriptor, ValueStateDescriptor

from telefold.edge.worker import end_with_task_manager
from telefold.operators.flink.failures import metrics
from telefold.operators.flink.fold_function import batch
from telefold.operators.folds.groups import ENDED_KEPT_MS, Ended, GroupRow, read_contributions, take_all

_decode_row = msgspec.json.Decoder(GroupRow).decode
_decode_ended = msgspec.json.Decoder(Ended).decode


class GroupFunction(KeyedProcessFunction):
    """Takes lines of `Contributed` of a group, keyed by its partition, and emits its rows as `BATCH_TYPE`.

    What it cannot read, or has no room for, it leaves out and counts: the other devices of the group go on.

    A row's state lives as long as the row, and is gone when event time has come to its `ends_at`. What is left is one
    number a group, for `ENDED_KEPT_MS`, above which the versions of its rows begin.
    """

    def open(self, context: RuntimeContext) -> None:
        end_with_task_manager()
        counters = metrics(context)
        self._begun = counters.counter("groupRowsBegun")
        self._ended = counters.counter("groupRowsEnded")
        self._left_out = counters.counter("contributionsLeftOut")
        self._rows: Any = context.get_map_state(MapStateDescriptor("group-rows", Types.STRING(), Types.STRING()))
        self._ended_rows: Any = context.get_state(ValueStateDescriptor("group-rows-ended", Types.STRING()))

    def process_element(self, lines: str, context: KeyedProcessFunction.Context) -> Iterator[Row]:
        rows: dict[str, GroupRow] = {}
        contributed, unreadable = read_contributions(lines)
        self._left_out.inc(unreadable + take_all(rows, contributed, self._read, self._floor()))
        for sort, row in rows.items():
            self._rows.put(sort, msgspec.json.encode(row).decode())
            if row.ends_at is not None:
                context.timer_service().register_event_time_timer(row.ends_at * 1_000)
        key = context.get_current_key()
        awaited = {made.sort for made in contributed if made.at_once}
        yield from batch(update for sort, row in rows.items() for update in row.updates(key, sort, sort in awaited))

    def on_timer(self, timestamp: int, context: KeyedProcessFunction.OnTimerContext) -> Iterator[Row]:
        held = {sort: _decode_row(text) for sort, text in self._rows.items()}
        over = {sort: row for sort, row in held.items() if row.ends_at is not None and row.ends_at * 1_000 <= timestamp}
        for sort in over:
            self._rows.remove(sort)
            self._ended.inc()
        if over:
            ended = Ended(max(self._floor(), *(row.floor for row in over.values())), timestamp + ENDED_KEPT_MS)
            self._ended_rows.update(msgspec.json.encode(ended).decode())
            context.timer_service().register_event_time_timer(ended.until)
        elif (text := self._ended_rows.value()) is not None and _decode_ended(text).until <= timestamp:
            self._ended_rows.clear()
        return iter(())

    def _floor(self) -> int:
        text = self._ended_rows.value()
        return 0 if text is None else _decode_ended(text).floor

    def _read(self, sort: str) -> GroupRow | None:
        text = self._rows.get(sort)
        if text is None:
            self._begun.inc()
            return None
        return _decode_row(text)
