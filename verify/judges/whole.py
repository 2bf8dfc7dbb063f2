"""Judges over one log: they take events, and give the rows that must be in the stores at a time of the log."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from copy import copy
from types import MappingProxyType
from typing import NamedTuple

from telefold.schemas.alerts import AlertTransition
from telefold.schemas.events import DeviceEvent
from telefold.schemas.rules import RuleChange
from telefold.schemas.view_rows import device_partition
from telefold.verify.judges import alert, device, fleet, presence
from telefold.verify.judges.alert import Alerts
from telefold.verify.judges.device import Device
from telefold.verify.judges.fleet import Member
from telefold.verify.judges.group_rollups import GroupRollups
from telefold.verify.judges.groups import Groups
from telefold.verify.judges.known import Known
from telefold.verify.judges.own import Own, OwnFold, is_judged
from telefold.verify.judges.presence import Presence
from telefold.verify.judges.rows import FORGOTTEN_ROWS_KEPT_S, FORGOTTEN_STATE_KEPT_MS, TIMES_AN_EVENT, Key, Row, Rows
from telefold.verify.judges.rules import RuleLog

JUDGED = (device.NAME, presence.NAME, alert.NAME, fleet.NAME)
"""Views of Telefold's own that are judged by name."""


class Asked(NamedTuple):
    """The folds in Python that the job runs, and their settings."""

    folds: Collection[str] = ()
    """Names of Telefold's own folds."""
    own: Sequence[OwnFold] = ()
    """The folds of a team."""
    rules: Sequence[RuleChange] = ()
    """The changes of all rules."""
    lateness_ms: int = 3_600_000
    retention_ms: int | None = None
    """How long after it was last heard a device is forgotten, in milliseconds."""
    grouped_by: Sequence[str] = ()
    """Attributes by which groups have rollups."""
    sizes: Mapping[str, int] = MappingProxyType({})
    """The windows of those rollups: label to the milliseconds of the longest."""
    rollups_kept_s: int | None = None


class _Life:
    """A device, as all folds have it."""

    def __init__(self, device_id: str, whole: "Judges") -> None:
        self.id, self.partition = device_id, device_partition(device_id)
        self.whole = whole
        self.events = 0
        self.doubtful = 0
        """How many events at the beginning may not be counted any more: the device was forgotten for long."""
        self.heard: int | None = None
        self.forgotten: int | None = None
        self.left: Rows = {}
        """Rows of before it was forgotten."""
        self.own = [Own(fold, device_id) for fold in whole.own]
        self.told: list[AlertTransition] = []
        self.begin(0)

    def begin(self, heard: int) -> None:
        folds = self.whole.folds
        self.known = Known()
        self.device = Device() if device.NAME in folds else None
        self.presence = Presence() if presence.NAME in folds or fleet.NAME in folds else None
        self.member = Member() if fleet.NAME in folds else None
        # Without any rule nobody is ever alerted.
        has_alerts = alert.NAME in folds and bool(self.whole.rules.changes)
        self.alerts = Alerts(self.id, self.partition, self.whole.rules, heard) if has_alerts else None

    def hear(self, event: DeviceEvent, arrival: int) -> None:
        whole = self.whole
        heard = arrival if self.heard is None else max(arrival, self.heard)
        if self.heard is not None:
            if whole.retention_ms is not None and self.heard + whole.retention_ms <= heard:
                self.forget(self.heard + whole.retention_ms)
            elif self.presence is not None:
                self._take_on(heard, whole.fleet)
        if self.heard is None:
            self.begin(heard)
            if self.forgotten is not None and heard >= self.forgotten + FORGOTTEN_STATE_KEPT_MS:
                self.doubtful = self.events
                for own in self.own:
                    own.doubtful = own.events
        elif self.alerts is not None:
            self.alerts.advance(heard)
        self.heard = heard
        self.events += 1
        if self.device is not None:
            changed = self.known.hear(event) if event.attributes or event.type in ("registered", "retired") else {}
            self.device.hear(event, self.known, changed)
        if self.presence is not None:
            self.presence.hear(event, heard, self.events)
            if self.member is not None:
                self.member.hear(event, heard, self.presence.status, whole.fleet, self.id, whole.lateness_ms)
        if self.alerts is not None:
            self.alerts.hear(event, heard, self.events, self.doubtful)
        for own in self.own:
            own.hear(event, heard, whole.groups_of(own))

    def _take_on(self, at: int, groups: Groups) -> None:
        """Do what is due by `at` of presence, and of what groups count by it."""
        if self.presence is None:
            return
        for moment, status in self.presence.advance(at, self.events):
            if self.member is not None:
                self.member.count(moment, status, self.member.groups, groups, by_time=True)

    def forget(self, at: int) -> None:
        """Forget the device: it has been silent for so long by `at` that only its rows are known, which end."""
        self._take_on(at, self.whole.fleet)
        if self.member is not None:
            self.member.count(at, None, (), self.whole.fleet, by_time=True)
        if self.alerts is not None:
            self.alerts.advance(at)
            self.alerts.forget(at)
            self.told += self.alerts.told
        unnamed = set[str]() if self.presence is None else self.presence.unnamed()
        for row in self.rows_of_folds():
            if row.expires_at is None and not (row.view == presence.NAME and row.sort in unnamed):
                steps = self._steps_of(row.view) + 2
                version = self.events * TIMES_AN_EVENT + steps
                least = (self.events - self.doubtful) * TIMES_AN_EVENT + (2 if row.view == alert.NAME else steps)
                row = row._replace(
                    version=version,
                    least=least,
                    expires_at=at // 1_000 + FORGOTTEN_ROWS_KEPT_S,
                    changed=at,
                    by_time=True,
                )
            self.left[row.key] = row
        for own in self.own:
            own.forget(at, self.whole.groups_of(own))
        self.heard, self.forgotten = None, at
        self.begin(at)

    def _steps_of(self, view: str) -> int:
        if view == presence.NAME and self.presence is not None:
            return self.presence.moments
        return self.alerts.looks if view == alert.NAME and self.alerts is not None else 0

    def rows_of_folds(self) -> Iterator[Row]:
        """Rows of Telefold's own folds as they are, none of those that were left behind when it was forgotten."""
        if self.heard is None:
            return
        less = self.doubtful * TIMES_AN_EVENT
        if self.device is not None:
            version = device.version(self.events)
            data = self.device.data(self.known)
            yield Row(device.NAME, self.partition, device.NAME, version, version - less, data, None, self.heard)
        if self.presence is not None and presence.NAME in self.whole.folds:
            for sort, version, changed, data, expires_at in self.presence.rows():
                by_time = version % TIMES_AN_EVENT > 0
                key = (self.partition, sort)
                yield Row(presence.NAME, *key, version, version - less, data, expires_at, changed, by_time)
        if self.alerts is not None:
            yield from self.alerts.rows()

    def at(self, at: int) -> "_Life":
        """The device as it is at that time if nothing more is heard. What groups count then is another matter."""
        if self.heard is None:
            return self
        retention_ms = self.whole.retention_ms
        if retention_ms is not None and self.heard + retention_ms <= at:
            later = copy(self)
            later.whole = self.whole.without_groups()
            end = self.heard + retention_ms
            later.left, later.own = dict(self.left), [copy(own) for own in self.own]
            later.presence = None if self.presence is None else self.presence.copied()
            later.alerts = None if self.alerts is None else self.alerts.copied()
            later.member, later.told = None, []
            later.forget(end)
            return later
        presence_then = None if self.presence is None else self.presence.at(at, self.events)
        alerts_then = None if self.alerts is None else self.alerts.at(at)
        if presence_then is self.presence and alerts_then is self.alerts:
            return self
        later = copy(self)
        later.presence, later.alerts = presence_then, alerts_then
        return later

    def count_by(self, at: int, groups: Groups, own: Mapping[str, Groups]) -> None:
        """Let groups count what is due by `at` if nothing more is heard of it."""
        if self.heard is None:
            return
        retention_ms = self.whole.retention_ms
        end = None if retention_ms is None else self.heard + retention_ms
        is_over = end is not None and end <= at
        until = end if is_over and end is not None else at
        if self.member is not None and self.presence is not None and (is_over or self.presence.due_by(until)):
            member = copy(self.member)
            later = self.presence.copied()
            for moment, status in later.advance(until, self.events):
                member.count(moment, status, member.groups, groups, by_time=True)
            if is_over:
                member.count(until, None, (), groups, by_time=True)
        for one in self.own:
            if is_over:
                copy(one).forget(until, own[one.fold.name])
            else:
                one.at(until, own[one.fold.name])


class Judges:
    """Hears the events that the job accepts, each once, those of a device in their order."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.folds = frozenset(asked.folds) & frozenset(JUDGED)
        self.own = [fold for fold in asked.own if is_judged(fold)]
        self.unjudged = [str(fold.name) for fold in asked.own if not is_judged(fold)]
        """Views that the log does not explain: they are not compared."""
        self.rules = RuleLog(asked.rules)
        self.lateness_ms, self.retention_ms = asked.lateness_ms, asked.retention_ms
        self.fleet = Groups(fleet.NAME)
        self.own_groups = {str(fold.name): Groups(str(fold.name)) for fold in self.own}
        self.group_rollups = GroupRollups(asked.grouped_by, asked.sizes, asked.rollups_kept_s, asked.retention_ms)
        self._lives: dict[str, _Life] = {}

    def hear(self, event: DeviceEvent, arrival: int) -> None:
        """An event that was accepted, and when Kinesis took it, in epoch milliseconds."""
        if self.folds or self.own:
            life = self._lives.get(event.device_id)
            if life is None:
                life = self._lives[event.device_id] = _Life(event.device_id, self)
            life.hear(event, arrival)
        if self.asked.grouped_by:
            self.group_rollups.hear(event, arrival)

    def hear_again(self, device_id: str, arrival: int) -> None:
        """An event that the device had sent before: it is heard once more, and counts nowhere."""
        if self.asked.grouped_by:
            self.group_rollups.hear_again(device_id, arrival)

    def groups_of(self, own: Own) -> Groups:
        return self.own_groups[own.fold.name]

    def without_groups(self) -> "Judges":
        """Return a copy of this whose counts of groups are nobody's."""
        other = copy(self)
        other.fleet = Groups(fleet.NAME)
        other.own_groups = {name: Groups(name) for name in self.own_groups}
        return other

    def of_device(self, device_id: str, at: int) -> Rows:
        """The rows in the device's own partition, at a time of the log."""
        life = self._lives.get(device_id)
        if life is None:
            return {}
        return {key: row for key, row in self._rows(life, at) if key[0] == life.partition}

    def shared(self, at: int) -> dict[str, Rows]:
        """Rows in the partitions that are of no device alone, by partition, at a time of the log."""
        rows: defaultdict[str, Rows] = defaultdict(dict)
        fleet_then = self.fleet.with_steps()
        own_then = {name: groups.with_steps() for name, groups in self.own_groups.items()}
        if self.folds & {fleet.NAME, alert.NAME} or self.own:
            for life in self._lives.values():
                life.count_by(at, fleet_then, own_then)
                if alert.NAME in self.folds or self.own:
                    for key, row in self._rows(life, at, is_shared=True):
                        if key[0] != life.partition:
                            rows[key[0]][key] = row
        made: Iterable[Iterable[Row]] = (
            fleet_then.rows(),
            *(groups.rows() for groups in own_then.values()),
            self.group_rollups.rows(),
        )
        for some in made:
            for row in some:
                rows[row.partition][row.key] = row
        return dict(rows)

    def _rows(self, life: _Life, at: int, is_shared: bool = False) -> Iterator[tuple[Key, Row]]:
        if is_shared and not life.own and not life.left and (life.alerts is None or not life.alerts.has_any(at)):
            return
        then = life.at(at)
        found = dict(then.left)
        found |= {row.key: row for row in then.rows_of_folds()}
        for own in then.own:
            found |= own.at(at, None)
        yield from found.items()

    @property
    def messages(self) -> Iterator[AlertTransition]:
        """The transitions of alerts up to the last event of each device: of one device in their order."""
        for life in self._lives.values():
            yield from life.told
            if life.alerts is not None:
                yield from life.alerts.told

    def messages_at(self, at: int) -> list[AlertTransition]:
        """The transitions that have come about by a time of the log."""
        found: list[AlertTransition] = []
        for life in self._lives.values():
            then = life.at(at)
            found += life.told if then is life else [*life.told, *then.told]
            if then.alerts is not None:
                found += then.alerts.told
        return found


def messages(log: Iterable[tuple[DeviceEvent, int]], rules: Iterable[RuleChange], at: int) -> list[AlertTransition]:
    """The transitions of alerts that accepted events, each with its arrival, have come to by a time of the log.

    Those of a device are in the order in which they came about.
    """
    judges = Judges(Asked(folds=(alert.NAME,), rules=list(rules)))
    for event, arrival in log:
        judges.hear(event, arrival)
    return judges.messages_at(at)
