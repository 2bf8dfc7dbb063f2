"""An alert of one rule on one device: how it goes from one state to the next, and what its rows show."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from telefold.operators.alerts.condition import Condition
from telefold.operators.alerts.rules import Rule
from telefold.schemas.rules import Severity
from telefold.schemas.view_rows import Value

HISTORY_KEPT_S = 90 * 86_400
UNFIRED_KEPT_S = 86_400

Status = Literal["pending", "firing", "acknowledged", "resolved"]


class Alert(msgspec.Struct, frozen=True, array_like=True):
    """The newest alert of a rule. Times are epoch milliseconds: of readings or, if it is of staleness, of arrivals."""

    status: Status
    began: int
    """The time from which the condition held; names the alert."""
    since: int
    """The time from which the alert has had its status."""
    version: int
    """The version of the rule that evaluated it last."""
    severity: Severity
    count: int
    """How often the rule has fired, this time included."""
    value: float | None = None
    """The reading, its rate a minute or the increase with which it began; none for staleness."""
    was_pending: bool = False
    fired: int | None = None
    acknowledged: int | None = None
    by: str | None = None
    resolved: int | None = None
    reason: str | None = None
    """Why it was resolved, where that was not because of a reading."""
    quiet: int | None = None
    """The time from which all readings have been on the quiet side, while it fires."""
    stale: bool = False
    """Whether it is of staleness, so that its times are those of arrivals."""
    was: Mapping[str, tuple[int, Severity]] = {}
    """The rule's version and severity of then, by each step that came before the rule was changed last."""

    @property
    def is_open(self) -> bool:
        return self.status != "resolved"

    @property
    def history_expires_at(self) -> int:
        """The time at which its history expires, in epoch seconds."""
        return self.since // 1_000 + (UNFIRED_KEPT_S if self.fired is None else HISTORY_KEPT_S)


def begun(before: Alert | None, rule: Rule, at: int, value: float | None) -> Alert:
    """The alert that follows `before`; `value` is what broke the rule, a rate being in milliseconds.

    It begins later than `before` did, by a millisecond if need be, as it is named by that.
    """
    pends, condition = rule.condition.hold_ms > 0, rule.condition
    if value is not None and condition.kind == "rate":
        value *= 60_000
    count = 0
    if before is not None:
        at, count = max(at, before.began + 1), before.count
    started = Alert(
        "pending",
        at,
        at,
        rule.version,
        rule.severity,
        count,
        value,
        was_pending=pends,
        stale=condition.kind == "stale",
    )
    return started if pends else fired(started, at)


def fired(alert: Alert, at: int) -> Alert:
    return msgspec.structs.replace(alert, status="firing", since=at, fired=at, count=alert.count + 1)


def acknowledged(alert: Alert, at: int, by: str | None) -> Alert:
    at = max(at, alert.since)
    return msgspec.structs.replace(alert, status="acknowledged", since=at, acknowledged=at, by=by)


def read(alert: Alert, condition: Condition, value: float, at: int) -> Alert:
    """The open alert once there was a reading at `at`; the very `alert` if nothing comes of that."""
    if alert.status == "pending":
        if not condition.bound.holds(value):
            return resolved(alert, at)
        return fired(alert, at) if at - alert.began >= condition.hold_ms else alert
    if not condition.is_over(value):
        return alert if alert.quiet is None else msgspec.structs.replace(alert, quiet=None)
    if not condition.quiet_ms:
        return resolved(alert, at)
    if alert.quiet is None:
        return msgspec.structs.replace(alert, quiet=at)
    return resolved(alert, at) if at - alert.quiet >= condition.quiet_ms else alert


def under(alert: Alert, rule: Rule) -> Alert:
    """The open alert of a rule that has changed: what came to pass was under that of before; it is quiet since now."""
    then = alert.version, alert.severity
    came = {
        "pending": alert.was_pending,
        "fired": alert.fired is not None,
        "acknowledged": alert.acknowledged is not None,
    }
    was = {step: alert.was.get(step, then) for step, so in came.items() if so}
    stale = rule.condition.kind == "stale"
    return msgspec.structs.replace(
        alert, version=rule.version, severity=rule.severity, was=was, stale=stale, quiet=None
    )


def resolved(alert: Alert, at: int, reason: str | None = None) -> Alert:
    at = max(at, alert.since)
    return msgspec.structs.replace(alert, status="resolved", since=at, resolved=at, reason=reason)


def data_of(alert: Alert) -> dict[str, Value]:
    """The data of the row that shows the alert as it is now."""
    data: dict[str, Value] = {
        "state": alert.status,
        "since_at": alert.since,
        "severity": alert.severity,
        "rule_version_at": alert.version,
        "count": alert.count,
    }
    return data | _given(value=alert.value, reason=alert.reason)


def course_of(alert: Alert) -> dict[str, Value]:
    """The data of the row of its history: what has come to pass, and when."""
    return (
        {"began_at": alert.began}
        | _given(
            pending_at=alert.began if alert.was_pending else None,
            fired_at=alert.fired,
            acknowledged_at=alert.acknowledged,
            acknowledged_by=alert.by,
            resolved_at=alert.resolved,
        )
        | {
            f"{step}_{field}": value
            for step, (version, severity) in alert.was.items()
            for field, value in (("severity", severity), ("rule_version_at", version))
        }
    )


def _given(**fields: Value | None) -> dict[str, Value]:
    return {name: value for name, value in fields.items() if value is not None}
