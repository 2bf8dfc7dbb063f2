"""Known facts of a device: its newest attributes, and whether it is registered or retired (decision 031)."""

from collections.abc import Collection
from typing import NamedTuple

from telefold.schemas.events import DeviceEvent

EventOrder = tuple[int, int, str]
"""event_time, sequence and event_id of an event: of two that say the same thing the greater counts."""
BEFORE_ALL: EventOrder = (-1, 0, "")
MOST_ATTRIBUTES = 64
ACKNOWLEDGED = "alert_acknowledged"


def order_of(event: DeviceEvent) -> EventOrder:
    return event.event_time, event.sequence, event.event_id


class Attribute(NamedTuple):
    value: str
    since: EventOrder
    """The moment from which it had this value."""
    told: EventOrder
    """The moment at which that was said last."""


class Known:
    """The facts of a device: with `names`, only those attributes; else the first 64 that it sends."""

    __slots__ = ("_names", "attributes", "is_registered", "is_retired", "registered", "retired")

    def __init__(self, names: Collection[str] | None = None) -> None:
        self._names = names
        self.registered = self.retired = BEFORE_ALL
        self.is_registered = self.is_retired = False
        self.attributes: dict[str, Attribute] = {}

    def value(self, name: str) -> str | None:
        held = self.attributes.get(name)
        return None if held is None else held.value

    def hear(self, event: DeviceEvent) -> dict[str, str | None]:
        """The attributes whose value `event` changes, with what they were before."""
        if event.type in ("registered", "retired"):
            self._hear_of_registration(event)
        if not event.attributes or event.type == ACKNOWLEDGED:
            return {}
        changed: dict[str, str | None] = {}
        moment = order_of(event)
        for name, value in event.attributes.items():
            held = self.attributes.get(name)
            if held is None:
                if name in self._names if self._names is not None else len(self.attributes) < MOST_ATTRIBUTES:
                    self.attributes[name] = Attribute(value, moment, moment)
                    changed[name] = None
            elif moment > held.told:
                self.attributes[name] = Attribute(value, held.since if held.value == value else moment, moment)
                if held.value != value:
                    changed[name] = held.value
        return changed

    def _hear_of_registration(self, event: DeviceEvent) -> None:
        if event.type == "registered":
            self.registered = max(self.registered, order_of(event))
        else:
            self.retired = max(self.retired, order_of(event))
        self.is_registered, self.is_retired = self.registered > self.retired, self.retired > self.registered
