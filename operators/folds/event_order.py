"""Moments of what may be reported late or twice, and times as a row's key has them."""

from datetime import UTC, datetime

from telefold.schemas.events import DeviceEvent

EventOrder = tuple[int, int, str]
"""event_time and, where that ties, sequence and then event_id: the greater of two counts."""
BEFORE_ALL: EventOrder = (-1, 0, "")


def order_of(event: DeviceEvent) -> EventOrder:
    return event.event_time, event.sequence, event.event_id


def iso(at: int) -> str:
    """UTC to the millisecond, of epoch milliseconds, as keys have it."""
    return datetime.fromtimestamp(at / 1_000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
