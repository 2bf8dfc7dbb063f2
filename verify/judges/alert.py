"""Alerts that the rules raise on a device (decision 031, "Alerts"; `docs/reference/alerts.md`)."""

from collections.abc import Iterator
from copy import copy
from typing import Any

from telefold.schemas.alerts import AlertTransition
from telefold.schemas.events import DeviceEvent
from telefold.schemas.view_rows import Value
from telefold.verify.judges.known import ACKNOWLEDGED, BEFORE_ALL, EventOrder, Known, order_of
from telefold.verify.judges.rows import TIMES_AN_EVENT, Row, iso
from telefold.verify.judges.rules import Change, Rule, RuleLog

NAME = "alert"
OPEN_ALERTS = "alerts"
HISTORY_KEPT_S, UNFIRED_KEPT_S, RESOLVED_KEPT_S = 90 * 86_400, 86_400, 86_400
PARTS = 64
MAX_METRICS = 1_000
"""The most metrics of a device that are evaluated, the first that it sent."""
LATEST_TIME = 4_102_444_800_000


class Alert:
    """An alert: one time that the condition of a rule held."""

    def __init__(self, rule: Rule, at: int, count: int, value: float | None) -> None:
        self.rule = rule
        self.status = ""
        self.began = self.since = at
        self.count = count
        self.value = value
        self.steps: dict[str, tuple[int, str, int]] = {}
        """Each status that it has come into: when, and severity and version of the rule then."""
        self.by: str | None = None
        self.reason: str | None = None
        self.quiet_since: int | None = None
        self.version = self.least = self.changed = 0
        """The greatest and the least version of its rows, and when they came to be so."""
        self.by_time = False
        """Whether that was by time alone."""

    @property
    def is_open(self) -> bool:
        return self.status != "resolved"

    def data(self) -> dict[str, Value]:
        data: dict[str, Value] = {
            "state": self.status,
            "since_at": self.since,
            "severity": self.rule.severity,
            "rule_version_at": self.rule.version,
            "count": self.count,
        }
        return data | _given(value=self.value, reason=self.reason)

    def course(self) -> dict[str, Value]:
        fields = {"pending": "pending_at", "firing": "fired_at", "acknowledged": "acknowledged_at"}
        data: dict[str, Value] = {"began_at": self.began}
        for status, field in fields.items():
            if status in self.steps:
                at, severity, version = self.steps[status]
                data[field] = at
                if (severity, version) != (self.rule.severity, self.rule.version):
                    stem = field.removesuffix("_at")
                    data |= {f"{stem}_severity": severity, f"{stem}_rule_version_at": version}
        resolved = self.steps["resolved"][0] if "resolved" in self.steps else None
        return data | _given(acknowledged_by=self.by, resolved_at=resolved)

    def rows(self, device_id: str, partition: str) -> Iterator[Row]:
        name, data = self.rule.name, self.data()
        common = (self.version, self.least)
        yield Row(NAME, partition, f"{NAME}#{name}", *common, data, None, self.changed, self.by_time)
        yield self.history(partition)
        closed = None if self.is_open else self.since // 1_000 + RESOLVED_KEPT_S
        sort = f"{NAME}#{name}#{device_id}"
        data = data | {"began_at": self.began}
        yield Row(NAME, OPEN_ALERTS, sort, *common, data, closed, self.changed, self.by_time)

    def history(self, partition: str) -> Row:
        kept = HISTORY_KEPT_S if "firing" in self.steps else UNFIRED_KEPT_S
        sort = f"{NAME}#{self.rule.name}#{iso(self.began)}"
        data = self.data() | self.course()
        ends_at = self.since // 1_000 + kept
        return Row(NAME, partition, sort, self.version, self.least, data, ends_at, self.changed, self.by_time)


class Reading:
    """The newest reading of a metric."""

    __slots__ = ("moment", "rate", "value")

    def __init__(self, moment: EventOrder, value: float, rate: float | None) -> None:
        self.moment, self.value, self.rate = moment, value, rate

    @property
    def at(self) -> int:
        return self.moment[0]


class Counted:
    """The growth of a counter, in parts of a duration."""

    def __init__(self, over_ms: int, since: int | None) -> None:
        self.over_ms = over_ms
        self.part_ms = -(-over_ms // PARTS)
        self.since = since
        """The time of the reading from which on it is counted."""
        self.parts: dict[int, float] = {}
        self.newest = 0

    def add(self, at: int, amount: float) -> None:
        self.since = at if self.since is None else self.since
        self.newest = at
        part = at // self.part_ms
        self.parts[part] = self.parts.get(part, 0.0) + amount
        oldest = part - self.over_ms // self.part_ms + 1
        self.parts = {one: sum_ for one, sum_ in self.parts.items() if one >= oldest}

    @property
    def total(self) -> float | None:
        return None if self.since is None else sum(self.parts[part] for part in sorted(self.parts))

    @property
    def is_whole(self) -> bool:
        return self.since is not None and self.newest - self.since >= self.over_ms


class Alerts:
    """The alerts of one device."""

    def __init__(self, device_id: str, partition: str, log: RuleLog, heard: int) -> None:
        self._id, self._partition, self._log = device_id, partition, log
        self.known = Known()
        self.place = 0
        """The place of the first change of a rule that is not in force yet."""
        self.rules: dict[str, Rule] = {}
        """The rules that are in force."""
        self.mine: dict[str, Rule] = {}
        """The rules that concern the device."""
        self.readings: dict[str, Reading] = {}
        self.heard: dict[str, int] = {}
        self.heard_any: int | None = None
        self.registration: tuple[EventOrder, int] = BEFORE_ALL, 0
        """The newest registration, and when it was heard."""
        self.counted: dict[tuple[str, int], Counted] = {}
        self.alerts: dict[str, Alert] = {}
        self.left: list[Row] = []
        self.told: list[AlertTransition] = []
        """The transitions that came about, in their order."""
        self._events = 0
        self._doubtful = 0
        self._moments = self._looks = 0
        """How often time alone changed rows since the last event, and how often it may have at the most."""
        self._moved_at = -1
        """The time when time alone changed rows last: what it does at one time may be one step, or several."""
        self._now = heard
        self._due = 2**62
        self._by_metric: dict[str, list[Rule]] = {}
        self._stale: list[Rule] = []
        while self._log.next_at(self.place) <= heard:
            self._put(self._log.changes[self.place])
        self._sort_out()

    # What happens to it.

    def advance(self, at: int) -> None:
        """Do all that is due by `at`."""
        while self.is_due(at):
            change, due = self._log.next_at(self.place), self._due
            self._now = min(change, due)
            self._looks += 1
            if change <= due:
                self._put_in_force(self._log.changes[self.place])
            else:
                self._be_stale(due)
            self._find_due()

    def is_due(self, at: int) -> bool:
        if self._due <= at:
            self._find_due()
        return self._due <= at or self._log.next_at(self.place) <= at

    def at(self, at: int) -> "Alerts":
        """The state at that time if nothing more was heard; this very one where time has changed nothing."""
        if not self.is_due(at):
            return self
        later = self.copied()
        later.advance(at)
        return later

    def copied(self) -> "Alerts":
        """Return a copy that time can be tried on."""
        other = copy(self)
        other.alerts = {name: copy(alert) for name, alert in self.alerts.items()}
        for alert in other.alerts.values():
            alert.steps = dict(alert.steps)
        other.rules, other.mine, other.counted = dict(self.rules), dict(self.mine), dict(self.counted)
        other.left, other.told = list(self.left), list(self.told)
        return other

    def has_any(self, at: int) -> bool:
        """Whether it may have rows at that time."""
        return bool(self.alerts or self.left) or self.is_due(at)

    def hear(self, event: DeviceEvent, heard: int, events: int, doubtful: int) -> None:
        """An event, when all that was due before has been done."""
        self._events, self._doubtful, self._now = events, doubtful, heard
        self._moments = self._looks = 0
        self._moved_at = -1
        if event.type == ACKNOWLEDGED:
            self._acknowledge(event)
            return
        if event.attributes or event.type in ("registered", "retired"):
            self._hear_of_itself(event, heard)
        if event.metrics and not self.known.is_retired:
            self._report(event, heard)

    def forget(self, at: int) -> None:
        self._now = at
        open_alerts = [alert for alert in self.alerts.values() if alert.is_open]
        self._looks += bool(open_alerts)
        for alert in open_alerts:
            self._resolve(alert, at, "forgotten", by_time=True)

    # Rules.

    def _put(self, change: Change) -> None:
        self.place += 1
        if change.rule is None:
            self.rules.pop(change.name, None)
        else:
            self.rules[change.name] = change.rule

    def _sort_out(self) -> None:
        """Find the rules that concern the device, and what is to be counted for them."""
        attributes = {name: one.value for name, one in self.known.attributes.items()}
        self.mine = {name: rule for name, rule in sorted(self.rules.items()) if rule.concerns(self._id, attributes)}
        self._stale = [rule for rule in self.mine.values() if rule.kind == "stale"]
        self._by_metric = {}
        asked = set()
        for rule in self.mine.values():
            if rule.kind != "stale" and rule.metric is not None:
                self._by_metric.setdefault(rule.metric, []).append(rule)
            if rule.kind == "increase" and rule.metric is not None:
                asked.add((rule.metric, rule.over_ms))
        if asked or self.counted:
            self.counted = {key: held for key, held in self.counted.items() if key in asked}
            for metric, over_ms in asked - self.counted.keys():
                reading = self.readings.get(metric)
                self.counted[metric, over_ms] = Counted(over_ms, None if reading is None else reading.at)

    def _put_in_force(self, change: Change) -> None:
        self._put(change)
        self._sort_out()
        rule, alert = self.mine.get(change.name), self.alerts.get(change.name)
        if alert is not None and alert.is_open:
            at = change.at if alert.rule.kind == "stale" else change.version
            if rule is None:
                self._resolve(alert, at, "rule deleted" if change.rule is None else "out of scope", by_time=True)
            else:
                self._go_on(alert, rule, change)
        elif rule is not None and not self.known.is_retired:
            self._judge_anew(rule, change.version, change.at, by_time=True)

    def _go_on(self, alert: Alert, rule: Rule, change: Change) -> None:
        """An open alert whose rule is another one now. If that ends it, then at a time of what it was about before."""
        end = change.at if alert.rule.kind == "stale" else change.version
        self._step(alert, by_time=True)
        alert.rule, alert.quiet_since = rule, None
        if rule.kind == "stale":
            last = self._last_heard(rule)
            if last is None or last + rule.bound.limit > change.at:
                self._resolve(alert, end, "rule changed", by_time=True)
            elif alert.status == "pending" and alert.began + rule.hold_ms <= change.at:
                self._fire(alert, change.at, by_time=True)
            return
        value, reading = self._quantity(rule), self.readings.get(rule.metric or "")
        if value is None or reading is None:
            self._resolve(alert, end, "rule changed", by_time=True)
            return
        at = max(reading.at, change.version)
        if alert.status == "pending":
            if not rule.bound.holds(value):
                self._resolve(alert, end, "rule changed", by_time=True)
            elif at >= alert.began + rule.hold_ms:
                self._fire(alert, at, by_time=True)
        elif rule.is_quiet(value):
            if rule.quiet_ms:
                alert.quiet_since = at
            else:
                self._resolve(alert, end, "rule changed", by_time=True)

    def _judge_anew(self, rule: Rule, not_before: int, heard: int, by_time: bool) -> None:
        """Evaluate a rule that has come to concern the device by what is known of that."""
        if rule.kind == "stale":
            last = self._last_heard(rule)
            if last is not None and last + rule.bound.limit <= heard:
                self._begin(rule, heard, None, by_time)
            return
        value, reading = self._quantity(rule), self.readings.get(rule.metric or "")
        if value is not None and reading is not None and rule.bound.holds(value):
            self._begin(rule, max(reading.at, not_before), value, by_time)

    # What the device says.

    def _hear_of_itself(self, event: DeviceEvent, heard: int) -> None:
        was_retired = self.known.is_retired
        changed = self.known.hear(event)
        if event.type == "registered" and order_of(event) >= self.registration[0]:
            self.registration = order_of(event), heard
        if self.known.is_retired:
            if not was_retired:
                for alert in self.alerts.values():
                    if alert.is_open:
                        at = heard if alert.rule.kind == "stale" else self.known.retired[0]
                        self._resolve(alert, at, "retired")
            self.readings, self.heard, self.heard_any, self.counted = {}, {}, None, {}
        if changed or was_retired != self.known.is_retired:
            before = self.mine
            self._sort_out()
            for name, alert in self.alerts.items():
                if alert.is_open and name not in self.mine:
                    self._resolve(alert, heard if alert.rule.kind == "stale" else event.event_time, "out of scope")
            if not self.known.is_retired:
                for name, rule in self.mine.items():
                    if name not in before and not self._is_open(name) and not self._is_told(rule, event):
                        self._judge_anew(rule, event.event_time, heard, by_time=False)
        self._find_due()

    def _is_told(self, rule: Rule, event: DeviceEvent) -> bool:
        """Whether the event itself reports what the rule is about: then that is judged, and nothing of before."""
        if rule.metric is None or rule.metric not in event.metrics:
            return rule.metric is None and bool(event.metrics)
        held = self.readings.get(rule.metric)
        return rule.kind == "stale" or held is None or order_of(event) > held.moment

    def _report(self, event: DeviceEvent, heard: int) -> None:
        moment = order_of(event)
        self.heard_any = heard
        for metric, value in event.metrics.items():
            before = self.readings.get(metric)
            if before is None and len(self.readings) >= MAX_METRICS:
                continue
            self.heard[metric] = heard
            if before is not None and moment <= before.moment:
                continue
            rate = None
            if before is not None:
                passed = moment[0] - before.at
                rate = (value - before.value) / passed if passed else before.rate
            self.readings[metric] = Reading(moment, value, rate)
            for (counted, _), held in self.counted.items():
                if counted == metric:
                    grown = 0.0 if before is None else value - before.value
                    held.add(moment[0], value if grown < 0 else grown)
            for rule in self._by_metric.get(metric, ()):
                self._judge(rule, moment[0])
        for rule in self._stale:
            # Of a metric that was expected and does not come with the first report nobody knows that it is to come.
            is_over = rule.metric is None or rule.metric in event.metrics or self._last_heard(rule) is None
            if is_over and self._is_open(rule.name):
                self._resolve(self.alerts[rule.name], heard)
            # What is due is found when this has come: it is never later than that.
            self._due = min(self._due, heard + int(rule.bound.limit))

    def _judge(self, rule: Rule, at: int) -> None:
        """Evaluate a rule by the newest reading, which has that time."""
        value = self.readings[rule.metric or ""].value if rule.kind == "value" else self._quantity(rule)
        if value is None:
            return
        alert = self.alerts.get(rule.name)
        if alert is None or not alert.is_open:
            if rule.bound.holds(value):
                self._begin(rule, at, value)
        elif alert.status == "pending":
            if not rule.bound.holds(value):
                self._resolve(alert, at)
            elif at >= alert.began + rule.hold_ms:
                self._fire(alert, at)
        elif not rule.is_quiet(value):
            alert.quiet_since = None
        elif not rule.quiet_ms:
            self._resolve(alert, at)
        elif alert.quiet_since is None:
            alert.quiet_since = at
        elif at >= alert.quiet_since + rule.quiet_ms:
            self._resolve(alert, at)

    def _acknowledge(self, event: DeviceEvent) -> None:
        alert = self.alerts.get(event.attributes.get("rule", ""))
        if alert is None or alert.status != "firing":
            return
        if event.attributes.get("began_at", str(alert.began)) != str(alert.began):
            return
        told = event.attributes.get("at", "")
        at = int(told) if told.isdecimal() and int(told) <= LATEST_TIME else event.event_time
        self._step(alert)
        alert.by = event.attributes.get("by")
        self._become(alert, "acknowledged", max(at, alert.since))

    # Alerts.

    def _be_stale(self, at: int) -> None:
        """Do what is due at `at` by time alone."""
        for rule in self._stale:
            alert, last = self.alerts.get(rule.name), self._last_heard(rule)
            if alert is not None and alert.is_open:
                if alert.status == "pending" and alert.began + rule.hold_ms <= at:
                    self._fire(alert, at, by_time=True)
            elif last is not None and last + rule.bound.limit <= at:
                self._begin(rule, at, None, by_time=True)

    def _find_due(self) -> None:
        self._due = 2**62
        if self.known.is_retired:
            return
        for rule in self._stale:
            alert, last = self.alerts.get(rule.name), self._last_heard(rule)
            if alert is not None and alert.is_open:
                if alert.status == "pending":
                    self._due = min(self._due, alert.began + rule.hold_ms)
            elif last is not None:
                self._due = min(self._due, last + int(rule.bound.limit))

    def _begin(self, rule: Rule, at: int, value: float | None, by_time: bool = False) -> None:
        before = self.alerts.get(rule.name)
        if before is not None:
            self.left.append(before.history(self._partition))
            at = max(at, before.began + 1)
        if value is not None and rule.kind == "rate":
            value *= 60_000
        alert = self.alerts[rule.name] = Alert(rule, at, 0 if before is None else before.count, value)
        if rule.hold_ms:
            self._step(alert, by_time)
            self._become(alert, "pending", at)
        else:
            self._fire(alert, at, by_time)

    def _fire(self, alert: Alert, at: int, by_time: bool = False) -> None:
        self._step(alert, by_time)
        alert.count += 1
        self._become(alert, "firing", at)

    def _resolve(self, alert: Alert, at: int, reason: str | None = None, by_time: bool = False) -> None:
        self._step(alert, by_time)
        alert.reason = reason
        self._become(alert, "resolved", max(at, alert.since))

    def _become(self, alert: Alert, status: str, at: int) -> None:
        alert.status, alert.since = status, at
        rule = alert.rule
        alert.steps[status] = at, rule.severity, rule.version
        self.told.append(
            AlertTransition(
                f"{self._id}/{rule.name}/{alert.began}/{status}",
                self._id,
                rule.name,
                status,
                at,
                alert.began,
                rule.severity,
                rule.version,
                alert.count,
                alert.value,
                alert.by if status in ("acknowledged", "resolved") else None,
                alert.reason,
            )
        )

    def _step(self, alert: Alert, by_time: bool = False) -> None:
        """The rows of `alert` change, by an event or by time alone."""
        if by_time and self._moved_at != self._now:
            self._moments += 1
            self._moved_at = self._now
        base = self._events * TIMES_AN_EVENT
        alert.version = base + self._looks
        alert.least = base - self._doubtful * TIMES_AN_EVENT + self._moments
        alert.changed, alert.by_time = self._now, by_time

    @property
    def looks(self) -> int:
        return self._looks

    def _is_open(self, name: str) -> bool:
        return name in self.alerts and self.alerts[name].is_open

    def _last_heard(self, rule: Rule) -> int | None:
        """The time at which the rule's subject was heard last; of a device that is expected, when it was registered."""
        if self.heard_any is None:
            return self.registration[1] if self.known.is_registered else None
        return self.heard_any if rule.metric is None else self.heard.get(rule.metric)

    def _quantity(self, rule: Rule) -> float | None:
        """What the rule is about; None as long as nobody can say, as whether a counter grew by less than so much."""
        reading = self.readings.get(rule.metric or "")
        if reading is None:
            return None
        if rule.kind == "increase":
            counted = self.counted.get((rule.metric or "", rule.over_ms))
            if counted is None or not counted.newest:
                return None
            return counted.total if counted.is_whole or rule.bound.comparison[0] != "<" else None
        return reading.rate if rule.kind == "rate" else reading.value

    def rows(self) -> Iterator[Row]:
        yield from self.left
        for alert in self.alerts.values():
            yield from alert.rows(self._id, self._partition)


def _given(**fields: Any) -> dict[str, Value]:
    return {name: value for name, value in fields.items() if value is not None}
