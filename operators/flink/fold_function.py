"""Folds in Python inside Flink: state read and written once a device and batch, one crossing for all folds."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
from pyflink.common import Row, Types
from pyflink.datastream import TimeDomain
from pyflink.datastream.functions import KeyedProcessFunction, RuntimeContext
from pyflink.datastream.state import ValueStateDescriptor

from telefold.edge.worker import end_with_task_manager
from telefold.operators.flink.failures import Failures
from telefold.operators.folds.fold import Clock, Fold, RuledFold, under_rules
from telefold.operators.folds.groups import Contributed
from telefold.operators.folds.state_codec import StateCodec
from telefold.operators.folds.taking import Due, Happening, Judged, Silent, Taken, take
from telefold.schemas.events import ArrivedEvent, DeviceEvent
from telefold.schemas.log_lines import set_up_log
from telefold.schemas.rules import RuleChange
from telefold.schemas.set_aside import Letter
from telefold.schemas.view_rows import ViewUpdate, device_of

_decode_lines = msgspec.json.Decoder(ArrivedEvent).decode_lines
_decode_rules = msgspec.json.Decoder(list[RuleChange]).decode
_encode_lines = msgspec.json.Encoder().encode_lines

BATCH_TYPE = Types.ROW_NAMED(["count", "rows"], [Types.INT(), Types.STRING()])
"""Rows of (count, that many lines), each line a `schemas.view_rows.ViewUpdate` in JSON."""

EMITTED_TYPE = Types.ROW_NAMED(
    ["count", "rows", "contributions", "letters"], [Types.INT(), Types.STRING(), Types.STRING(), Types.STRING()]
)
"""Rows of `BATCH_TYPE`, then lines of `operators.folds.groups.Contributed` and of `schemas.set_aside.Letter`, as JSON.

Each of the three is null where there is none.
"""


class FoldFunction(KeyedProcessFunction):
    """Takes the events of a device as lines of JSON and emits what they changed, as `EMITTED_TYPE`.

    Each fold's state has its own name, so one that is added begins with the events to come, and one that is left out
    leaves the others as they were. An event on which a fold fails is set aside for that fold alone.

    Flink's event time is here the time of the log: up to which arrival all shards have been read.
    """

    def __init__(self, folds: Sequence[Fold[Any]], retention_ms: int | None) -> None:
        self._folds = folds
        self._retention_ms = retention_ms

    def open(self, context: RuntimeContext) -> None:
        set_up_log()
        end_with_task_manager()
        self._failures = Failures(context)
        self._running = [
            _RunningFold(
                fold, context.get_state(ValueStateDescriptor(f"fold-{fold.name}", Types.STRING())), self._retention_ms
            )
            for fold in self._folds
        ]

    def process_element(self, lines: str, context: KeyedProcessFunction.Context) -> Sequence[Row]:
        events = _decode_lines(lines)
        device, timers = device_of(context.get_current_key()), context.timer_service()
        return self._emitted(device, [fold.take(device, events, timers) for fold in self._running], timers)

    def on_timer(self, timestamp: int, context: KeyedProcessFunction.OnTimerContext) -> Sequence[Row]:
        clock: Clock = "arrival" if context.time_domain() == TimeDomain.EVENT_TIME else "processing"
        device, timers = device_of(context.get_current_key()), context.timer_service()
        return self._emitted(device, [fold.fire(device, timestamp, clock, timers) for fold in self._running], timers)

    def go_by(self, rules: Sequence[RuleChange]) -> None:
        for running in self._running:
            running.go_by(rules)

    def _emitted(self, key: str, taken: Sequence["_OfFold | None"], timers: Any) -> Sequence[Row]:
        updates: list[ViewUpdate] = []
        contributions: list[Contributed] = []
        letters: list[Letter] = []
        for one in taken:
            if one is not None:
                updates += one.taken.updates
                contributions += one.taken.contributions
                if failures := one.taken.failures:
                    letters += self._failures.set_aside(one.fold, key, failures, timers.current_processing_time())
        return emitted(updates, contributions, letters)


class RuledFoldFunction(FoldFunction):
    """Takes rows of (rules, lines, at): where there are rules, they are all that are known from now on in this task.

    A device of which there are no lines is evaluated by those in force at `at`, the time of the log. The first row that
    a task gets after a start has rules.
    """

    def process_element(self, batch: Any, context: KeyedProcessFunction.Context) -> Sequence[Row]:
        rules, lines, at = batch
        if rules is not None:
            self.go_by(_decode_rules(rules))
        if lines:
            return super().process_element(lines, context)
        device, timers = device_of(context.get_current_key()), context.timer_service()
        return self._emitted(device, [fold.judge(device, at, timers) for fold in self._running], timers)


def emitted(updates: Sequence[Any], contributions: Sequence[Any] = (), letters: Sequence[Letter] = ()) -> Sequence[Row]:
    """A row of `EMITTED_TYPE`, if there is anything to say."""
    if updates or contributions or letters:
        return [Row(len(updates), _lines(updates), _lines(contributions), _lines(letters))]
    return ()


def batch(updates: Iterable[Any]) -> Iterator[Row]:
    """A row of `BATCH_TYPE`, if there are updates."""
    rows = list(updates)
    if rows:
        yield Row(len(rows), _lines(rows))


def _lines(values: Sequence[Any]) -> str | None:
    """JSON has no line breaks but those between its values."""
    return _encode_lines(values).decode().rstrip("\n") if values else None


class _OfFold(NamedTuple):
    fold: str
    taken: Taken[Any]


class _RunningFold:
    """A fold over the devices of a task, whose state is that of the device at hand."""

    def __init__(self, fold: Fold[Any], state: Any, retention_ms: int | None) -> None:
        self._state = state
        self._retention_ms = retention_ms
        self._kept = StateCodec(fold)

    def go_by(self, rules: Sequence[RuleChange]) -> None:
        if isinstance(self._kept.fold, RuledFold):
            self._kept = StateCodec(under_rules(self._kept.fold, rules))

    def take(self, key: str, events: Sequence[DeviceEvent], timers: Any) -> _OfFold | None:
        return self._take(key, self._state.value(), events, timers)

    def judge(self, key: str, at: int, timers: Any) -> _OfFold | None:
        text = self._state.value() if isinstance(self._kept.fold, RuledFold) else None
        return None if text is None else self._take(key, text, [Judged(at)], timers)

    def fire(self, key: str, now: int, clock: Clock, timers: Any) -> _OfFold | None:
        """A timer that an event has since put off is left to find that out when it fires: few do, and late."""
        text = self._state.value()
        if text is None:
            return None
        due, end, is_forgotten = self._kept.timers(text)
        woken = clock == self._kept.fold.clock and due == now
        silent = clock == "arrival" and end == now
        if silent and is_forgotten:
            self._state.clear()
            return None
        happened: list[Happening] = [Due(now)] if woken else []
        happened += [Silent(now)] if silent else []
        return self._take(key, text, happened, timers) if woken or silent else None

    def _take(self, key: str, text: str | None, happened: Sequence[Happening], timers: Any) -> _OfFold:
        taken = take(self._kept, key, text, happened, self._retention_ms)
        if taken.text is not None and taken.text != text:
            self._state.update(taken.text)
        for clock, at in taken.armed:
            if clock == "arrival":
                timers.register_event_time_timer(at)
            else:
                timers.register_processing_time_timer(at)
        return _OfFold(self._kept.fold.name, taken)
