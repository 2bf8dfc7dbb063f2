"""The fleet that nothing is wrong with: twenty devices that report in turn, and what has to be shown of them. Pure."""

from telefold.schemas.codec import encode
from telefold.schemas.events import DeviceEvent
from tests.support.alerts import NaiveRule

DEVICES = tuple(f"calm-{number:02}" for number in range(1, 21))
SITES = ("calm-a", "calm-b")
MODEL = "calm-model"
REPORT_INTERVAL_S = 600
"""What they are configured with; they report far more often, so that neither a slow machine makes an outage nor the
minutes in which the job reads what was sent when nothing more is."""
CONFIGURED_EVERY = 40
_CYCLE, _HOT = 12, (6, 7)

HOT = NaiveRule("above", 80, until=75, metric="temperature")
RULES = {
    "hot": HOT.condition,
    "calm-gone": f"stale() > 30m where model = {MODEL!r}".replace("'", '"'),
    "calm-damp": f'humidity > 99 for 1m where model = "{MODEL}"',
}
"""By name. Of these `hot` alone ever fires on a calm device."""


def site_of(device_id: str) -> str:
    return SITES[DEVICES.index(device_id) % len(SITES)]


def event(turn: int, at: int) -> DeviceEvent:
    """The fleet's `turn`th event, which happens `at`, in epoch milliseconds; its times must not fall."""
    round_, number = divmod(turn, len(DEVICES))
    device_id = DEVICES[number]
    made = DeviceEvent(f"{device_id}/{round_}", device_id, "telemetry", at, round_)
    if round_ == 0:
        attributes = {"site": site_of(device_id), "model": MODEL, "firmware": "calm-1"}
        return _with(made, "registered", {**attributes, "report_interval_s": str(REPORT_INTERVAL_S)})
    if round_ % CONFIGURED_EVERY == 0:
        return _with(made, "configured", {"firmware": f"calm-{1 + round_ // CONFIGURED_EVERY}"})
    return DeviceEvent(made.event_id, device_id, made.type, at, round_, _metrics(round_, number))


def record(turn: int, at: int) -> bytes:
    return encode(event(turn, at))


def _with(made: DeviceEvent, event_type: str, attributes: dict[str, str]) -> DeviceEvent:
    return DeviceEvent(made.event_id, made.device_id, event_type, made.event_time, made.sequence, {}, attributes)


def _metrics(round_: int, number: int) -> dict[str, float]:
    is_hot = (round_ + number) % _CYCLE in _HOT
    return {"temperature": (90.0 if is_hot else 60.0) + number / 4, "humidity": 40.0 + round_ % 7}
