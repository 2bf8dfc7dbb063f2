"""Newest attributes of a device, and whether it is retired. Pure; defined once for all folds.

An attribute has the value of the event that is greatest by (event_time, sequence, event_id), each name for itself, in
whatever order the events come. Every event may have attributes of the device, except acknowledgements: theirs are of an
alert.
"""

from collections.abc import Collection, Mapping

import msgspec

from telefold.operators.folds.event_order import BEFORE_ALL, EventOrder, order_of
from telefold.schemas.events import DeviceEvent
from telefold.schemas.limits import LIMITS

REGISTERED, RETIRED = "registered", "retired"
"""The types of events that begin and end the life of a device."""
MAX_ATTRIBUTES = 64
"""Names of attributes that are stored of a device: those that came first."""


def is_report(event: DeviceEvent) -> bool:
    """Whether the device reports with it, whoever asks: it has readings, and is no acknowledgement of an alert."""
    return bool(event.metrics) and event.type != LIMITS.acknowledgement


class Fact(msgspec.Struct, frozen=True, array_like=True):
    """An attribute's newest value."""

    value: str
    since: EventOrder
    """The moment from which it had this value."""
    told: EventOrder
    """The moment at which that was said last; what an older event says counts no more."""


class Lifecycle(msgspec.Struct, frozen=True, array_like=True):
    """The facts that the events of a device so far have given."""

    registered: EventOrder = BEFORE_ALL
    """The newest registration."""
    retired: EventOrder = BEFORE_ALL
    """The newest retirement."""
    attributes: Mapping[str, Fact] = {}

    @property
    def is_retired(self) -> bool:
        """Whether it was retired later than registered."""
        return self.retired > self.registered

    @property
    def is_registered(self) -> bool:
        return self.registered > self.retired

    @property
    def values(self) -> dict[str, str]:
        """The newest value of each attribute."""
        return {name: fact.value for name, fact in self.attributes.items()}

    def has_other_values(self, before: "Lifecycle") -> bool:
        """Whether an attribute has another value than `before`, from where events have led here."""
        known = before.attributes
        if self.attributes is known:
            return False
        for name, fact in self.attributes.items():
            held = known.get(name)
            if held is None or held.value != fact.value:
                return True
        return False

    def told(self, event: DeviceEvent, names: Collection[str] | None = None) -> "Lifecycle":
        """The facts once `event` has come; the very same object where it brings nothing new.

        With `names` other attributes than those are not stored.
        """
        moment = order_of(event)
        registered = max(self.registered, moment) if event.type == REGISTERED else self.registered
        retired = max(self.retired, moment) if event.type == RETIRED else self.retired
        attributes = self.attributes
        if event.attributes and event.type != LIMITS.acknowledgement:
            attributes = _newest(attributes, event.attributes, moment, names)
        if attributes is self.attributes and registered is self.registered and retired is self.retired:
            return self
        return Lifecycle(registered, retired, attributes)


def _newest(
    known: Mapping[str, Fact], told: Mapping[str, str], moment: EventOrder, names: Collection[str] | None
) -> Mapping[str, Fact]:
    """The very `known` where the event has nothing newer."""
    newest: dict[str, Fact] | None = None
    for name, value in told.items():
        if names is not None and name not in names:
            continue
        held = known.get(name)
        if held is None:
            if len(newest or known) >= MAX_ATTRIBUTES:
                continue
        elif moment <= held.told:
            continue
        if newest is None:
            newest = dict(known)
        since = held.since if held is not None and value == held.value else moment
        newest[name] = Fact(value, since, moment)
    return known if newest is None else newest
