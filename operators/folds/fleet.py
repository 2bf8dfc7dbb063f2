"""How groups of devices are: how many are online, how many were active, and which have the highest readings."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cached_property
from types import MappingProxyType
from typing import ClassVar

import msgspec

from telefold.operators.folds.fold import Contribution, Fold, FoldRow
from telefold.operators.folds.lifecycle import is_report
from telefold.operators.folds.presence import INTERVAL_ATTRIBUTE, Presence, PresenceState, heard_from
from telefold.schemas.events import DeviceEvent

ALL = "all"
"""The group of every device."""

MAX_GROUPS = 64
"""The most groups a device is counted active in while a window is open: in others it is not, rather than twice."""
ACTIVE_KEPT_S = 90 * 86_400
TOP_KEPT_S = 7 * 86_400
MAX_TOP_METRICS = 16

Windows = Mapping[str, tuple[int, ...]]
"""Numbers of windows, which begin at so many times their size, by the label of the size."""

_presence = Presence()


class High(msgspec.Struct, frozen=True, array_like=True):
    start: int
    """The time at which the window begins, in epoch milliseconds."""
    value: float


class FleetState(msgspec.Struct, frozen=True, array_like=True):
    is_known: bool = False
    newest: int = 0
    """The greatest time of an event, in epoch milliseconds."""
    presence: PresenceState = PresenceState()
    """The device's presence, with the attributes that devices are grouped by."""
    groups: tuple[str, ...] = (ALL,)
    """The groups that it is in."""
    active: Windows = {}
    """The open windows in which it was active since it is in its groups, and counts in each of them."""
    elsewhere: Mapping[str, Windows] = {}
    """The open windows in which it counts in a group since before it moved last, by group."""
    highs: Mapping[str, High] = {}
    """The greatest reading of the newest window since it is in its groups, by metric."""
    late_highs: Mapping[str, High] = {}
    """The greatest reading of the window of the last reading that was late for the newest, by metric."""

    @property
    def status(self) -> str | None:
        if self.presence.lifecycle.is_retired:
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

    A device that moves is taken from the one group and added to the other, where its readings from then on count. The
    window of a reading is that of its own time. It is open as long as a reading may be in time: until its end is behind
    the device's newest event by `rollup.lateness`; what a rebuild has of later readings counts in rollups alone.
    However often a device moves, it is active once in each window and group. Of a device that sends more than 16
    metrics the first count for the highest, since it is in its groups. Subclass it to group by other attributes.
    """

    name = "fleet"
    state = FleetState
    state_version = 2
    groups: ClassVar[tuple[str, ...]] = ("site", "model", "firmware")
    active_ms: ClassVar[Mapping[str, int]] = MappingProxyType({"1h": 3_600_000, "1d": 86_400_000})
    top_ms: ClassVar[int] = 3_600_000

    def initial(self, key: str) -> FleetState:
        return FleetState()

    def evolve(self, state: FleetState, event: DeviceEvent) -> FleetState:
        presence = heard_from(state.presence, event, self._names)
        newest = event.event_time if event.event_time > state.newest else state.newest
        groups, active, elsewhere = state.groups, state.active, state.elsewhere
        highs, late_highs = state.highs, state.late_highs
        if presence.lifecycle is not state.presence.lifecycle and (joined := self._groups(presence)) != groups:
            elsewhere = _moved(elsewhere, active, groups)
            groups, active, highs, late_highs = joined, {}, {}, {}
        if is_report(event) and not presence.lifecycle.is_retired:
            open_from = newest - self.lateness_ms
            known = active
            active = self._active(active, event.event_time, open_from)
            if elsewhere and active is not known:
                elsewhere = self._still_open(elsewhere, open_from)
            start = event.event_time - event.event_time % self.top_ms
            if start + self.top_ms > open_from:
                known_highs = highs
                highs, late_highs = _highest(highs, late_highs, event.metrics, start)
                if late_highs and highs is not known_highs:
                    late_highs = {
                        name: high for name, high in late_highs.items() if high.start + self.top_ms > open_from
                    }
        return FleetState(True, newest, presence, groups, active, elsewhere, highs, late_highs)

    def wake_at(self, state: FleetState) -> int | None:
        return _presence.wake_at(state.presence)

    def on_time(self, state: FleetState, at: int) -> FleetState:
        return msgspec.structs.replace(state, presence=_presence.on_time(state.presence, at))

    def rows(self, state: FleetState) -> Iterable[FoldRow]:
        return ()

    def shows_the_same(self, one: FleetState, other: FleetState) -> bool:
        return True

    def contributes(self, before: FleetState, after: FleetState) -> Iterator[Contribution]:
        has_moved = after.groups is not before.groups
        if has_moved or (before.is_known, before.status) != (after.is_known, after.status):
            yield from self._membership(before, after)
        if after.active is not before.active:
            yield from self._activity({} if has_moved else before.active, after)
        if after.highs is not before.highs:
            yield from self._records(before.highs, after.highs, after.groups)
        if after.late_highs is not before.late_highs:
            yield from self._records(before.late_highs, after.late_highs, after.groups)

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return (INTERVAL_ATTRIBUTE, *self.groups)

    def _groups(self, presence: PresenceState) -> tuple[str, ...]:
        told = presence.lifecycle.attributes
        return (ALL, *[f"{name}#{told[name].value}" for name in self.groups if name in told])

    def _active(self, active: Windows, at: int, open_from: int) -> Windows:
        """The very `active` unless `at` is in a window that is open and not known: then with that and what is open."""
        changed: dict[str, tuple[int, ...]] = {}
        for label, length in self.active_ms.items():
            number, known = at // length, active.get(label, ())
            if number not in known and (number + 1) * length > open_from:
                changed[label] = tuple(sorted((number, *_open(known, length, open_from))))
        return {**active, **changed} if changed else active

    def _still_open(self, elsewhere: Mapping[str, Windows], open_from: int) -> Mapping[str, Windows]:
        left = {}
        for group, windows in elsewhere.items():
            still = {
                label: some
                for label, numbers in windows.items()
                if label in self.active_ms and (some := _open(numbers, self.active_ms[label], open_from))
            }
            if still:
                left[group] = still
        return left

    def _membership(self, before: FleetState, after: FleetState) -> Iterator[Contribution]:
        """Contributions that take away what the device was in its groups until now, and add what it is now."""
        left = before.groups if before.is_known else ()
        joined = after.groups if after.is_known else ()
        for group in dict.fromkeys((*left, *joined)):
            add = _counts(after, 1) if group in joined else {}
            for field, count in (_counts(before, -1) if group in left else {}).items():
                add[field] = add.get(field, 0) + count
            if add := {field: count for field, count in add.items() if count}:
                yield Contribution(group, self.name, add, at_once=True)

    def _activity(self, known: Windows, after: FleetState) -> Iterator[Contribution]:
        for label, numbers in after.active.items():
            for number in set(numbers).difference(known.get(label, ())):
                start = number * self.active_ms[label]
                sort = f"{self.name}#active#{label}#{_iso(start)}"
                expires_at = (start + self.active_ms[label]) // 1_000 + ACTIVE_KEPT_S
                for group in _counted(after.elsewhere, after.groups):
                    if number not in after.elsewhere.get(group, {}).get(label, ()):
                        yield Contribution(group, sort, {"devices": 1}, expires_at=expires_at)

    def _records(
        self, before: Mapping[str, High], after: Mapping[str, High], groups: tuple[str, ...]
    ) -> Iterator[Contribution]:
        for metric, high in after.items():
            if high is not before.get(metric):
                sort = f"{self.name}#top#{metric}#{_iso(high.start)}"
                expires_at = (high.start + self.top_ms) // 1_000 + TOP_KEPT_S
                for group in groups:
                    yield Contribution(group, sort, high=high.value, expires_at=expires_at)


def _open(numbers: Iterable[int], length: int, open_from: int) -> tuple[int, ...]:
    return tuple(number for number in numbers if (number + 1) * length > open_from)


def _counted(elsewhere: Mapping[str, Windows], groups: tuple[str, ...]) -> list[str]:
    """The groups among `groups` in which the device is counted active."""
    if not elsewhere:
        return list(groups)
    known = [group for group in groups if group in elsewhere]
    others = [group for group in groups if group not in elsewhere]
    return known + others[: max(0, MAX_GROUPS - len(elsewhere))]


def _moved(elsewhere: Mapping[str, Windows], active: Windows, left: tuple[str, ...]) -> Mapping[str, Windows]:
    """Add the windows in which the device counts in the groups that it has `left`."""
    if not active:
        return elsewhere
    merged = dict(elsewhere)
    for group in _counted(elsewhere, left):
        known = merged.get(group, {})
        merged[group] = {
            **known,
            **{label: tuple(sorted({*known.get(label, ()), *numbers})) for label, numbers in active.items()},
        }
    return merged


def _highest(
    highs: Mapping[str, High], late: Mapping[str, High], metrics: Mapping[str, float], start: int
) -> tuple[Mapping[str, High], Mapping[str, High]]:
    """Add the readings of the window that begins at `start`; the very same objects where none is the greatest."""
    higher: dict[str, High] = {}
    higher_late: dict[str, High] = {}
    for metric, value in metrics.items():
        known = highs.get(metric)
        if known is None:
            if len(highs) + len(higher) < MAX_TOP_METRICS:
                higher[metric] = High(start, value)
        elif start > known.start or (start == known.start and value > known.value):
            higher[metric] = High(start, value)
        elif start < known.start:
            before = late.get(metric)
            if before is None or before.start != start or value > before.value:
                higher_late[metric] = High(start, value)
    return ({**highs, **higher} if higher else highs), ({**late, **higher_late} if higher_late else late)


def _counts(state: FleetState, sign: int) -> dict[str, float]:
    counts: dict[str, float] = {"devices": sign}
    if state.status is not None:
        counts[state.status] = sign
    return counts


def _iso(at: int) -> str:
    return f"{datetime.fromtimestamp(at / 1_000, UTC):%Y-%m-%dT%H:%M:%SZ}"
