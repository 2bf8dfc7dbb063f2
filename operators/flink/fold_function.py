"""Folds in Python inside Flink: state read and written once a device and batch, one crossing for all folds."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
from pyflink.common import Row, Types
from pyflink.datastream import TimeDomain
from pyflink.datastream.functions import KeyedProcessFunction, RuntimeContext
from pyflink.datastream.state import ValueStateDescriptor

from operators.folds.fold import Fold, RuledFold
from operators.folds.groups import Contributed, group_partition
from operators.folds.kept import Kept, KeptFold
from operators.folds.steps import Steps
from schemas.events import DeviceEvent
from schemas.log_lines import set_up_log
from schemas.rules import RuleChange

_decode_lines = msgspec.json.Decoder(DeviceEvent).decode_lines
_decode_records = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_rule = msgspec.json.Decoder(RuleChange).decode
_encode_lines = msgspec.json.Encoder().encode_lines
_encode = msgspec.json.Encoder().encode

_log = logging.getLogger(__name__)

BATCH_TYPE = Types.ROW_NAMED(["count", "rows"], [Types.INT(), Types.STRING()])
"""So many lines, each a `schemas.view_rows.ViewUpdate` in JSON ..."""
CONTRIBUTIONS = 0
"""... or, where this is the count, each the partition of a group, a tab, and a `Contributed` of `operators.folds`."""


class FoldFunction(KeyedProcessFunction):  # type: ignore[misc]
    """Takes the events of a device as lines of JSON and emits the rows that they changed, as `BATCH_TYPE`.

    A first line that is a list holds all rules, as they are from now on for every device of the task. A device of which
    there are no events is judged by them. The first lines that a task gets after a start bring the rules, too.

    Each fold's state has its own name, so one that is added begins with the events to come, and one that is left out
    leaves the others as they were.
    """

    def __init__(self, folds: Sequence[Fold[Any]]) -> None:
        self._folds = folds

    def open(self, context: RuntimeContext) -> None:
        set_up_log()
        self._running = [
            _RunningFold(fold, context.get_state(ValueStateDescriptor(f"fold-{fold.name}", Types.STRING())))
            for fold in self._folds
        ]

    def process_element(self, lines: str, context: KeyedProcessFunction.Context) -> Iterator[Row]:
        if lines.startswith("["):
            rules, _, lines = lines.partition("\n")
            self._go_by(list(_readable(rules)))
        events = _decode_lines(lines)
        key, timers = context.get_current_key(), context.timer_service()
        yield from _emitted(key, [fold.take(key, events, timers) for fold in self._running])

    def _go_by(self, rules: Sequence[RuleChange]) -> None:
        for running in self._running:
            running.go_by(rules)

    def on_timer(self, timestamp: int, context: KeyedProcessFunction.OnTimerContext) -> Iterator[Row]:
        clock = "event" if context.time_domain() == TimeDomain.EVENT_TIME else "processing"
        key, timers = context.get_current_key(), context.timer_service()
        yield from _emitted(key, [fold.fire(key, timestamp, timers) for fold in self._running if fold.clock == clock])


def _emitted(key: str, taken: Sequence[Steps[Any] | None]) -> Iterator[Row]:
    """The rows that changed, and apart from them what the steps contribute to groups, as `CONTRIBUTIONS` says."""
    steps = [one for one in taken if one is not None]
    yield from batch(update for one in steps for update in one.updates())
    made = [
        f"{group_partition(each.group)}\t{_encode(Contributed.of(one.name, key, each)).decode()}"
        for one in steps
        for each in one.contributions
    ]
    if made:
        yield Row(CONTRIBUTIONS, "\n".join(made))


def batch(updates: Iterable[Any]) -> Iterator[Row]:
    """A row of `BATCH_TYPE`, if there are updates."""
    rows = list(updates)
    if rows:
        yield Row(len(rows), _encode_lines(rows).decode().rstrip("\n"))


def _readable(rules: str) -> Iterator[RuleChange]:
    """Whoever can write to the stream of rules can write anything into it: what is no rule leaves the others alone."""
    for record in _decode_records(rules):
        try:
            yield _decode_rule(record)
        except msgspec.ValidationError as error:
            _log.warning("no rule: %s in %s", error, bytes(record).decode()[:200])


def _tell_of(event: DeviceEvent, fold: str) -> None:
    """The exception itself, which ends the job, does not know which event it is about."""
    fields = {"device": event.device_id, "event_id": event.event_id, "correlation_id": event.correlation_id}
    _log.error("the fold %s failed on an event", fold, extra=fields)


class _RunningFold:
    """One fold over the devices of a task, whose state is that of the device at hand."""

    def __init__(self, fold: Fold[Any], state: Any) -> None:
        self.clock = fold.clock
        self._fold = fold
        self._state = state
        self._kept = KeptFold(fold)

    def go_by(self, rules: Sequence[RuleChange]) -> None:
        if isinstance(self._fold, RuledFold):
            self._fold = self._fold.under(rules)

    def take(self, key: str, events: Sequence[DeviceEvent], timers: Any) -> Steps[Any] | None:
        if not events and not isinstance(self._fold, RuledFold):
            return None
        kept = self._read()
        if not events and kept is None:
            return None
        steps = Steps(self._fold, key, kept.held if kept else None)
        steps.judge()
        for event in events:
            try:
                steps.fold(event)
            except Exception:
                _tell_of(event, self._fold.name)
                raise
        self._keep(steps, kept.timer if kept else None, timers)
        return steps

    def fire(self, key: str, now: int, timers: Any) -> Steps[Any] | None:
        """A timer that an event has since put off is left to find that out when it fires: few do, and late."""
        kept = self._read()
        if kept is None or kept.timer != now:
            return None
        steps = Steps(self._fold, key, kept.held)
        steps.judge()
        steps.advance(now)
        self._keep(steps, None, timers)
        return steps

    def _read(self) -> Kept[Any] | None:
        text = self._state.value()
        return None if text is None else self._kept.read(text)

    def _keep(self, steps: Steps[Any], timer: int | None, timers: Any) -> None:
        """One timer is enough for a device that goes on reporting: it is set anew when it has fired, or is too late."""
        due = steps.wake_at
        if due is not None and (timer is None or due < timer):
            timer = due
            if self.clock == "event":
                timers.register_event_time_timer(due)
            else:
                timers.register_processing_time_timer(due)
        self._state.update(self._kept.text(steps.held, timer))
