"""What a golden record is, and the plain event of which most are made."""

from typing import Any, NamedTuple

import msgspec

from telefold.schemas.errors import Reason
from telefold.schemas.events import DeviceEvent

ARRIVAL = 1_760_000_000_000


class Case(NamedTuple):
    name: str
    hex: str
    reason: Reason | None = None
    repeat: str = ""
    times: int = 0


def event(**changes: Any) -> DeviceEvent:
    return msgspec.structs.replace(PLAIN, **changes)


PLAIN = DeviceEvent(
    event_id="e-1",
    device_id="device-1",
    type="telemetry",
    event_time=ARRIVAL - 1_000,
    sequence=7,
    metrics={"temperature": 21.5, "humidity": 40.0},
    attributes={"site": "hall 4", "firmware": "1.2.3"},
    correlation_id="c-1",
)
