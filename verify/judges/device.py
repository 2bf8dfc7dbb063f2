"""The row `device`: its life, its attributes, what it sent that does not fit."""

from telefold.schemas.events import DeviceEvent
from telefold.schemas.view_rows import Value
from telefold.verify.judges.known import BEFORE_ALL, Known
from telefold.verify.judges.rows import TIMES_AN_EVENT

NAME = "device"
MOST_TYPES = 16


class Device:
    """The counts of one device's events."""

    def __init__(self) -> None:
        self.first, self.last = 2**62, 0
        self.folded = 0
        self.firmware_before: str | None = None
        self.after_retirement: list[int] | None = None
        """The number of events, and the greatest time of one; None while there is none."""
        self.types: dict[str, int] = {}

    def hear(self, event: DeviceEvent, known: Known, changed: dict[str, str | None]) -> None:
        """`known` once the event has been heard, and which attributes it `changed`, from what."""
        at = event.event_time
        self.folded += 1
        if at < self.first:
            self.first = at
        if at > self.last:
            self.last = at
        if changed and changed.get("firmware") is not None:
            self.firmware_before = changed["firmware"]
        if event.type not in ("telemetry", "registered", "configured", "retired"):
            name = event.type if event.type in self.types or len(self.types) < MOST_TYPES else "other"
            self.types[name] = self.types.get(name, 0) + 1
        elif event.type != "telemetry":
            return
        if known.is_retired and at > known.retired[0]:
            many, latest = self.after_retirement or [0, 0]
            self.after_retirement = [many + 1, max(latest, at)]

    def data(self, known: Known) -> dict[str, Value]:
        data: dict[str, Value] = {
            "status": "retired" if known.is_retired else "unknown" if known.registered == BEFORE_ALL else "registered",
            "first_seen_at": self.first,
            "last_seen_at": self.last,
            "events": self.folded,
        }
        if known.registered != BEFORE_ALL:
            data["registered_at"] = known.registered[0]
        if known.retired != BEFORE_ALL:
            data["retired_at"] = known.retired[0]
        data |= {f"attribute.{name}": attribute.value for name, attribute in known.attributes.items()}
        if firmware := known.attributes.get("firmware"):
            data |= {"firmware": firmware.value, "firmware_since_at": firmware.since[0]}
        if self.firmware_before is not None:
            data["firmware_before"] = self.firmware_before
        if self.after_retirement:
            data["events_after_retirement"], data["last_after_retirement_at"] = self.after_retirement
        return data | {f"type.{name}": count for name, count in self.types.items()}


def version(events: int) -> int:
    """The version of the row: every event changes it, and time alone never does."""
    return events * TIMES_AN_EVENT
