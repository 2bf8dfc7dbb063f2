"""A made-up fleet: plausible events, and on request everything that goes wrong with them. Pure.

Devices report in turn. A device's first event is `registered`, one in fifty later ones is `configured`, the rest
are telemetry: temperature and humidity every time, battery every tenth. The same spec and the same times
give the same bytes, and with corrections those bytes still stand between them.
"""

import heapq
import math
import random
from collections.abc import Callable, Iterable, Iterator
from typing import Literal

import msgspec

from telefold.schemas.codec import CURRENT_VERSION, HEADER_BYTES, MARKER, VERSIONS, encode
from telefold.schemas.corrections import SINCE_VERSION
from telefold.schemas.errors import Reason, UsageError
from telefold.schemas.events import DeviceEvent
from telefold.schemas.limits import LIMITS

MIXED = "mixed"
SCHEMA_CHOICES = (*map(str, VERSIONS), MIXED)

DEFAULT_SPAN_MS = 3_600_000
# Well inside the default lateness of one hour: what is sent late here is still folded.
MAX_DELAY_MS = 900_000
DAY_MS = 86_400_000
TEN_YEARS_MS = 3_650 * DAY_MS
CONFIGURED_EVERY = 50
BATTERY_EVERY = 10
SITES = ("berlin", "lisbon", "osaka", "quito")
MODELS = ("th-100", "th-200", "th-200x")


class Spec(msgspec.Struct, frozen=True):
    """The size and kind of the log to generate; all but `out_of_order` comes on top of `events`.

    `duplicates`, `out_of_order` and `poison` are fractions of `events`; `corrections` is one of the telemetry of
    the devices whose schema has corrections. `schema` is a version, or MIXED: devices use every version in turn.
    """

    events: int
    devices: int = 100
    seed: int = 0
    duplicates: float = 0.0
    out_of_order: float = 0.0
    poison: float = 0.0
    schema: str = str(CURRENT_VERSION)
    corrections: float = 0.0

    def __post_init__(self) -> None:
        problems = [
            f"--{name} is {value}, but must be at least 1."
            for name, value in (("events", self.events), ("devices", self.devices))
            if value < 1
        ]
        problems += [
            f"--{name} is {value}, but must be a fraction from 0 to 1 (0.05 is five in a hundred)."
            for name, value in (
                ("duplicates", self.duplicates),
                ("out-of-order", self.out_of_order),
                ("poison", self.poison),
                ("corrections", self.corrections),
            )
            if not 0 <= value <= 1
        ]
        if self.schema not in SCHEMA_CHOICES:
            problems.append(f"--schema-version is {self.schema}, but must be one of {', '.join(SCHEMA_CHOICES)}.")
        elif self.corrections and self.schema != MIXED and int(self.schema) < SINCE_VERSION:
            problems.append(
                f"--corrections is {self.corrections}, but --schema-version {self.schema} has none: "
                f"leave it out, or use {SINCE_VERSION} or {MIXED}."
            )
        if problems:
            raise UsageError(problems)


class GeneratedRecord(msgspec.Struct, frozen=True):
    """A record to send. `reason` is what a poison record is to be rejected for."""

    data: bytes
    partition_key: str
    kind: Literal["event", "duplicate", "correction", "poison"]
    reason: Reason | None = None


def device_id(number: int) -> str:
    """The id of a device; devices are numbered from 1."""
    return f"device-{number}"


def spread(events: int, start_time_ms: int, span_ms: float = DEFAULT_SPAN_MS) -> Iterator[int]:
    """Evenly spaced times over `span_ms` from `start_time_ms`, one an event."""
    return (start_time_ms + int(index * span_ms / events) for index in range(events))


def generate(spec: Spec, start_time_ms: int, span_ms: float = DEFAULT_SPAN_MS) -> Iterator[GeneratedRecord]:
    """The records of a fleet that reported evenly over `span_ms` from `start_time_ms`, in sending order."""
    times = spread(spec.events, start_time_ms, span_ms)
    return generate_at(spec, times, device_interval_ms=span_ms * spec.devices / spec.events, salt=start_time_ms)


def generate_at(
    spec: Spec, times: Iterable[int], device_interval_ms: float, salt: int = 0
) -> Iterator[GeneratedRecord]:
    """Generate events as `generate` does, with the event times given; each is taken when its event is about to be sent.

    `device_interval_ms` is the time between two events of one device: an event out of order is sent one to
    three of them after its time, at most 15 minutes, and a duplicate or a correction that long after its original.
    `salt` makes the event ids of two runs with one seed differ.
    """
    fleet = _Fleet(spec, salt)
    pending: list[tuple[float, int, GeneratedRecord]] = []
    pushed = 0
    for index, time in zip(range(spec.events), times, strict=False):
        for send_at, record in fleet.records(index, time, device_interval_ms):
            heapq.heappush(pending, (send_at, pushed, record))
            pushed += 1
        while pending and pending[0][0] <= time:
            yield heapq.heappop(pending)[2]
    while pending:
        yield heapq.heappop(pending)[2]


class _Fleet:
    def __init__(self, spec: Spec, salt: int) -> None:
        self._spec = spec
        self._random = random.Random(spec.seed)
        self._ids = random.Random(f"{spec.seed} {salt}")
        self._corrections = random.Random(f"{spec.seed} {salt} corrections")
        self._poisoned = 0

    def records(self, index: int, time: int, device_interval_ms: float) -> Iterator[tuple[float, GeneratedRecord]]:
        """The records that one event brings about, each with the time at which it is sent."""
        chance = self._random.random
        turn, number = divmod(index, self._spec.devices)
        event = self._event(number + 1, turn, time)
        version = self._version(number + 1)
        record = GeneratedRecord(encode(event, version), event.device_id, "event")
        late = chance() < self._spec.out_of_order
        send_at = time + (self._delay(device_interval_ms, self._random) if late else 0.0)
        yield send_at, record
        if chance() < self._spec.duplicates:
            copy = msgspec.structs.replace(record, kind="duplicate")
            yield send_at + self._delay(device_interval_ms, self._random), copy
        if chance() < self._spec.poison:
            yield time, self._poison(event, version)
        if event.metrics and version >= SINCE_VERSION and self._corrections.random() < self._spec.corrections:
            corrected = GeneratedRecord(encode(self._correction(event), version), event.device_id, "correction")
            yield send_at + self._delay(device_interval_ms, self._corrections), corrected

    def _delay(self, device_interval_ms: float, noise: random.Random) -> float:
        return min(noise.uniform(1.05, 3) * device_interval_ms, MAX_DELAY_MS)

    def _version(self, number: int) -> int:
        return VERSIONS[(number - 1) % len(VERSIONS)] if self._spec.schema == MIXED else int(self._spec.schema)

    def _event(self, number: int, turn: int, time: int) -> DeviceEvent:
        event_id = f"{self._ids.getrandbits(128):032x}"
        event = DeviceEvent(event_id, device_id(number), "telemetry", time, sequence=turn)
        if turn == 0:
            return msgspec.structs.replace(event, type="registered", attributes=_attributes(number, "1.0.0"))
        if turn % CONFIGURED_EVERY == 0:
            attributes = {"firmware": f"1.{turn // CONFIGURED_EVERY}.0"}
            correlation_id = f"rollout-{turn // CONFIGURED_EVERY}"
            return msgspec.structs.replace(
                event, type="configured", attributes=attributes, correlation_id=correlation_id
            )
        return msgspec.structs.replace(event, metrics=self._metrics(number, turn, time))

    def _correction(self, event: DeviceEvent) -> DeviceEvent:
        """The correction of `event`: every reading was off by one to three."""
        noise = self._corrections
        return msgspec.structs.replace(
            event,
            event_id=f"{noise.getrandbits(128):032x}",
            type="correction",
            metrics={name: round(value - noise.uniform(1, 3), 2) for name, value in event.metrics.items()},
            corrects=event.event_id,
        )

    def _metrics(self, number: int, turn: int, time: int) -> dict[str, float]:
        noise = self._random.uniform
        warmth = math.sin(2 * math.pi * (time % DAY_MS) / DAY_MS + number)
        metrics = {
            "temperature": round(18 + number % 7 + 5 * warmth + noise(-0.4, 0.4), 2),
            "humidity": round(55 - 15 * warmth + noise(-2, 2), 1),
        }
        if turn % BATTERY_EVERY == 1:
            metrics["battery"] = round(100 * math.exp(-(turn + 10 * (number % 30)) / 2_000), 1)
        return metrics

    def _poison(self, event: DeviceEvent, version: int) -> GeneratedRecord:
        """Make a poison record of the next kind in turn, so that a few dozen hold them all."""
        reason, spoil = POISONS[self._poisoned % len(POISONS)]
        self._poisoned += 1
        spoiled = spoil(msgspec.structs.replace(event, event_id=f"poison-{event.event_id}"), version, self._random)
        return GeneratedRecord(spoiled, event.device_id, "poison", reason)


def _attributes(number: int, firmware: str) -> dict[str, str]:
    return {"site": SITES[number % len(SITES)], "model": MODELS[number % len(MODELS)], "firmware": firmware}


def _spoiled(event: DeviceEvent, version: int, **changes: object) -> bytes:
    return encode(msgspec.structs.replace(event, **changes), version)


Spoil = Callable[[DeviceEvent, int, random.Random], bytes]

POISONS: tuple[tuple[Reason, Spoil], ...] = (
    (Reason.BAD_HEADER, lambda event, version, _: b"\x00\x01" + encode(event, version)[len(MARKER) :]),
    (Reason.UNKNOWN_FINGERPRINT, lambda event, version, _: MARKER + bytes(8) + encode(event, version)[HEADER_BYTES:]),
    (Reason.TRUNCATED_BODY, lambda event, version, _: encode(event, version)[:-1]),
    (Reason.EMPTY_ID, lambda event, version, _: _spoiled(event, version, event_id="")),
    (Reason.BAD_METRIC_VALUE, lambda event, version, _: _spoiled(event, version, metrics={"temperature": math.nan})),
    (
        Reason.TIME_IN_FUTURE,
        lambda event, version, _: _spoiled(event, version, event_time=event.event_time + TEN_YEARS_MS),
    ),
    (Reason.TIME_TOO_OLD, lambda event, version, _: _spoiled(event, version, event_time=0)),
    (
        Reason.TOO_MANY_METRICS,
        lambda event, version, _: _spoiled(event, version, metrics={f"m{n}": 1.0 for n in range(LIMITS.metrics + 1)}),
    ),
    (Reason.EMPTY_RECORD, lambda *_: b""),
    (Reason.BAD_HEADER, lambda event, version, noise: b"\x00" + noise.randbytes(noise.randint(2_000, 8_000))),
)
