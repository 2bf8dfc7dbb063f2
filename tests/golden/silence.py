"""A log in which devices fall silent for longer than their state is kept, and what plain Python makes of it.

    python -m tests.golden.silence

writes `silence.json`, which JUnit folds with watermarks and flushes wherever it likes.
"""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from telefold.schemas.codec import decode, encode
from telefold.schemas.errors import Reason
from telefold.schemas.events import DeviceEvent
from telefold.schemas.log_records import LogRecord
from telefold.verify.oracle import Oracle, Reckoning
from tests.golden.device_views import CASES, HOUR, MINUTE, NOON

GOLDEN = Path(__file__).with_name("silence.json")
CASE = CASES["minutes and hours"]
LATENESS = 5 * MINUTE
STATE_RETENTION = HOUR + LATENESS
DEVICE_RETENTION = STATE_RETENTION + HOUR


def log() -> Iterator[LogRecord]:
    """Of three devices: out of order, too late, sent again, after silences of every length, into windows of before."""
    chance = random.Random(31)
    now, sent = NOON, list[DeviceEvent]()
    for number in range(600):
        now += chance.randrange(2 * MINUTE)
        if chance.random() < 0.04:
            now += chance.choice([HOUR, STATE_RETENTION - MINUTE, STATE_RETENTION + 1, DEVICE_RETENTION + 1])
        if sent and chance.random() < 0.1:
            event = chance.choice(sent[-40:])
        else:
            behind = chance.choice([0, 0, 0, chance.randrange(2 * LATENESS), chance.randrange(3 * HOUR)])
            metrics = {name: float(number) for name in chance.sample(["t", "u", "v"], chance.randint(0, 3))}
            device = f"device-{chance.randrange(3)}"
            event = DeviceEvent(f"e-{number}", device, "telemetry", now - behind, number, metrics)
        sent.append(event)
        # Where a shard was split, what arrived earlier may be read later.
        arrival = now - chance.choice([0, 0, 0, chance.randrange(MINUTE)])
        yield LogRecord(encode(event), arrival, event.device_id, "shard-0", str(number))


def reckoning() -> Reckoning:
    oracle = Oracle(
        CASE.sizes, LATENESS, CASE.retention, state_retention_ms=STATE_RETENTION, device_retention_ms=DEVICE_RETENTION
    )
    for record in log():
        oracle.add(record)
    return oracle.reckoning()


def golden() -> bytes:
    """What belongs in the file."""
    found = reckoning()
    content = {
        "horizon": LATENESS,
        "lateness": LATENESS,
        "state_retention": STATE_RETENTION,
        "device_retention": DEVICE_RETENTION,
        "largest_window": HOUR,
        "events": [_event(record) for record in log()],
        "accepted": found.accepted,
        "duplicates": found.duplicates,
        "too_late": [letter.sequence_number for letter in found.dead_letters if letter.reason == Reason.TOO_LATE],
        "versions": {" ".join(key): found.rows[key].version for key in sorted(found.rows)},
    }
    return msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n"


def _event(record: LogRecord) -> dict[str, Any]:
    event = decode(record.data, record.arrival)
    return {
        "number": record.sequence_number,
        "arrival": record.arrival,
        "event_id": event.event_id,
        "device_id": event.device_id,
        "event_time": event.event_time,
        "sequence": event.sequence,
        "metrics": event.metrics,
    }


if __name__ == "__main__":
    GOLDEN.write_bytes(golden())
