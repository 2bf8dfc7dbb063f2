"""Handling of events on which a fold fails: dead letters, a metric and, now and then, a line of the log."""

import logging
from collections.abc import Iterable, Iterator
from typing import Any

from pyflink.datastream.functions import RuntimeContext

from telefold.operators.folds.taking import Due, Failure, Silent
from telefold.schemas.events import DeviceEvent
from telefold.schemas.set_aside import Letter, fold_failed, step_failed

_QUIET_MS = 60_000
_MAX_WHY_CHARACTERS = 500

_log = logging.getLogger(__name__)


def metrics(context: RuntimeContext) -> Any:
    """The group of a task's metrics, as `Metrics` of the JVM edge names it."""
    return context.get_metrics_group().add_group("kinesisanalytics").add_group("Program", "telefold")


class Failures:
    """Counts the failures of a task, and logs one a minute of each fold, with how many were not logged since."""

    def __init__(self, context: RuntimeContext) -> None:
        self._counter = metrics(context).counter("foldFailed")
        self._quiet_until: dict[str, int] = {}
        self._unsaid: dict[str, int] = {}

    def set_aside(self, fold: str, device_id: str, failures: Iterable[Failure], now: int) -> Iterator[Letter]:
        """The letters of `failures`; `now` is the machine's time in epoch milliseconds."""
        for failure in failures:
            self._counter.inc()
            why = f"{type(failure.error).__name__}: {_text(failure.error)}"
            self._say(fold, device_id, failure, why, now)
            match failure.happening:
                case DeviceEvent() as event:
                    yield from fold_failed(fold, event, why, now)
                case Due(at) | Silent(at):
                    yield from step_failed(fold, device_id, at, why, now)
                case _:
                    yield from step_failed(fold, device_id, None, why, now)

    def _say(self, fold: str, device_id: str, failure: Failure, why: str, now: int) -> None:
        if now < self._quiet_until.get(fold, now):
            self._unsaid[fold] = self._unsaid.get(fold, 0) + 1
            return
        self._quiet_until[fold] = now + _QUIET_MS
        fields: dict[str, Any] = {"fold": fold, "device": device_id, "unsaid": self._unsaid.pop(fold, None)}
        if isinstance(failure.happening, DeviceEvent):
            event = failure.happening
            fields |= {"event_id": event.event_id, "correlation_id": event.correlation_id}
        _log.warning("set aside: the fold %s failed: %s", fold, why, extra=fields, exc_info=failure.error)


def _text(error: Exception) -> str:
    try:
        text = str(error)
    except Exception:
        return "the exception cannot be shown"
    return text.encode("utf-8", "replace").decode()[:_MAX_WHY_CHARACTERS]
