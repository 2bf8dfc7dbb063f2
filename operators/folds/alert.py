"""Alerts: what the rules in force say of a device, from the first reading that breaks one until it is quiet again."""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from operators.alerts.alert import UNFIRED_KEPT_S, Alert, begun, course_of, data_of, fired, resolved
from operators.alerts.rules import Applicable, Rule, RuleSet
from operators.folds.fold import FoldRow, RuledFold
from operators.folds.moments import NEVER, Moment, iso, moment_of
from schemas.events import DeviceEvent
from schemas.limits import LIMITS
from schemas.rules import RuleChange

ACKNOWLEDGED = LIMITS.acknowledgement
"""The type of an event that says that somebody sees to the alert of the rule in its attribute `rule`. `by` says who,
`at` when, and `began_at` which alert of the rule is meant, if not whichever fires; both in epoch milliseconds."""

OPEN_ALERTS = "alerts"
"""The partition of the alerts of all devices."""

MAX_METRICS, MAX_ATTRIBUTES = 1_000, 64
LATEST_TIME = 4_102_444_800_000  # 2100-01-01T00:00:00Z


class Reading(msgspec.Struct, frozen=True, array_like=True):
    """The newest of a metric."""

    at: int
    value: float
    rate: float | None = None
    """Change in a millisecond since the reading before."""
    sequence: int = 0
    event_id: str = ""

    @property
    def moment(self) -> Moment:
        return self.at, self.sequence, self.event_id


class AlertState(msgspec.Struct, frozen=True, array_like=True):
    device_id: str
    revision: int = 0
    """Of the rules by which it was judged."""
    attributes: Mapping[str, str] = {}
    told: Moment = NEVER
    """When attributes were told last."""
    readings: Mapping[str, Reading] = {}
    reported: int | None = None
    """The greatest time of a report."""
    retired: Moment = NEVER
    registered: Moment = NEVER
    alerts: Mapping[str, Alert] = {}
    due: int | None = None

    @property
    def is_retired(self) -> bool:
        return self.retired > self.registered


class Alerts(RuledFold[AlertState]):
    """`alert#RULE`, and `alert#RULE#TIME` for each time that the rule's condition held, kept for 90 days.

    | field | meaning |
    |---|---|
    | state, since_at | `pending` until it has held as long as the rule asks, `firing`, `acknowledged`, `resolved` |
    | severity, rule_version_at | of the rule that judged it, and when that was put |
    | count | how often the rule has fired on this device |
    | value | the reading with which it began, or the rate a minute; absent for staleness |
    | reason | `rule changed`, `rule deleted`, `out of scope`, `retired` or `forgotten`, if it was resolved for that |

    The rows of single times have `began_at` and what has come to pass of `pending_at`, `fired_at`, `acknowledged_at`
    (and `acknowledged_by`) and `resolved_at`. In the partition `alerts` each `alert#RULE#DEVICE` is as `alert#RULE`.

    A reading that is older than the newest of its metric says nothing. A condition holds from one reading until the
    next. Rules judge what comes after them, and the newest readings that there are: from the time on at which the rule
    was put.
    """

    name = "alert"
    state = AlertState

    def __init__(self, rules: RuleSet | None = None) -> None:
        self._rules = rules or RuleSet()

    def under(self, changes: Iterable[RuleChange]) -> "Alerts":
        return Alerts(RuleSet(changes))

    def initial(self, key: str) -> AlertState:
        return AlertState(key, self._rules.revision)

    def judged(self, state: AlertState) -> AlertState:
        return state if state.revision == self._rules.revision else self._judged_again(state, None)

    def evolve(self, state: AlertState, event: DeviceEvent) -> AlertState:
        state = self.judged(state)
        if event.type == ACKNOWLEDGED:
            return _acknowledged(state, event)
        changed = _told(state, event)
        if changed is not state:
            state = self._judged_again(changed, event.event_time)
        return self._reported(state, event) if event.metrics and not state.is_retired else state

    def wake_at(self, state: AlertState) -> int | None:
        return state.due

    def on_time(self, state: AlertState, at: int) -> AlertState:
        rules, alerts = self._concerning(state), dict(state.alerts)
        for name, alert in alerts.items():
            if alert.status == "pending" and alert.began + rules.rules[name].condition.hold_ms <= at:
                alerts[name] = fired(alert, at)
        _find_stale(state, rules, alerts, at)
        return self._with(state, rules, alerts)

    def forgotten(self, state: AlertState, at: int) -> AlertState:
        alerts = {
            name: resolved(alert, at, "forgotten") if alert.is_open else alert for name, alert in state.alerts.items()
        }
        return msgspec.structs.replace(state, alerts=alerts, due=None) if alerts != state.alerts else state

    def rows(self, state: AlertState) -> Iterable[FoldRow]:
        for name, alert in state.alerts.items():
            data, expires_at = data_of(alert), alert.history_expires_at
            yield FoldRow(f"alert#{name}", data)
            yield FoldRow(f"alert#{name}#{iso(alert.began)}", data | course_of(alert), expires_at)
            yield FoldRow(
                f"alert#{name}#{state.device_id}",
                data | {"began_at": alert.began},
                None if alert.is_open else alert.since // 1_000 + UNFIRED_KEPT_S,
                partition=OPEN_ALERTS,
            )

    def shows_the_same(self, one: AlertState, other: AlertState) -> bool:
        return one.alerts is other.alerts

    def _reported(self, state: AlertState, event: DeviceEvent) -> AlertState:
        rules, at, moment = self._concerning(state), event.event_time, moment_of(event)
        readings, alerts = dict(state.readings), state.alerts
        for metric, value in event.metrics.items():
            before = readings.get(metric)
            if (before is not None and moment <= before.moment) or (before is None and len(readings) >= MAX_METRICS):
                continue
            reading = readings[metric] = Reading(at, value, _rate(before, value, at), event.sequence, event.event_id)
            alerts = _with_reading(alerts, rules, metric, reading, at)
        reported = at if state.reported is None else max(at, state.reported)
        changed = msgspec.structs.replace(state, readings=readings, reported=reported)
        return self._with(changed, rules, _heard_of(changed, alerts, rules, at))

    def _judged_again(self, state: AlertState, at: int | None) -> AlertState:
        """By rules that have changed, `at` None, or for attributes that have."""
        rules = self._concerning(state)
        alerts = {
            name: judged
            for name, alert in state.alerts.items()
            if (judged := self._still(state, rules, name, alert, at)) is not None
        }
        if not state.is_retired:
            for metric, reading in state.readings.items():
                _begin(alerts, rules, metric, reading, at)
            if at is not None:
                _find_stale(state, rules, alerts, at)
        state = msgspec.structs.replace(state, revision=self._rules.revision)
        return self._with(state, rules, alerts if alerts != state.alerts else state.alerts)

    def _still(self, state: AlertState, rules: Applicable, name: str, alert: Alert, at: int | None) -> Alert | None:
        """The alert under the rules as they are; None if it is over and its rule, too."""
        rule = rules.rules.get(name)
        if not alert.is_open:
            return alert if rule or name not in self._rules.deleted else None
        if state.is_retired:
            return resolved(alert, state.retired[0], "retired")
        if rule is None:
            deleted = self._rules.deleted.get(name)
            why = "out of scope" if deleted is None else "rule deleted"
            return resolved(alert, at or deleted or alert.since, why)
        if rule.version == alert.version:
            return alert
        alert = msgspec.structs.replace(alert, version=rule.version, severity=rule.severity)
        return alert if _still_holds(state, rule, alert) else resolved(alert, rule.version, "rule changed")

    def _with(self, state: AlertState, rules: Applicable, alerts: Mapping[str, Alert]) -> AlertState:
        due = _due(state, rules, alerts)
        if due == state.due and alerts is state.alerts:
            return state
        return msgspec.structs.replace(state, alerts=alerts, due=due)

    def _concerning(self, state: AlertState) -> Applicable:
        return self._rules.concerning(state.device_id, state.attributes)


def _rate(before: Reading | None, value: float, at: int) -> float | None:
    """Of readings of one time the one takes the other's place, and its rate with it: no time has passed."""
    if before is None:
        return None
    if at == before.at:
        return before.rate
    return (value - before.value) / (at - before.at)


def _told(state: AlertState, event: DeviceEvent) -> AlertState:
    """With what the event says of the device itself; the very `state` where that is nothing new."""
    moment = moment_of(event)
    if event.type in ("retired", "registered"):
        state = _living(state, event.type, moment)
    if moment < state.told or event.attributes.items() <= state.attributes.items():
        return state
    attributes = {**state.attributes, **event.attributes}
    if len(attributes) > MAX_ATTRIBUTES:
        return state
    return msgspec.structs.replace(state, attributes=attributes, told=moment)


def _living(state: AlertState, event_type: str, moment: Moment) -> AlertState:
    """A device that is registered again has reported nothing yet."""
    changed = msgspec.structs.replace(state, **{event_type: max(getattr(state, event_type), moment)})
    if state.is_retired and not changed.is_retired:
        changed = msgspec.structs.replace(changed, readings={}, reported=None)
    return changed


def _acknowledged(state: AlertState, event: DeviceEvent) -> AlertState:
    name, began = event.attributes.get("rule", ""), event.attributes.get("began_at")
    alert = state.alerts.get(name)
    if alert is None or alert.status != "firing" or began not in (None, str(alert.began)):
        return state
    at = max(_time(event.attributes.get("at", ""), event.event_time), alert.since)
    seen_to = msgspec.structs.replace(
        alert, status="acknowledged", since=at, acknowledged=at, by=event.attributes.get("by")
    )
    return msgspec.structs.replace(state, alerts={**state.alerts, name: seen_to})


def _time(text: str, otherwise: int) -> int:
    """The epoch milliseconds that `text` says; what is none, or in another age, is as good as nothing said."""
    at = int(text) if text.isdecimal() and len(text) <= LIMITS.time_digits else -1
    return at if 0 <= at <= LATEST_TIME else otherwise


def _with_reading(
    alerts: Mapping[str, Alert], rules: Applicable, metric: str, reading: Reading, at: int
) -> Mapping[str, Alert]:
    changed = dict(alerts)
    for name, alert in alerts.items():
        rule = rules.rules.get(name)
        if alert.is_open and rule and rule.condition.kind != "stale" and rule.condition.metric == metric:
            value = _quantity(rule, reading)
            over = value is not None and _is_over(rule, alert, value)
            if over:
                changed[name] = resolved(alert, at)
    began = _begin(changed, rules, metric, reading, at)
    return changed if began or changed != alerts else alerts


def _begin(alerts: dict[str, Alert], rules: Applicable, metric: str, reading: Reading, at: int | None) -> bool:
    """Add to `alerts` those that the reading begins; `at` None: at the earliest when their rule was put."""
    began = False
    for rule in _broken(rules, metric, reading):
        if not _is_open(alerts, rule):
            when = max(reading.at, rule.version) if at is None else at
            alerts[rule.name] = begun(alerts.get(rule.name), rule, when, _quantity(rule, reading))
            began = True
    return began


def _find_stale(state: AlertState, rules: Applicable, alerts: dict[str, Alert], at: int) -> None:
    """Add to `alerts` those of the rules by which the device is stale at `at`."""
    for rule in rules.stale:
        last = _last_report(state, rule)
        if last is not None and last + rule.condition.bound.limit <= at and not _is_open(alerts, rule):
            alerts[rule.name] = begun(alerts.get(rule.name), rule, at, None)


def _broken(rules: Applicable, metric: str, reading: Reading) -> Iterator[Rule]:
    if metric in rules.values:
        yield from rules.values[metric].broken_by(reading.value)
    if reading.rate is not None and metric in rules.rates:
        yield from rules.rates[metric].broken_by(reading.rate)


def _heard_of(state: AlertState, alerts: Mapping[str, Alert], rules: Applicable, at: int) -> Mapping[str, Alert]:
    """A report ends staleness, unless it is too old for that."""
    changed = dict(alerts)
    for rule in rules.stale:
        last = _last_report(state, rule)
        if _is_open(alerts, rule) and last is not None and last + rule.condition.bound.limit > alerts[rule.name].began:
            changed[rule.name] = resolved(alerts[rule.name], at)
    return changed if changed != alerts else alerts


def _still_holds(state: AlertState, rule: Rule, alert: Alert) -> bool:
    """Whether what was last heard of the device is an alert under the `rule` that has come."""
    if rule.condition.kind == "stale":
        last = _last_report(state, rule)
        return last is not None and last + rule.condition.bound.limit <= max(rule.version, alert.since)
    reading = state.readings.get(rule.condition.metric or "")
    value = None if reading is None else _quantity(rule, reading)
    return value is not None and not _is_over(rule, alert, value)


def _is_over(rule: Rule, alert: Alert, value: float) -> bool:
    """What has not fired yet is dropped by the first reading that does not break the rule."""
    return not rule.condition.bound.holds(value) if alert.status == "pending" else rule.condition.is_over(value)


def _quantity(rule: Rule, reading: Reading) -> float | None:
    return reading.rate if rule.condition.kind == "rate" else reading.value


def _is_open(alerts: Mapping[str, Alert], rule: Rule) -> bool:
    return rule.name in alerts and alerts[rule.name].is_open


def _last_report(state: AlertState, rule: Rule) -> int | None:
    if rule.condition.metric is None:
        return state.reported
    reading = state.readings.get(rule.condition.metric)
    return None if reading is None else reading.at


def _due(state: AlertState, rules: Applicable, alerts: Mapping[str, Alert]) -> int | None:
    if state.is_retired:
        return None
    due = [
        alert.began + rules.rules[name].condition.hold_ms for name, alert in alerts.items() if alert.status == "pending"
    ]
    for rule in rules.stale:
        last = _last_report(state, rule)
        if last is not None and not _is_open(alerts, rule):
            due.append(last + int(rule.condition.bound.limit))
    return min(due, default=None)
