"""Transitions of alerts as they are published: what a message holds, and which messages a row stands for."""

from collections.abc import Iterator
from typing import Any

import msgspec

from telefold.schemas.view_rows import ViewUpdate, device_partition, is_of_a_device

ALERT = "alert"
"""The view, and the beginning of the sort keys of its rows."""
CHANNEL = "tf:alerts"
"""The Redis channel on which transitions are published."""

_STEPS = (
    ("pending", "pending_at"),
    ("firing", "fired_at"),
    ("acknowledged", "acknowledged_at"),
    ("resolved", "resolved_at"),
)


class AlertTransition(msgspec.Struct, frozen=True, omit_defaults=True):
    """A change of state of one alert. Times are epoch milliseconds: of readings, or of arrivals if it is of staleness.

    All of it is as it was then, however late it is published.
    """

    id: str
    """The same whenever the transition is published again: a consumer that has had it can leave it out."""
    device_id: str
    rule: str
    state: str
    """`pending`, `firing`, `acknowledged` or `resolved`."""
    at: int
    began_at: int
    """The time from which the condition held; tells the alerts of a rule apart."""
    severity: str
    rule_version_at: int
    count: int
    """How often the rule had fired on the device by then."""
    value: float | None = None
    acknowledged_by: str | None = None
    reason: str | None = None


def transitions(update: ViewUpdate) -> Iterator[AlertTransition]:
    """Transitions that the alert of a row has been through; none for rows that are not of one alert alone."""
    data: Any = update.data
    if update.view != ALERT or not is_of_a_device(update.partition) or "began_at" not in data:
        return
    device, rule = update.partition.removeprefix(device_partition("")), update.sort.split("#")[1]
    for state, field in _STEPS:
        if field in data:
            step = field.removesuffix("_at")
            not_fired_yet = state == "pending" and "fired_at" in data
            yield AlertTransition(
                f"{device}/{rule}/{data['began_at']}/{state}",
                device,
                rule,
                state,
                data[field],
                data["began_at"],
                data.get(f"{step}_severity", data["severity"]),
                data.get(f"{step}_rule_version_at", data["rule_version_at"]),
                data["count"] - not_fired_yet,
                data.get("value"),
                data.get("acknowledged_by") if state in ("acknowledged", "resolved") else None,
                data.get("reason") if state == "resolved" else None,
            )
