"""Records of device events as they stand on the wire, and what every decoder must make of them.

    python -m tests.golden.generate

adds the cases of `event_records.py` and `broken_records.py` that `device_event.json` does not have yet. It never
rewrites one: bytes that were valid once are in somebody's log, so the cases outlive the code that wrote them. A record
is `hex`, then `repeat` `times` over; an event has the default of every field that its case does not name.

It also writes `readings.json` and `limits.json`, with which JUnit configures the JVM decoder as the job does.
"""

import json
from pathlib import Path
from typing import Any

import msgspec

from telefold.schemas.codec import decode, readings_json
from telefold.schemas.errors import RejectedEvent
from telefold.schemas.limits import limits_json
from tests.golden.broken_records import body_cases, header_cases, unknown_version_cases
from tests.golden.cases import ARRIVAL, Case
from tests.golden.event_records import (
    acknowledgement_cases,
    check_cases,
    correction_cases,
    microsecond_cases,
    valid_cases,
)

GOLDEN = Path(__file__).with_name("device_event.json")
READINGS = Path(__file__).with_name("readings.json")
LIMITS_FILE = Path(__file__).with_name("limits.json")


def record_of(case: dict[str, Any]) -> bytes:
    """The bytes of one case of the file."""
    times: int = case.get("times", 0)
    return bytes.fromhex(case["hex"]) + bytes.fromhex(case.get("repeat", "")) * times


def outcome(record: bytes) -> dict[str, Any]:
    try:
        return {"event": msgspec.to_builtins(decode(record, ARRIVAL))}
    except RejectedEvent as rejected:
        return {"reason": str(rejected.reason)}


def as_json(case: Case) -> dict[str, Any]:
    described = {"name": case.name, "hex": case.hex, "arrival": ARRIVAL}
    if case.times:
        described |= {"repeat": case.repeat, "times": case.times}
    found = outcome(record_of(described))
    if found.get("reason") != case.reason:
        raise SystemExit(f"{case.name}: the codec says {found}, not {case.reason}")
    return described | found


def main() -> None:
    known = json.loads(GOLDEN.read_text("utf-8")) if GOLDEN.exists() else []
    names = {case["name"] for case in known}
    cases = [
        *valid_cases(),
        *header_cases(),
        *body_cases(),
        *check_cases(),
        *correction_cases(),
        *acknowledgement_cases(),
        *microsecond_cases(),
        *unknown_version_cases(),
    ]
    known += [as_json(case) for case in cases if case.name not in names]
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in known)
    GOLDEN.write_text(f"[\n{lines}\n]\n", "utf-8")
    READINGS.write_text(json.dumps(json.loads(readings_json()), indent=1) + "\n", "utf-8")
    LIMITS_FILE.write_text(json.dumps(json.loads(limits_json()), indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
