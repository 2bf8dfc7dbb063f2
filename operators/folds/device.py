"""A device's life: registered, configured, retired, and what it sent that does not fit it."""

from collections.abc import Iterable, Mapping

import msgspec

from operators.folds.fold import Fold, FoldRow
from operators.folds.moments import NEVER, Moment, moment_of
from schemas.events import DeviceEvent
from schemas.view_rows import Value

REGISTERED, CONFIGURED, RETIRED, TELEMETRY = "registered", "configured", "retired", "telemetry"
FIRMWARE = "firmware"
MAX_ATTRIBUTES = 64
MAX_TYPES = 16
OTHER_TYPES = "other"


class Fact(msgspec.Struct, frozen=True, array_like=True):
    value: str
    since: Moment
    told: Moment
    """When it was said last; what an older event says counts no more."""


class DeviceState(msgspec.Struct, frozen=True, array_like=True):
    first_seen_at: int
    last_seen_at: int
    events: int = 0
    registered: Moment = NEVER
    retired: Moment = NEVER
    attributes: Mapping[str, Fact] = {}
    """Each as it was configured last."""
    firmware_before: str | None = None
    after_retirement: int = 0
    last_after_retirement_at: int | None = None
    types: Mapping[str, int] = {}
    """How many events of types that Telefold gives no meaning."""

    @property
    def is_retired(self) -> bool:
        return self.retired > self.registered


class Device(Fold[DeviceState]):
    """The row `device`. Times are epoch milliseconds of event time.

    | field | meaning |
    |---|---|
    | status | `registered`, `retired`, or `unknown` if no registration has come |
    | registered_at, retired_at | of the newest registration and retirement; absent without one |
    | first_seen_at, last_seen_at | the least and the greatest time of its events |
    | events | how many, of all types |
    | firmware, firmware_since_at, firmware_before | as configured last, since when, and before; absent if none |
    | attribute.NAME | as `registered` or `configured` events set it last, at most 64 of them |
    | events_after_retirement, last_after_retirement_at | what came while it was retired and is later; absent if none |
    | type.NAME | how many events of a type of a team's own, at most 16 types; the rest is in `type.other` |

    What is newer by event time counts, in whatever order it came; which firmware was before, and what came after a
    retirement, is told as it came.
    """

    name = "device"
    state = DeviceState

    def initial(self, key: str) -> DeviceState:
        return DeviceState(first_seen_at=2**62, last_seen_at=0)

    def evolve(self, state: DeviceState, event: DeviceEvent) -> DeviceState:
        seen = _seen(state, event)
        moment = moment_of(event)
        match event.type:
            case "telemetry":
                return _out_of_place(seen, event) if seen.is_retired else seen
            case "registered":
                return _configured(msgspec.structs.replace(seen, registered=max(seen.registered, moment)), event)
            case "configured":
                return _configured(seen, event)
            case "retired":
                return msgspec.structs.replace(seen, retired=max(seen.retired, moment))
            case other:
                counted = msgspec.structs.replace(seen, types=_counted(seen.types, other))
                return _out_of_place(counted, event) if seen.is_retired else counted

    def rows(self, state: DeviceState) -> Iterable[FoldRow]:
        data: dict[str, Value] = {
            "status": RETIRED if state.is_retired else "unknown" if state.registered == NEVER else REGISTERED,
            "first_seen_at": state.first_seen_at,
            "last_seen_at": state.last_seen_at,
            "events": state.events,
        }
        if state.registered != NEVER:
            data["registered_at"] = state.registered[0]
        if state.retired != NEVER:
            data["retired_at"] = state.retired[0]
        for name, fact in state.attributes.items():
            data[f"attribute.{name}"] = fact.value
        if firmware := state.attributes.get(FIRMWARE):
            data |= {"firmware": firmware.value, "firmware_since_at": firmware.since[0]}
        if state.firmware_before is not None:
            data["firmware_before"] = state.firmware_before
        if state.last_after_retirement_at is not None:
            data["events_after_retirement"] = state.after_retirement
            data["last_after_retirement_at"] = state.last_after_retirement_at
        for name, count in state.types.items():
            data[f"type.{name}"] = count
        return (FoldRow(self.name, data),)


def _seen(state: DeviceState, event: DeviceEvent) -> DeviceState:
    at = event.event_time
    return DeviceState(
        at if at < state.first_seen_at else state.first_seen_at,
        at if at > state.last_seen_at else state.last_seen_at,
        state.events + 1,
        state.registered,
        state.retired,
        state.attributes,
        state.firmware_before,
        state.after_retirement,
        state.last_after_retirement_at,
        state.types,
    )


def _out_of_place(state: DeviceState, event: DeviceEvent) -> DeviceState:
    """What a retired device sends is no mistake of the fold's; it is shown."""
    if event.event_time <= state.retired[0]:
        return state
    return msgspec.structs.replace(
        state,
        after_retirement=state.after_retirement + 1,
        last_after_retirement_at=max(state.last_after_retirement_at or 0, event.event_time),
    )


def _configured(state: DeviceState, event: DeviceEvent) -> DeviceState:
    moment = moment_of(event)
    attributes, before = dict(state.attributes), state.firmware_before
    for name, value in event.attributes.items():
        held = attributes.get(name)
        if held is None and len(attributes) >= MAX_ATTRIBUTES:
            continue
        if held is not None and held.told >= moment:
            continue
        if held is not None and held.value == value:
            attributes[name] = Fact(value, held.since, moment)
            continue
        if name == FIRMWARE and held is not None:
            before = held.value
        attributes[name] = Fact(value, moment, moment)
    return msgspec.structs.replace(state, attributes=attributes, firmware_before=before)


def _counted(types: Mapping[str, int], name: str) -> Mapping[str, int]:
    known = name if name in types or len(types) < MAX_TYPES else OTHER_TYPES
    return {**types, known: types.get(known, 0) + 1}
