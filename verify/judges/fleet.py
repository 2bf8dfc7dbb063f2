"""How many devices of each group are online, how many were active in a window, and which had the highest readings.

How often a list of the highest readings was changed on the way depends on what the job knows of a device; its version
is judged by a bound: no newer than the newest reading of its window explains, and no more changes than readings.
"""

from collections.abc import Mapping
from types import MappingProxyType

from telefold.schemas.events import DeviceEvent
from telefold.verify.judges.groups import GroupRow, Groups, window_sort
from telefold.verify.judges.known import ACKNOWLEDGED, Known

NAME = "fleet"
GROUPED_BY = ("site", "model", "firmware")
ACTIVE_MS: Mapping[str, int] = MappingProxyType({"1h": 3_600_000, "1d": 86_400_000})
TOP_MS = 3_600_000
ACTIVE_KEPT_S = 90 * 86_400
TOP_KEPT_S = 7 * 86_400
MOST_METRICS = 16


class Member:
    """The part of one device in its groups."""

    __slots__ = ("active", "active_now", "groups", "highs", "known", "metrics", "newest", "status")

    def __init__(self) -> None:
        self.known = Known(GROUPED_BY)
        self.groups: tuple[str, ...] = ()
        """The groups that it is counted in."""
        self.status: str | None = None
        self.newest = 0
        """The greatest time of its events."""
        self.active: dict[tuple[str, int], set[str]] = {}
        """The groups in which it has been counted as active, by window."""
        self.active_now: tuple[int, tuple[str, ...]] | None = None
        self.metrics: set[str] = set()
        """The metrics whose readings are ranked: the first that it has sent since it is in its groups."""
        self.highs: dict[tuple[str, int], tuple[float, tuple[GroupRow, ...]]] = {}
        """The highest reading by metric and hour since it is in its groups, and the rows of those."""

    def hear(
        self, event: DeviceEvent, heard: int, status: str | None, fleet: Groups, device_id: str, lateness_ms: int
    ) -> None:
        """An event, after which the device has this `status` by its presence."""
        if event.attributes:
            self.known.hear(event)
        if event.event_time > self.newest:
            self.newest = event.event_time
        groups = self.groups
        if event.attributes or not groups:
            groups = ("all", *(f"{name}#{one.value}" for name, one in self.known.attributes.items()))
        if status != self.status or groups is not self.groups:
            self.count(heard, status, groups, fleet)
        if event.metrics and event.type != ACKNOWLEDGED and status != "retired":
            self._report(event, heard, fleet, device_id, lateness_ms)

    def count(self, at: int, status: str | None, groups: tuple[str, ...], fleet: Groups, by_time: bool = False) -> None:
        """Count the device with this status, in these groups, from `at` on, `by_time` alone or for an event."""
        before = dict.fromkeys(self.groups, self.status)
        after = dict.fromkeys(groups, status)
        if before == after:
            return
        for group in before | after:
            sums: dict[str, float] = {}
            for counted, sign in ((after, 1), (before, -1)):
                if group in counted:
                    for field in ("devices", counted[group]):
                        if field is not None:
                            sums[field] = sums.get(field, 0) + sign
            if sums := {field: amount for field, amount in sums.items() if amount}:
                fleet.row(group, NAME).add(at, sums, None, by_time)
        if self.groups != groups:
            self.highs, self.metrics = {}, set()
        self.groups, self.status = groups, status

    def _report(self, event: DeviceEvent, heard: int, fleet: Groups, device_id: str, lateness_ms: int) -> None:
        at = event.event_time
        hour = at - at % TOP_MS
        now = self.active_now
        if now is None or now[0] != hour or now[1] is not self.groups:
            self._be_active(at, heard, fleet, lateness_ms)
            self.active_now = hour, self.groups
        if hour + TOP_MS <= self.newest - lateness_ms:
            return
        for metric, value in event.metrics.items():
            if metric not in self.metrics:
                if len(self.metrics) >= MOST_METRICS:
                    continue
                self.metrics.add(metric)
            high = self.highs.get((metric, hour))
            if high is None:
                sort = window_sort(f"{NAME}#top#{metric}", hour)
                closed = self.newest - lateness_ms
                self.highs = {key: held for key, held in self.highs.items() if key[1] + TOP_MS > closed}
                rows = tuple(fleet.row(group, sort, is_bounded=True) for group in self.groups)
            elif value > high[0]:
                rows = high[1]
            else:
                for row in high[1]:
                    row.may_have_changed(heard)
                continue
            self.highs[metric, hour] = value, rows
            ends_at = (hour + TOP_MS) // 1_000 + TOP_KEPT_S
            for row in rows:
                row.add(heard, {}, ends_at)
                row.rank(device_id, value)

    def _be_active(self, at: int, heard: int, fleet: Groups, lateness_ms: int) -> None:
        closed = self.newest - lateness_ms
        for label, length in ACTIVE_MS.items():
            start = at - at % length
            if start + length <= closed:
                continue
            counted = self.active.setdefault((label, start), set())
            ends_at = (start + length) // 1_000 + ACTIVE_KEPT_S
            for group in [one for one in self.groups if one not in counted]:
                counted.add(group)
                fleet.row(group, window_sort(f"{NAME}#active#{label}", start)).add(heard, {"devices": 1}, ends_at)
        if len(self.active) > 2 * len(ACTIVE_MS):
            self.active = {key: one for key, one in self.active.items() if key[1] + ACTIVE_MS[key[0]] > closed}
