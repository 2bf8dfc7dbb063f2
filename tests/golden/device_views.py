"""Views as Python describes them to the JVM, and the rows that plain Python folds a few events into by each of them.

    python -m tests.golden.device_views

writes `device_views.json`, from which JUnit takes the views that it folds into.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec.structs import asdict

from telefold.operators.device_views import DeviceViews, device_views
from telefold.schemas.codec import encode
from telefold.schemas.events import DeviceEvent
from telefold.schemas.log_records import LogRecord
from telefold.schemas.view_rows import LATEST, ROLLUPS, VIEWS, ViewUpdate
from telefold.verify.oracle import Oracle
from tests.golden.windows import longest

GOLDEN = Path(__file__).with_name("device_views.json")
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
NOON = 1_769_860_800_000  # 2026-01-31T12:00:00Z


class Case(NamedTuple):
    sizes: Mapping[str, int]
    views: tuple[str, ...] = VIEWS
    kept_latest: int | None = None
    kept_rollups: int | None = 90 * 86_400

    @property
    def retention(self) -> dict[str, int | None]:
        return {LATEST: self.kept_latest, ROLLUPS: self.kept_rollups}


CASES = {
    "minutes": Case({"1m": MINUTE}),
    "minutes and hours": Case({"1m": MINUTE, "1h": HOUR}),
    "three sizes": Case({"1d": DAY, "1m": MINUTE, "1h": HOUR}, kept_latest=86_400, kept_rollups=7 * 86_400),
    "latest alone": Case({"1m": MINUTE}, views=(LATEST,), kept_latest=0),
    "rollups alone": Case({"1m": MINUTE}, views=(ROLLUPS,), kept_rollups=None),
    "nothing": Case({"1m": MINUTE}, views=()),
    "calendars": Case({size: longest(size) for size in ("1d@Asia/Kolkata", "1mo@Pacific/Auckland", "1y@UTC")}),
}


def events() -> list[DeviceEvent]:
    """In the order in which they come: windows turn back, readings tie, and names are what JSON has to escape."""
    odd = 'gerät "1"\\\n\r\t\x01\u2028☃😀,[]{}'
    told = [
        ("device-1", NOON, 1, {"temperature": 21.5, "humidity": 40.0}),
        ("device-1", NOON + 59_999, 2, {"temperature": -3.25}),
        ("device-1", NOON + HOUR, 3, {"temperature": 0.1}),
        ("device-1", NOON + 30_000, 4, {"temperature": 0.2, "humidity": 41.0}),
        ("device-1", NOON - 1, 5, {"temperature": 7.0}),
        ("device-1", NOON + HOUR, 9, {"temperature": 5.0}),
        ("device-1", NOON + HOUR, 8, {"temperature": 6.0}),
        ("device-1", NOON + HOUR + 1, 0, {}),
        ("meter", NOON, 1, {"Wh": 5_000_000_417.0}),
        ("meter", NOON + 10_000, 2, {"Wh": 5_000_000_590.0}),
        ("meter", NOON + 5_000, 3, {"Wh": 5_000_000_500.0}),
        ("meter", NOON + 20_000, 4, {"Wh": 5_000_000_763.0}),
        ("meter", NOON + 70_000, 5, {"Wh": 12.0}),
        ("meter", NOON + 70_000, 6, {"Wh": 13.5}),
        ("meter", NOON + 90_000, 7, {"Wh": 20.0}),
        (odd, NOON + 1, -(2**63), {"température": 1e60, 'quo"ted\\ü/%\u0085\u2028': 5e-324}),
        (odd, NOON + 1, 2**63 - 1, {"température": -1e60, "tiny": 1e-7, "large": 12345678.9}),
    ]
    return [
        DeviceEvent(f"e-{number}", device, "telemetry", at, sequence, metrics)
        for number, (device, at, sequence, metrics) in enumerate(told)
    ]


def golden() -> bytes:
    """What belongs in the file."""
    cases = {name: {"views": _described(case), "rows": _rows(case)} for name, case in CASES.items()}
    return msgspec.json.format(msgspec.json.encode({"events": events(), "cases": cases}), indent=1) + b"\n"


def _described(case: Case) -> DeviceViews:
    return device_views(case.sizes, case.views, case.retention)


def _rows(case: Case) -> list[dict[str, object]]:
    oracle = Oracle(case.sizes, 2 * HOUR, case.retention, views=case.views)
    for number, event in enumerate(events()):
        oracle.add(LogRecord(encode(event), NOON + DAY, event.device_id, "shard-0", str(number)))
    rows = oracle.reckoning().rows
    return [_of_a_row(rows[key]) for key in sorted(rows)]


def _of_a_row(update: ViewUpdate) -> dict[str, object]:
    """The fields of an update that is no item of packed rows, and says nothing of the way that it takes."""
    of_items_and_ways = ("packed", "changed", "is_new", "to")
    return {name: value for name, value in asdict(update).items() if name not in of_items_and_ways}


if __name__ == "__main__":
    GOLDEN.write_bytes(golden())
