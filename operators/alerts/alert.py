"""One alert of one rule on one device: how it goes from one state to the next, and what its rows show."""

from typing import Literal

import msgspec

from operators.alerts.rules import Rule
from schemas.rules import Severity
from schemas.view_rows import Value

HISTORY_KEPT_S = 90 * 86_400
UNFIRED_KEPT_S = 86_400

Status = Literal["pending", "firing", "acknowledged", "resolved"]


class Alert(msgspec.Struct, frozen=True, array_like=True):
    """The newest alert of a rule. Times are epoch milliseconds."""

    status: Status
    began: int
    """Since when the condition held; names the alert."""
    since: int
    """Of the status."""
    version: int
    """Of the rule that judged it last."""
    severity: Severity
    count: int
    """How often the rule has fired, this time included."""
    value: float | None = None
    """The reading, or its rate a minute, with which it began; none for staleness."""
    was_pending: bool = False
    fired: int | None = None
    acknowledged: int | None = None
    by: str | None = None
    resolved: int | None = None
    reason: str | None = None
    """Why it was resolved, where that was not because of a reading."""

    @property
    def is_open(self) -> bool:
        return self.status != "resolved"

    @property
    def history_expires_at(self) -> int:
        """Epoch seconds."""
        return self.since // 1_000 + (UNFIRED_KEPT_S if self.fired is None else HISTORY_KEPT_S)


def begun(before: Alert | None, rule: Rule, at: int, value: float | None) -> Alert:
    """The alert that follows `before`; `value` is what broke the rule, a rate being in milliseconds."""
    pends = rule.condition.hold_ms > 0
    if value is not None and rule.condition.kind == "rate":
        value *= 60_000
    started = Alert(
        "pending", at, at, rule.version, rule.severity, before.count if before else 0, value, was_pending=pends
    )
    return started if pends else fired(started, at)


def fired(alert: Alert, at: int) -> Alert:
    return msgspec.structs.replace(alert, status="firing", since=at, fired=at, count=alert.count + 1)


def resolved(alert: Alert, at: int, reason: str | None = None) -> Alert:
    at = max(at, alert.since)
    return msgspec.structs.replace(alert, status="resolved", since=at, resolved=at, reason=reason)


def data_of(alert: Alert) -> dict[str, Value]:
    """Of the row that shows how things are."""
    data: dict[str, Value] = {
        "state": alert.status,
        "since_at": alert.since,
        "severity": alert.severity,
        "rule_version_at": alert.version,
        "count": alert.count,
    }
    return data | _given(value=alert.value, reason=alert.reason)


def course_of(alert: Alert) -> dict[str, Value]:
    """What has come to pass of it, and when."""
    return {"began_at": alert.began} | _given(
        pending_at=alert.began if alert.was_pending else None,
        fired_at=alert.fired,
        acknowledged_at=alert.acknowledged,
        acknowledged_by=alert.by,
        resolved_at=alert.resolved,
    )


def _given(**fields: Value | None) -> dict[str, Value]:
    return {name: value for name, value in fields.items() if value is not None}
