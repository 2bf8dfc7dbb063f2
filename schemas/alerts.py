"""Transitions of alerts as they are told to the outside: what a message holds, and which messages a row stands for."""

from collections.abc import Iterator
from typing import Any

import msgspec

from schemas.view_rows import ViewUpdate, device_partition

ALERT = "alert"
"""The view, and the beginning of the sort keys of its rows."""
CHANNEL = "tf:alerts"
"""Where Redis publishes them."""

_STEPS = (
    ("pending", "pending_at"),
    ("firing", "fired_at"),
    ("acknowledged", "acknowledged_at"),
    ("resolved", "resolved_at"),
)


class AlertTransition(msgspec.Struct, frozen=True, omit_defaults=True):
    """One alert came into one state. Times are epoch milliseconds, by the device's clock."""

    id: str
    """The same whenever the transition is told again: a consumer that has had it can leave it out."""
    device_id: str
    rule: str
    state: str
    """`pending`, `firing`, `acknowledged` or `resolved`."""
    at: int
    began_at: int
    """Since when the condition held; tells the alerts of a rule apart."""
    severity: str
    rule_version_at: int
    count: int
    value: float | None = None
    acknowledged_by: str | None = None
    reason: str | None = None


def transitions(update: ViewUpdate) -> Iterator[AlertTransition]:
    """All that the alert of a row has been through; nothing of rows that are not of one alert alone."""
    data: Any = update.data
    if update.view != ALERT or not update.partition.startswith(device_partition("")) or "began_at" not in data:
        return
    device, rule = update.partition.removeprefix(device_partition("")), update.sort.split("#")[1]
    for state, field in _STEPS:
        if field in data:
            yield AlertTransition(
                f"{device}/{rule}/{data['began_at']}/{state}",
                device,
                rule,
                state,
                data[field],
                data["began_at"],
                data["severity"],
                data["rule_version_at"],
                data["count"],
                data.get("value"),
                data.get("acknowledged_by") if state in ("acknowledged", "resolved") else None,
                data.get("reason") if state == "resolved" else None,
            )
