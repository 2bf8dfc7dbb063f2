"""How groups of devices are: how many are online, how many were active, and which have the highest readings."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import ClassVar

import msgspec

from operators.folds.fold import Contribution, Fold, FoldRow
from operators.folds.moments import NEVER, Moment, moment_of
from operators.folds.presence import Presence, PresenceState
from schemas.events import DeviceEvent

ALL = "all"
"""The group of every device."""

WINDOWS_KEPT = 3
"""So many windows of each size a device is known to have been active in: later ones than that are late."""
ACTIVE_KEPT_S = 90 * 86_400
TOP_KEPT_S = 7 * 86_400
MAX_TOP_METRICS = 16

Windows = Mapping[str, tuple[int, ...]]
"""By label of the size, the starts of the newest."""

_presence = Presence()


class High(msgspec.Struct, frozen=True, array_like=True):
    start: int
    """Of the window."""
    value: float


class FleetState(msgspec.Struct, frozen=True, array_like=True):
    is_known: bool = False
    attributes: Mapping[str, str] = {}
    """Those that devices are grouped by."""
    told: Moment = NEVER
    presence: PresenceState = PresenceState()
    active: Mapping[str, Windows] = {}
    """By group that it is in, the windows in which it reported while it was."""
    highs: Mapping[str, High] = {}
    """By metric, the greatest reading of the newest window since it is in its groups."""

    @property
    def status(self) -> str | None:
        if self.presence.is_retired:
            return "retired"
        return None if self.presence.device is None else self.presence.device.status


class Fleet(Fold[FleetState]):
    """Rows of groups: of all devices, in the partition `fleet#all`, and of those whose newest attribute `site`, `model`
    or `firmware` has a value, in `fleet#site#berlin`.

    | sort | fields |
    |---|---|
    | `fleet` | `devices`, and of these `online`, `silent`, `offline`, `retired`, as `presence` has it |
    | `fleet#active#1h#TIME`, `fleet#active#1d#TIME` | `devices` that have reported in the window |
    | `fleet#top#METRIC#TIME` | the ten devices with the highest readings of the hour: `device_1`, `value_1`, ... |

    A device that moves is taken from the one group and added to the other, where its readings from then on count. A
    reading that comes when its device has reported of the next hour is too late for the top ten. Subclass it to group
    by other attributes.
    """

    name = "fleet"
    state = FleetState
    groups: ClassVar[tuple[str, ...]] = ("site", "model", "firmware")
    active_ms: ClassVar[Mapping[str, int]] = MappingProxyType({"1h": 3_600_000, "1d": 86_400_000})
    top_ms: ClassVar[int] = 3_600_000

    def initial(self, key: str) -> FleetState:
        return FleetState()

    def evolve(self, state: FleetState, event: DeviceEvent) -> FleetState:
        attributes, told = self._told(state, event)
        presence = _presence.evolve(state.presence, event)
        if not event.metrics or presence.is_retired:
            return FleetState(True, attributes, told, presence, state.active, state.highs)
        moved = attributes is not state.attributes
        highs = self._highs({} if moved else state.highs, event)
        active = self._active(state.active, _groups(attributes), event.event_time)
        return FleetState(True, attributes, told, presence, active, highs)

    def wake_at(self, state: FleetState) -> int | None:
        return _presence.wake_at(state.presence)

    def on_time(self, state: FleetState, at: int) -> FleetState:
        return msgspec.structs.replace(state, presence=_presence.on_time(state.presence, at))

    def rows(self, state: FleetState) -> Iterable[FoldRow]:
        return ()

    def shows_the_same(self, one: FleetState, other: FleetState) -> bool:
        return True

    def contributes(self, before: FleetState, after: FleetState) -> Iterator[Contribution]:
        groups = _groups(after.attributes)
        yield from self._membership(before, after, groups)
        if after.active is not before.active:
            yield from self._activity(before, after)
        if after.highs is not before.highs:
            yield from self._records(before, after, groups)

    def _told(self, state: FleetState, event: DeviceEvent) -> tuple[Mapping[str, str], Moment]:
        moment = moment_of(event)
        told = {name: event.attributes[name] for name in self.groups if name in event.attributes}
        if not told or moment < state.told:
            return state.attributes, state.told
        merged = {**state.attributes, **told}
        return (state.attributes if merged == state.attributes else merged), moment

    def _active(self, active: Mapping[str, Windows], groups: tuple[str, ...], at: int) -> Mapping[str, Windows]:
        """The very `active` unless a window has come in which the device was not known to report in one of `groups`."""
        starts = {label: at - at % length for label, length in self.active_ms.items()}
        changed = {
            group: {**known, **new} for group in groups if (new := _new_windows(known := active.get(group, {}), starts))
        }
        return {group: changed.get(group) or active[group] for group in groups} if changed else active

    def _highs(self, highs: Mapping[str, High], event: DeviceEvent) -> Mapping[str, High]:
        """The very `highs` unless a reading is the greatest of the newest window so far."""
        start = event.event_time - event.event_time % self.top_ms
        changed: dict[str, High] = {}
        for metric, value in event.metrics.items():
            known = highs.get(metric)
            if known is None:
                if len(highs) + len(changed) < MAX_TOP_METRICS:
                    changed[metric] = High(start, value)
            elif start > known.start or (start == known.start and value > known.value):
                changed[metric] = High(start, value)
        return {**highs, **changed} if changed else highs

    def _membership(self, before: FleetState, after: FleetState, groups: tuple[str, ...]) -> Iterator[Contribution]:
        """What it was in its groups until now is taken away, and what it is now added."""
        if (before.is_known, before.status) == (after.is_known, after.status) and before.attributes is after.attributes:
            return
        left = _groups(before.attributes) if before.is_known else ()
        joined = groups if after.is_known else ()
        for group in dict.fromkeys((*left, *joined)):
            add = _counts(after, 1) if group in joined else {}
            for field, count in (_counts(before, -1) if group in left else {}).items():
                add[field] = add.get(field, 0) + count
            if add := {field: count for field, count in add.items() if count}:
                yield Contribution(group, self.name, add)

    def _activity(self, before: FleetState, after: FleetState) -> Iterator[Contribution]:
        for group, windows in after.active.items():
            known = before.active.get(group, {})
            for label, starts in windows.items():
                for start in set(starts) - set(known.get(label, ())):
                    sort = f"{self.name}#active#{label}#{_iso(start)}"
                    expires_at = (start + self.active_ms[label]) // 1_000 + ACTIVE_KEPT_S
                    yield Contribution(group, sort, {"devices": 1}, expires_at=expires_at)

    def _records(self, before: FleetState, after: FleetState, groups: tuple[str, ...]) -> Iterator[Contribution]:
        for metric, high in after.highs.items():
            if high is not before.highs.get(metric):
                sort = f"{self.name}#top#{metric}#{_iso(high.start)}"
                expires_at = (high.start + self.top_ms) // 1_000 + TOP_KEPT_S
                for group in groups:
                    yield Contribution(group, sort, high=high.value, expires_at=expires_at)


def _groups(attributes: Mapping[str, str]) -> tuple[str, ...]:
    return (ALL, *(f"{name}#{value}" for name, value in attributes.items()))


def _new_windows(known: Windows, starts: Mapping[str, int]) -> dict[str, tuple[int, ...]]:
    """With those of `starts` that are not known, and neither older than all that are."""
    found = {}
    for label, start in starts.items():
        held = known.get(label, ())
        if start not in held and (len(held) < WINDOWS_KEPT or start > held[0]):
            found[label] = tuple(sorted((*held, start)))[-WINDOWS_KEPT:]
    return found


def _counts(state: FleetState, sign: int) -> dict[str, float]:
    counts: dict[str, float] = {"devices": sign}
    if state.status is not None:
        counts[state.status] = sign
    return counts


def _iso(at: int) -> str:
    return f"{datetime.fromtimestamp(at / 1_000, UTC):%Y-%m-%dT%H:%M:%SZ}"
