"""Alerts: what the rules of the time say of a device, from the first reading that breaks one until it is quiet again.

docs/reference/alerts.md has the whole of it in words.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from telefold.operators.alerts.alert import (
    UNFIRED_KEPT_S,
    Alert,
    acknowledged,
    begun,
    course_of,
    data_of,
    fired,
    read,
    resolved,
)
from telefold.operators.alerts.alert import under as under_rule
from telefold.operators.alerts.counter import Counter, growth
from telefold.operators.alerts.rules import Applicable, Rule, RuleSet
from telefold.operators.folds.event_order import EventOrder, iso, order_of
from telefold.operators.folds.fold import FoldRow, RuledFold
from telefold.operators.folds.lifecycle import Lifecycle, is_report
from telefold.schemas.events import DeviceEvent, heard_at
from telefold.schemas.limits import LIMITS
from telefold.schemas.rules import RuleChange
from telefold.schemas.view_rows import OPEN_ALERTS

ACKNOWLEDGED = LIMITS.acknowledgement
"""The type of an event that says that somebody sees to the alert of the rule in its attribute `rule`. `by` says who,
`at` when, and `began_at` which alert of the rule is meant, if not whichever fires; both in epoch milliseconds."""

MAX_METRICS = 1_000
LATEST_TIME = 4_102_444_800_000  # 2100-01-01T00:00:00Z

Counters = Mapping[str, Mapping[int, Counter]]
"""Counters by metric and by the duration, in milliseconds, that they are of."""


class Reading(msgspec.Struct, frozen=True, array_like=True):
    """The newest reading of a metric."""

    at: int
    value: float
    rate: float | None
    """Change in a millisecond since the reading before."""
    sequence: int
    event_id: str
    heard: int
    """The time at which the metric was heard last, be it with an older reading."""

    @property
    def moment(self) -> EventOrder:
        return self.at, self.sequence, self.event_id


class AlertState(msgspec.Struct, frozen=True, array_like=True):
    device_id: str
    life: Lifecycle = Lifecycle()
    registered: int | None = None
    """The time at which the newest registration was heard."""
    reported: int | None = None
    """The time of the newest report since the device was retired last; None while there is none."""
    readings: Mapping[str, Reading] = {}
    counters: Counters = {}
    alerts: Mapping[str, Alert] = {}
    ruled: int | None = None
    """The time of the last changes of rules by which it was evaluated, 0 for none, in epoch milliseconds; None before
    the first event. Later ones that do not concern the device may be in force."""
    revision: int = 0
    """The revision of those rules, as they were known then."""
    due: int | None = None
    """The time at which staleness begins or fires, if nothing is heard."""

    @property
    def last_report(self) -> int | None:
        """The time at which the device was heard last; of a device that is expected, when it was registered."""
        return self.reported if self.reported is not None or not self.life.is_registered else self.registered


class Alerts(RuledFold[AlertState]):
    """`alert#RULE`, and `alert#RULE#TIME` for each time that the rule's condition held, kept for 90 days.

    | field | meaning |
    |---|---|
    | state, since_at | `pending` until it has held as long as the rule asks, `firing`, `acknowledged`, `resolved` |
    | severity, rule_version_at | of the rule that evaluated it, and when that was put |
    | count | how often the rule has fired on this device |
    | value | the reading with which it began, the rate a minute or the increase; absent for staleness |
    | reason | `rule changed`, `rule deleted`, `out of scope`, `retired` or `forgotten`, if it was resolved for that |

    The rows of single times have `began_at` and what has come to pass of `pending_at`, `fired_at`, `acknowledged_at`
    (and `acknowledged_by`) and `resolved_at`; of what came before a change of the rule, `pending_severity`,
    `pending_rule_version_at` and so on. In the partition `alerts` each `alert#RULE#DEVICE` is as `alert#RULE`.

    Steps by time alone, which the version of rows counts, are: each time at which staleness begins or fires, and each
    at which changes of rules come into force that concern the device, because it has an alert of the rule or is in the
    scope of the rule as it was or as it becomes. A device that is retired takes none.
    """

    name = "alert"
    state = AlertState
    state_version = 2

    def __init__(self, rules: RuleSet | None = None) -> None:
        self._rules = rules or RuleSet()

    def under(self, changes: Iterable[RuleChange]) -> "Alerts":
        return Alerts(RuleSet(changes))

    def initial(self, key: str) -> AlertState:
        return AlertState(key)

    def judged(self, state: AlertState) -> AlertState:
        """Changes that came to be known later than they were in force evaluate what they find now."""
        if state.ruled is None or (state.ruled, state.revision) == self._ruled(state.ruled):
            return state
        return self._moved_on(state, state.ruled)

    def looked_at(self, state: AlertState, at: int) -> AlertState:
        """The rules that are in force and do not concern the device are not looked at again."""
        return state if state.ruled is None or state.ruled >= at else self._with(state, at)

    def evolve(self, state: AlertState, event: DeviceEvent) -> AlertState:
        heard = heard_at(event)
        now = heard if state.ruled is None or state.ruled <= heard else state.ruled
        if event.type == ACKNOWLEDGED:
            return self._with(state, now, alerts=_acknowledged(state.alerts, event))
        life = state.life.told(event)
        if life.is_retired:
            return self._retired(state, life, now)
        values, is_heard_of = life.values, is_report(event)
        moved = life.has_other_values(state.life)
        rules = self._rules.concerning(state.device_id, values, now)
        registered = state.registered if life.registered is state.life.registered else heard
        alerts, readings, counters, reported = state.alerts, state.readings, state.counters, state.reported
        if moved:
            alerts = _in_scope(alerts, rules, event.event_time, heard)
            counters = _asked_for(counters, rules)
        if is_heard_of:
            reported = heard
            fresh, readings, counters = _read(readings, counters, rules, event, heard)
            if alerts or rules.rules:
                for metric in fresh:
                    alerts = _with_reading(alerts, rules, metric, readings[metric], counters)
        if moved:
            alerts = _begin(alerts, rules, readings, counters, lambda rule, at: max(at, event.event_time))
        ruled, revision = self._ruled(now)
        after = AlertState(
            state.device_id, life, registered, reported, readings, counters, alerts, ruled, revision, state.due
        )
        return _with_silence(after, rules, heard, is_heard_of) if rules.stale or state.due else after

    def wake_at(self, state: AlertState) -> int | None:
        due = state.due
        if state.ruled is None or state.ruled >= self._rules.newest_at or state.life.is_retired:
            return due
        others = self._rules.next_concerning(state.device_id, state.life.values, state.ruled, state.alerts)
        return others if due is None or (others is not None and others < due) else due

    def on_time(self, state: AlertState, at: int) -> AlertState:
        """Rules come into force first: what is stale is so by the rules of that time."""
        at = max(at, state.ruled or 0)
        if state.ruled != self._rules.last_change(at):
            state = self._moved_on(state, at)
        return _with_silence(self._with(state, at), self._concerning(state, at), at)

    def forgotten(self, state: AlertState, at: int) -> AlertState:
        alerts = _ended(state.alerts, lambda alert: at, "forgotten")
        return msgspec.structs.replace(state, alerts=alerts, due=None) if alerts is not state.alerts else state

    def rows(self, state: AlertState) -> Iterable[FoldRow]:
        for name, alert in state.alerts.items():
            data, expires_at = data_of(alert), alert.history_expires_at
            yield FoldRow(f"alert#{name}", data, at_once=True)
            yield FoldRow(f"alert#{name}#{iso(alert.began)}", data | course_of(alert), expires_at, at_once=True)
            yield FoldRow(
                f"alert#{name}#{state.device_id}",
                data | {"began_at": alert.began},
                None if alert.is_open else alert.since // 1_000 + UNFIRED_KEPT_S,
                partition=OPEN_ALERTS,
                at_once=True,
            )

    def shows_the_same(self, one: AlertState, other: AlertState) -> bool:
        return one.alerts is other.alerts

    def _concerning(self, state: AlertState, at: int) -> Applicable:
        return self._rules.concerning(state.device_id, state.life.values, at)

    def _retired(self, state: AlertState, life: Lifecycle, heard: int) -> AlertState:
        alerts = _ended(state.alerts, lambda alert: heard if alert.stale else life.retired[0], "retired")
        state = msgspec.structs.replace(
            state, life=life, registered=None, reported=None, readings={}, counters={}, due=None
        )
        return self._with(state, heard, alerts=alerts)

    def _ruled(self, at: int) -> tuple[int, int]:
        """The time and the revision of the rules in force at `at`."""
        if at >= self._rules.newest_at:
            return self._rules.newest_at, self._rules.newest_revision
        return self._rules.last_change(at), self._rules.revision(at)

    def _with(self, state: AlertState, at: int, alerts: Mapping[str, Alert] | None = None) -> AlertState:
        """Judged by the rules in force at `at`, with these `alerts`."""
        alerts, (ruled, revision) = state.alerts if alerts is None else alerts, self._ruled(at)
        if alerts is state.alerts and (ruled, revision) == (state.ruled, state.revision):
            return state
        return msgspec.structs.replace(state, alerts=alerts, ruled=ruled, revision=revision)

    def _moved_on(self, state: AlertState, at: int) -> AlertState:
        """Judged by the rules in force at `at`, which are others than before."""
        if state.life.is_retired:
            return self._with(state, at)
        rules, in_force = self._concerning(state, at), self._rules.in_force(at)
        counters = _asked_for(state.counters, rules)
        alerts: dict[str, Alert] = {}
        for name, alert in state.alerts.items():
            rule = rules.rules.get(name)
            if not alert.is_open:
                if self._rules.knows(name):
                    alerts[name] = alert
            elif rule is None:
                why = "rule deleted" if in_force.is_deleted(name) else "out of scope"
                alerts[name] = resolved(alert, at if alert.stale else in_force.version_of(name), why)
            elif rule.version != alert.version:
                alerts[name] = _under(state, counters, rule, alert, at)
            else:
                alerts[name] = alert
        kept = alerts if alerts != state.alerts else state.alerts
        kept = _begin(kept, rules, state.readings, counters, lambda rule, read_at: max(read_at, rule.version))
        changed = msgspec.structs.replace(state, counters=counters)
        return _with_silence(self._with(changed, at, kept), rules, at)


def _under(state: AlertState, counters: Counters, rule: Rule, alert: Alert, at: int) -> Alert:
    """The open `alert` once its rule has changed to this one at `at`: it goes on, fires, or is resolved."""
    changed, metric = under_rule(alert, rule), rule.condition.metric
    if rule.condition.kind == "stale":
        last = _last_heard(state, metric)
        if last is not None and last + rule.condition.bound.limit <= at:
            return changed
    elif metric is not None and metric in state.readings:
        reading = state.readings[metric]
        value = _quantity(rule, metric, reading, counters)
        if value is not None:
            judged = read(changed, rule.condition, value, max(reading.at, rule.version))
            if judged.is_open:
                return judged
    return resolved(changed, at if alert.stale else rule.version, "rule changed")


def _read(
    readings: Mapping[str, Reading], counters: Counters, rules: Applicable, event: DeviceEvent, heard: int
) -> tuple[list[str], Mapping[str, Reading], Counters]:
    """List the metrics whose reading in `event` is their newest now, and return all readings and counters."""
    at, sequence, event_id = moment = order_of(event)
    fresh: list[str] = []
    changed = dict(readings)
    for metric, value in event.metrics.items():
        before = readings.get(metric)
        if before is None:
            if len(changed) >= MAX_METRICS:
                continue
        elif at <= before.at and moment <= before.moment:
            changed[metric] = msgspec.structs.replace(before, heard=heard)
            continue
        fresh.append(metric)
        changed[metric] = Reading(at, value, _rate(before, value, at), sequence, event_id, heard)
        if metric in rules.increases:
            counted = _counted(counters.get(metric, {}), rules.increases[metric], before, value, at)
            counters = {**counters, metric: counted}
    return fresh, changed, counters


def _counted(
    counters: Mapping[int, Counter], durations: Iterable[int], before: Reading | None, value: float, at: int
) -> Mapping[int, Counter]:
    counted: dict[int, Counter] = {}
    for over_ms in durations:
        counter = counters.get(over_ms) or Counter(at if before is None else before.at)
        counted[over_ms] = counter.counted(over_ms, at, 0.0 if before is None else growth(before.value, value))
    return counted


def _rate(before: Reading | None, value: float, at: int) -> float | None:
    """Change in a millisecond. A reading of the same time as the one before takes its place, and its rate with it."""
    if before is None:
        return None
    if at == before.at:
        return before.rate
    return (value - before.value) / (at - before.at)


def _asked_for(counters: Counters, rules: Applicable) -> Counters:
    """The counters that some rule still needs."""
    if not counters:
        return counters
    return {
        metric: kept
        for metric, some in counters.items()
        if (kept := {over: one for over, one in some.items() if over in rules.increases.get(metric, ())})
    }


def _acknowledged(alerts: Mapping[str, Alert], event: DeviceEvent) -> Mapping[str, Alert]:
    name, began = event.attributes.get("rule", ""), event.attributes.get("began_at")
    alert = alerts.get(name)
    if alert is None or alert.status != "firing" or began not in (None, str(alert.began)):
        return alerts
    at = _time(event.attributes.get("at", ""), event.event_time)
    return {**alerts, name: acknowledged(alert, at, event.attributes.get("by"))}


def _time(text: str, otherwise: int) -> int:
    """The epoch milliseconds that `text` says; what is none, or in another age, is as good as nothing said."""
    at = int(text) if text.isdecimal() and len(text) <= LIMITS.time_digits else -1
    return at if 0 <= at <= LATEST_TIME else otherwise


def _ended(alerts: Mapping[str, Alert], when: Callable[[Alert], int], why: str) -> Mapping[str, Alert]:
    """End every alert that is open."""
    ended = {name: resolved(alert, when(alert), why) for name, alert in alerts.items() if alert.is_open}
    return {**alerts, **ended} if ended else alerts


def _in_scope(alerts: Mapping[str, Alert], rules: Applicable, at: int, heard: int) -> Mapping[str, Alert]:
    """End the alerts that no longer concern the device, whose attributes an event of the time `at` changed."""
    outside = {name: alert for name, alert in alerts.items() if alert.is_open and name not in rules.rules}
    return {**alerts, **_ended(outside, lambda alert: heard if alert.stale else at, "out of scope")}


def _with_reading(
    alerts: Mapping[str, Alert], rules: Applicable, metric: str, reading: Reading, counters: Counters
) -> Mapping[str, Alert]:
    """Take a reading in that is now the newest of its metric."""
    changed: dict[str, Alert] | None = None
    for name, alert in alerts.items():
        rule = rules.rules.get(name)
        if alert.is_open and rule is not None and rule.condition.kind != "stale" and rule.condition.metric == metric:
            value = _quantity(rule, metric, reading, counters)
            judged = alert if value is None else read(alert, rule.condition, value, reading.at)
            if judged is not alert:
                changed = changed or dict(alerts)
                changed[name] = judged
    for rule in _broken(rules, metric, reading, counters):
        before = alerts.get(rule.name)
        if before is None or not before.is_open:
            changed = changed or dict(alerts)
            changed[rule.name] = begun(before, rule, reading.at, _quantity(rule, metric, reading, counters))
    return changed or alerts


def _begin(
    alerts: Mapping[str, Alert],
    rules: Applicable,
    readings: Mapping[str, Reading],
    counters: Counters,
    when: Callable[[Rule, int], int],
) -> Mapping[str, Alert]:
    """Begin alerts that the newest readings call for and that are not open, at `when` of the rule and the reading."""
    begins: dict[str, Alert] = {}
    for metric, reading in readings.items():
        for rule in _broken(rules, metric, reading, counters):
            before = alerts.get(rule.name)
            if before is None or not before.is_open:
                value = _quantity(rule, metric, reading, counters)
                begins[rule.name] = begun(before, rule, when(rule, reading.at), value)
    return {**alerts, **begins} if begins else alerts


def _broken(rules: Applicable, metric: str, reading: Reading, counters: Counters) -> Sequence[Rule]:
    broken: Sequence[Rule] = ()
    if (values := rules.values.get(metric)) is not None:
        broken = values.broken_by(reading.value)
    if reading.rate is not None and (rates := rules.rates.get(metric)) is not None:
        broken = [*broken, *rates.broken_by(reading.rate)]
    if rules.increases and metric in rules.increases:
        for over_ms, counter in counters.get(metric, {}).items():
            some = rules.increases[metric][over_ms].broken_by(counter.total)
            broken = [*broken, *(one for one in some if _quantity(one, metric, reading, counters) is not None)]
    return broken


def _quantity(rule: Rule, metric: str, reading: Reading, counters: Counters) -> float | None:
    """The quantity that the rule is about; None as long as nobody can say."""
    condition = rule.condition
    if condition.kind != "increase":
        return reading.rate if condition.kind == "rate" else reading.value
    counter = counters.get(metric, {}).get(condition.over_ms)
    if counter is None or not (condition.bound.is_upper or counter.covers(condition.over_ms, reading.at)):
        return None
    return counter.total


def _with_silence(state: AlertState, rules: Applicable, at: int, has_reported: bool = False) -> AlertState:
    """Do what is due by staleness at `at`: alerts begin, fire, or are over if the device `has_reported`."""
    alerts = state.alerts
    changed: dict[str, Alert] = {}
    due: list[int] = []
    if not alerts or not any(alert.stale and alert.is_open for alert in alerts.values()):
        due = [last + limit for metric, limit in rules.least_limits if (last := _last_heard(state, metric)) is not None]
        if due and (soonest := min(due)) > at:
            return msgspec.structs.replace(state, due=soonest)
        due.clear()
    for rule, metric, limit, hold_ms in rules.stale:
        last, alert = _last_heard(state, metric), alerts.get(rule.name)
        if alert is not None and alert.is_open:
            if has_reported and (last is None or last + limit > at):
                changed[rule.name] = alert = resolved(alert, at)
            elif alert.status == "pending" and alert.began + hold_ms <= at:
                changed[rule.name] = alert = fired(alert, at)
        elif last is not None and last + limit <= at:
            changed[rule.name] = alert = begun(alert, rule, at, None)
        if alert is not None and alert.is_open:
            if alert.status == "pending":
                due.append(alert.began + hold_ms)
        elif last is not None:
            due.append(last + limit)
    first = min(due) if due else None
    if not changed and first == state.due:
        return state
    return msgspec.structs.replace(state, alerts={**alerts, **changed} if changed else alerts, due=first)


def _last_heard(state: AlertState, metric: str | None) -> int | None:
    """The time at which the metric, None for any, was heard; None if it never was, and is not expected."""
    if metric is None or state.reported is None:
        return state.last_report
    reading = state.readings.get(metric)
    return None if reading is None else reading.heard
