"""A device's life: registered, configured, retired, and what it sent that does not fit it."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import msgspec

from telefold.operators.folds.event_order import BEFORE_ALL
from telefold.operators.folds.fold import Fold, FoldRow, Upcast
from telefold.operators.folds.lifecycle import REGISTERED, RETIRED, Lifecycle
from telefold.schemas.events import DeviceEvent
from telefold.schemas.view_rows import Value

LIFE = frozenset({REGISTERED, "configured", RETIRED})
"""Types of events of which a retired device may have some later than its retirement, and nothing is out of place."""
FIRMWARE = "firmware"
MAX_TYPES = 16
OTHER_TYPES = "other"


class DeviceState(msgspec.Struct, frozen=True, array_like=True):
    first_seen_at: int
    last_seen_at: int
    events: int = 0
    lifecycle: Lifecycle = Lifecycle()
    firmware_before: str | None = None
    after_retirement: int = 0
    last_after_retirement_at: int | None = None
    types: Mapping[str, int] = {}
    """How many events of types that Telefold gives no meaning."""


def _from_version_1(fields: Any) -> Any:
    """A state that had attributes of `registered` and `configured` events alone."""
    first, last, events, registered, retired, attributes, *rest = fields
    return [first, last, events, [registered, retired, attributes], *rest]


class Device(Fold[DeviceState]):
    """The row `device`. Times are epoch milliseconds of event time.

    | field | meaning |
    |---|---|
    | status | `registered`, `retired`, or `unknown` if no registration has come |
    | registered_at, retired_at | of the newest registration and retirement; absent without one |
    | first_seen_at, last_seen_at | the least and the greatest time of its events |
    | events | how many, of all types |
    | firmware, firmware_since_at, firmware_before | the attribute, since when, and before; absent if none |
    | attribute.NAME | as any event but `alert_acknowledged` told it last, at most 64 of them |
    | events_after_retirement, last_after_retirement_at | what came while it was retired and is later; absent if none |
    | type.NAME | how many events of a type of a team's own, at most 16 types; the rest is in `type.other` |

    What is newer by event time counts, in whatever order it came; which firmware was before, and what came after a
    retirement, depends on the order in which events came.
    """

    name = "device"
    state = DeviceState
    state_version = 2
    upcasts: ClassVar[Mapping[int, Upcast]] = {1: _from_version_1}

    def initial(self, key: str) -> DeviceState:
        return DeviceState(first_seen_at=2**62, last_seen_at=0)

    def evolve(self, state: DeviceState, event: DeviceEvent) -> DeviceState:
        at, lifecycle, types = event.event_time, state.lifecycle.told(event), state.types
        if event.type != "telemetry" and event.type not in LIFE:
            types = _counted(types, event.type)
        before, late, last_late = state.firmware_before, state.after_retirement, state.last_after_retirement_at
        if lifecycle is not state.lifecycle:
            before = _firmware_before(state, lifecycle)
        if lifecycle.is_retired and event.type not in LIFE and at > lifecycle.retired[0]:
            # What a retired device sends is no mistake of the fold's; it is shown.
            late, last_late = late + 1, max(last_late or 0, at)
        first = at if at < state.first_seen_at else state.first_seen_at
        last = at if at > state.last_seen_at else state.last_seen_at
        return DeviceState(
            first_seen_at=first,
            last_seen_at=last,
            events=state.events + 1,
            lifecycle=lifecycle,
            firmware_before=before,
            after_retirement=late,
            last_after_retirement_at=last_late,
            types=types,
        )

    def rows(self, state: DeviceState) -> Iterable[FoldRow]:
        life = state.lifecycle
        data: dict[str, Value] = {
            "status": RETIRED if life.is_retired else "unknown" if life.registered == BEFORE_ALL else REGISTERED,
            "first_seen_at": state.first_seen_at,
            "last_seen_at": state.last_seen_at,
            "events": state.events,
        }
        if life.registered != BEFORE_ALL:
            data["registered_at"] = life.registered[0]
        if life.retired != BEFORE_ALL:
            data["retired_at"] = life.retired[0]
        for name, fact in life.attributes.items():
            data[f"attribute.{name}"] = fact.value
        if firmware := life.attributes.get(FIRMWARE):
            data |= {"firmware": firmware.value, "firmware_since_at": firmware.since[0]}
        if state.firmware_before is not None:
            data["firmware_before"] = state.firmware_before
        if state.last_after_retirement_at is not None:
            data["events_after_retirement"] = state.after_retirement
            data["last_after_retirement_at"] = state.last_after_retirement_at
        for name, count in state.types.items():
            data[f"type.{name}"] = count
        return (FoldRow(self.name, data, at_once=("status",)),)


def _firmware_before(state: DeviceState, lifecycle: Lifecycle) -> str | None:
    held, told = state.lifecycle.attributes.get(FIRMWARE), lifecycle.attributes.get(FIRMWARE)
    return state.firmware_before if held is None or told is None or held.value == told.value else held.value


def _counted(types: Mapping[str, int], name: str) -> Mapping[str, int]:
    known = name if name in types or len(types) < MAX_TYPES else OTHER_TYPES
    return {**types, known: types.get(known, 0) + 1}
