"""What a device event is, and what makes one valid (DESIGN of the wire form: `device_event/*.avsc`)."""

import math
import re
from collections.abc import Mapping

import msgspec

from schemas.errors import Reason, RejectedEvent

MAX_ID_CHARACTERS = 256
MAX_METRICS = 1_000
MAX_METRIC_NAME_CHARACTERS = 128
# Squares of readings are summed and DynamoDB numbers end at 1e126.
MAX_METRIC_MAGNITUDE = 1e60
# '#', '{' and '}' have a meaning in the keys of the view rows.
FORBIDDEN_IN_METRIC_NAMES = "#{}"
_METRIC_NAME = re.compile(rf"[^\x00-\x1f{FORBIDDEN_IN_METRIC_NAMES}]{{1,{MAX_METRIC_NAME_CHARACTERS}}}")
EARLIEST_EVENT_TIME = 946_684_800_000  # 2000-01-01T00:00:00Z
MAX_AHEAD_OF_ARRIVAL_MS = 600_000


class DeviceEvent(msgspec.Struct, frozen=True):
    """One event of one device, at the current version. `event_time` is in epoch milliseconds."""

    event_id: str
    device_id: str
    type: str
    event_time: int
    sequence: int
    metrics: Mapping[str, float] = {}
    attributes: Mapping[str, str] = {}
    correlation_id: str | None = None
    corrects: str | None = None
    """The event_id of the event that this one replaces; such a correction is folded by rebuilds alone."""


def check_event(event: DeviceEvent, arrival: int) -> None:
    """Raise RejectedEvent unless `event`, which arrived at `arrival` (epoch milliseconds), can be folded."""
    _check_id("event_id", event.event_id)
    _check_id("device_id", event.device_id)
    if event.corrects is not None:
        _check_id("corrects", event.corrects)
    _check_time(event.event_time, arrival)
    if len(event.metrics) > MAX_METRICS:
        raise RejectedEvent(Reason.TOO_MANY_METRICS, f"{len(event.metrics)} metrics, at most {MAX_METRICS} are allowed")
    for name, value in event.metrics.items():
        _check_metric(name, value)


def _check_id(field: str, value: str) -> None:
    if not value:
        raise RejectedEvent(Reason.EMPTY_ID, f"{field} is empty")
    if len(value) > MAX_ID_CHARACTERS:
        raise RejectedEvent(
            Reason.ID_TOO_LONG, f"{field} has {len(value)} characters, at most {MAX_ID_CHARACTERS} are allowed"
        )


def _check_time(event_time: int, arrival: int) -> None:
    if event_time < EARLIEST_EVENT_TIME:
        raise RejectedEvent(Reason.TIME_TOO_OLD, f"event_time {event_time} is before the year 2000")
    if event_time > arrival + MAX_AHEAD_OF_ARRIVAL_MS:
        raise RejectedEvent(
            Reason.TIME_IN_FUTURE, f"event_time {event_time} is more than 10 min after its arrival at {arrival}"
        )


def _check_metric(name: str, value: float) -> None:
    if not _METRIC_NAME.fullmatch(name):
        raise RejectedEvent(
            Reason.BAD_METRIC_NAME,
            f"metric names have 1 to {MAX_METRIC_NAME_CHARACTERS} characters, none of #, {{, }} or a control character",
        )
    if not math.isfinite(value) or abs(value) > MAX_METRIC_MAGNITUDE:
        raise RejectedEvent(Reason.BAD_METRIC_VALUE, f"metric {name} is {value}, not a number between -1e60 and 1e60")
