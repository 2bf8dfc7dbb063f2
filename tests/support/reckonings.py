"""Short logs of events, and what the oracle makes of them."""

from collections.abc import Sequence

import msgspec

from telefold.schemas.codec import encode
from telefold.schemas.events import DeviceEvent
from telefold.schemas.log_records import LogRecord
from telefold.schemas.view_rows import LATEST, ROLLUPS, ViewRow, ViewUpdate
from telefold.verify.oracle import Reckoning, compare, fold

NOON = 1_769_860_800_000  # 2026-01-31T12:00:00Z
MINUTE = 60_000
HOUR = 60 * MINUTE
SIZES = {"1m": MINUTE, "1h": HOUR}
RETENTION = {LATEST: None, ROLLUPS: 86_400}


def event(at: int, value: float | None = 1.0, name: str = "", device: str = "d", sequence: int = 0) -> DeviceEvent:
    metrics = {} if value is None else {"temperature": value}
    return DeviceEvent(name or f"{device}-{at}-{sequence}", device, "telemetry", NOON + at, sequence, metrics)


def log(events: Sequence[DeviceEvent | bytes]) -> list[LogRecord]:
    return [
        LogRecord(e, NOON + 30 * HOUR, "key", "shard-0", str(number))
        if isinstance(e, bytes)
        else LogRecord(encode(e), NOON + 30 * HOUR, e.device_id, "shard-0", str(number))
        for number, e in enumerate(events)
    ]


def reckon(*events: DeviceEvent | bytes, lateness: int = HOUR) -> Reckoning:
    return fold(log(events), SIZES, lateness, RETENTION)


def row(reckoning: Reckoning, sort: str, device: str = "d") -> ViewUpdate:
    return reckoning.rows[f"device#{device}", sort]


def as_stored(rows: dict[tuple[str, str], ViewUpdate]) -> dict[tuple[str, str], ViewRow]:
    return {key: ViewRow(row.sort, row.version, row.data, row.expires_at) for key, row in rows.items()}


def same_views(one: Reckoning, other: Reckoning) -> bool:
    """But for increases, which depend on the order of a device's events."""
    return not compare(without_increase(one), as_stored(without_increase(other)))


def without_increase(reckoning: Reckoning) -> dict[tuple[str, str], ViewUpdate]:
    return {
        key: msgspec.structs.replace(row, data={name: row.data[name] for name in row.data if name != "increase"})
        for key, row in reckoning.rows.items()
    }


def hourly(reckoning: Reckoning, field: str, size: str = "1h") -> list[object]:
    """A field of the rollups of the temperature of the device d, in their order."""
    sorts = sorted(sort for _, sort in reckoning.rows if sort.startswith(f"rollup#{size}#temperature#"))
    return [row(reckoning, sort).data[field] for sort in sorts]


ALL = {"shard-0": "999"}


def correction(
    of: str, at: int, value: float | None, name: str = "c", sequence: int = 0, device: str = "d"
) -> DeviceEvent:
    return msgspec.structs.replace(event(at, value, name, device, sequence), type="correction", corrects=of)
