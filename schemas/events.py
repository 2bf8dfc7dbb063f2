"""Device events, and what makes one valid; their wire forms are `device_event/*.avsc`."""

import math
import re
from collections.abc import Mapping
from functools import lru_cache

import msgspec

from telefold.schemas.errors import Reason, RejectedEvent
from telefold.schemas.limits import LIMITS, TextLimit

_FORBIDDEN_IN_NAMES = re.compile(rf"[\x00-\x1f{re.escape(LIMITS.forbidden_in_names)}]")
_RULE_NAME = re.compile(LIMITS.rule_name)
_TIME = re.compile(rf"[0-9]{{1,{LIMITS.time_digits}}}")


class DeviceEvent(msgspec.Struct, frozen=True):
    """An event of one device, at the current version. `event_time` is in epoch milliseconds."""

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


class ArrivedEvent(DeviceEvent, frozen=True):
    """An event on its way from the JVM to the folds in Python, which take it for a DeviceEvent."""

    arrival: int | None = None
    """Epoch milliseconds, when Kinesis took its record; None where nobody knows."""


def heard_at(event: DeviceEvent) -> int:
    """The event's arrival, in epoch milliseconds: whatever the device's clock shows. Where none is known, its own time.

    A fold in Python finds here the greatest arrival of the device's events so far, that of this one included.
    """
    arrival = event.arrival if isinstance(event, ArrivedEvent) else None
    return event.event_time if arrival is None else arrival


def heard_no_earlier(event: DeviceEvent, than: int) -> DeviceEvent:
    """`event` as if it had arrived at `than`, in epoch milliseconds, if it did so before."""
    if heard_at(event) >= than:
        return event
    return ArrivedEvent(**{name: getattr(event, name) for name in DeviceEvent.__struct_fields__}, arrival=than)


def check_event(event: DeviceEvent, arrival: int) -> None:
    """Raise RejectedEvent unless `event`, which arrived at `arrival` (epoch milliseconds), can be folded.

    `EventChecks.java` makes the same checks in the same order.
    """
    _check_id("event_id", event.event_id)
    _check_id("device_id", event.device_id)
    if event.corrects is not None:
        _check_id("corrects", event.corrects)
    _check_text("type", event.type, LIMITS.type, Reason.TYPE_TOO_LONG)
    if event.correlation_id is not None:
        _check_text("correlation_id", event.correlation_id, LIMITS.correlation_id, Reason.CORRELATION_ID_TOO_LONG)
    _check_time(event.event_time, arrival)
    _check_number("metrics", len(event.metrics), LIMITS.metrics, Reason.TOO_MANY_METRICS)
    for name, value in event.metrics.items():
        _check_metric(name, value)
    _check_number("attributes", len(event.attributes), LIMITS.attributes, Reason.TOO_MANY_ATTRIBUTES)
    for name, text in event.attributes.items():
        _check_attribute(name, text)
    if event.type == LIMITS.acknowledgement:
        _check_acknowledgement(event.attributes, arrival)


def _check_id(field: str, value: str) -> None:
    if not value:
        raise RejectedEvent(Reason.EMPTY_ID, f"{field} is empty")
    _check_text(field, value, LIMITS.id, Reason.ID_TOO_LONG)


def _check_text(what: str, text: str, limit: TextLimit, reason: Reason) -> None:
    if excess := limit.excess(text):
        raise RejectedEvent(reason, f"{what} {excess}")


def _check_number(what: str, number: int, limit: int, reason: Reason) -> None:
    if number > limit:
        raise RejectedEvent(reason, f"{number} {what}, at most {limit} are allowed")


def _check_time(event_time: int, arrival: int) -> None:
    if event_time < LIMITS.earliest_time:
        raise RejectedEvent(Reason.TIME_TOO_OLD, f"event_time {event_time} is before the year 2000")
    if event_time > arrival + LIMITS.ahead_of_arrival_ms:
        raise RejectedEvent(
            Reason.TIME_IN_FUTURE, f"event_time {event_time} is more than 10 min after its arrival at {arrival}"
        )


def _check_metric(name: str, value: float) -> None:
    _check_name("metric", name, LIMITS.metric_name, Reason.BAD_METRIC_NAME)
    if not math.isfinite(value) or abs(value) > LIMITS.metric_magnitude:
        raise RejectedEvent(Reason.BAD_METRIC_VALUE, f"metric {name} is {value}, not a number between -1e60 and 1e60")


def _check_attribute(name: str, value: str) -> None:
    _check_name("attribute", name, LIMITS.attribute_name, Reason.BAD_ATTRIBUTE_NAME)
    _check_text(f"attribute {name}", value, LIMITS.attribute_value, Reason.ATTRIBUTE_TOO_LONG)


def _check_name(of: str, name: str, limit: TextLimit, reason: Reason) -> None:
    if not _is_a_name(name, limit):
        raise RejectedEvent(
            reason,
            f"{of} names have 1 to {limit.characters} characters and at most {limit.utf8_bytes} bytes in UTF-8,"
            " none of #, {, } or a control character",
        )


# Devices send the same few names with every event.
@lru_cache(maxsize=10_000)
def _is_a_name(name: str, limit: TextLimit) -> bool:
    return bool(name) and not limit.excess(name) and not _FORBIDDEN_IN_NAMES.search(name)


def _check_acknowledgement(attributes: Mapping[str, str], arrival: int) -> None:
    if not _RULE_NAME.fullmatch(attributes.get("rule", "")):
        raise _bad_acknowledgement("attribute rule is not the name of a rule")
    for name in ("began_at", "at"):
        if name in attributes and not _TIME.fullmatch(attributes[name]):
            raise _bad_acknowledgement(
                f"attribute {name} is not a time in epoch milliseconds, 1 to {LIMITS.time_digits} digits"
            )
    if int(attributes.get("at", "0")) > arrival + LIMITS.ahead_of_arrival_ms:
        raise _bad_acknowledgement(f"attribute at is more than 10 min after its arrival at {arrival}")


def _bad_acknowledgement(detail: str) -> RejectedEvent:
    return RejectedEvent(Reason.BAD_ACKNOWLEDGEMENT, detail)
