"""Bytes and CPU of a block of windows, by ways to write them: `python -m bench.encodings`.

A block holds 20 windows of a minute, each of six readings in hundredths, or of six random doubles; a device has one,
two, five or twenty metrics. CPU is of Python, which readers use; the job packs in Java.
"""

import json
import random
import time
import zlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, cast

from rich.console import Console
from rich.table import Table

from bench.peers.rows import Rollup, add_reading, first_reading, rise, rollup_row
from telefold.schemas.packed_rows import BLOCK_WINDOWS, ROLLUP_FIELDS, pack, unpack
from telefold.schemas.row_limits import item_bytes
from telefold.schemas.view_rows import ROLLUPS, ViewRow, ViewUpdate

_MINUTE_MS, _READINGS = 60_000, 6
_FIRST_MS = 1_767_225_600_000
_UNIT = 1_024
_ROUNDS = 50
_METRICS = (1, 2, 5, 20)
_DIGITS = {"sum": 13, "increase": 12, "m2": 10}
"""Significant digits, as the job has them."""


class Encoding(NamedTuple):
    name: str
    encode: Callable[[Sequence[ViewRow]], bytes]
    decode: Callable[[bytes], object]


def block(metrics: int, reading: Callable[[random.Random, float], float]) -> list[ViewRow]:
    """The rows of a block."""
    return [row for number in range(metrics) for row in _windows(f"metric-{number:02}", random.Random(number), reading)]


def _windows(metric: str, chance: random.Random, reading: Callable[[random.Random, float], float]) -> list[ViewRow]:
    rows, value, last = [], 20.0, None
    for window in range(BLOCK_WINDOWS):
        start = _FIRST_MS + window * _MINUTE_MS
        rollup: Rollup | None = None
        for place in range(_READINGS):
            value, at = reading(chance, value), start + 1_234 + place * 10_000
            risen = rise(last, at, 0, "e", value)
            last = (at, 0, "e", value, 1)
            if rollup is None:
                rollup = first_reading(value, at, 0, "e", risen)
            else:
                add_reading(rollup, value, at, 0, "e", risen)
        made = rollup_row("device#d", "1m", _MINUTE_MS, metric, start, rollup or [])
        data = {name: _rounded(name, value) for name, value in made.data.items()}
        rows.append(ViewRow(made.sort, made.version, data, made.expires_at))
    return rows


def _rounded(name: str, value: object) -> float:
    number = float(value)  # type: ignore[arg-type]
    if name not in _DIGITS or number.is_integer():
        return int(number) if number.is_integer() else number
    return float(f"{number:.{_DIGITS[name]}g}")


def _maps(rows: Sequence[ViewRow]) -> bytes:
    return json.dumps({row.sort: row.data for row in rows}, separators=(",", ":")).encode()


def _lists(rows: Sequence[ViewRow]) -> bytes:
    """By metric, with times from the window's start on."""
    found: dict[str, list[list[float]]] = {}
    for row in rows:
        _, _, metric, _ = row.sort.split("#")
        start = int(row.data["first_at"]) // _MINUTE_MS * _MINUTE_MS
        values = [_number(row, name) - (start if name.endswith("_at") else 0) for name in ROLLUP_FIELDS]
        found.setdefault(metric, []).append([start // 1_000, *values])
    return json.dumps(found, separators=(",", ":")).encode()


def _number(row: ViewRow, name: str) -> float:
    return cast(float, row.data[name])


def _zipped(encode: Callable[[Sequence[ViewRow]], bytes], rows: Sequence[ViewRow]) -> bytes:
    return zlib.compress(encode(rows))


def _unzipped(body: bytes) -> object:
    return json.loads(zlib.decompress(body))


ENCODINGS = (
    Encoding("maps with names, JSON", _maps, json.loads),
    Encoding("lists without names, JSON", _lists, json.loads),
    Encoding("maps, zlib", partial(_zipped, _maps), _unzipped),
    Encoding("lists, zlib", partial(_zipped, _lists), _unzipped),
    Encoding("columns of differences, zlib (packed)", pack, unpack),
)
READINGS: dict[str, Callable[[random.Random, float], float]] = {
    "hundredths": lambda chance, before: round(before + chance.gauss(0, 0.1), 2),
    "random doubles": lambda chance, before: chance.random() * 100,
}


def main() -> None:
    console = Console()
    for kind, reading in READINGS.items():
        table = Table(
            "encoding",
            *(f"{metrics} metrics" for metrics in _METRICS),
            "encode us",
            "decode us",
            title=f"bytes a window and metric > write units of a block: {kind}",
        )
        for encoding in ENCODINGS:
            table.add_row(encoding.name, *_cells(encoding, reading))
        table.add_row("an item a row, as DynamoDB has it", *_items(reading), "", "")
        console.print(table)


def _cells(encoding: Encoding, reading: Callable[[random.Random, float], float]) -> list[str]:
    cells = []
    for metrics in _METRICS:
        body = encoding.encode(block(metrics, reading))
        cells.append(f"{len(body) / metrics / BLOCK_WINDOWS:.1f} > {-(-(len(body) + 90) // _UNIT)}")
    rows = block(2, reading)
    body = encoding.encode(rows)
    return [*cells, f"{_us(lambda: encoding.encode(rows)):.0f}", f"{_us(lambda: encoding.decode(body)):.0f}"]


def _items(reading: Callable[[random.Random, float], float]) -> list[str]:
    cells = []
    for metrics in _METRICS:
        made = block(metrics, reading)
        size = sum(item_bytes(_update(row)) for row in made)
        cells.append(f"{size / len(made):.0f} > {len(made)}")
    return cells


def _update(row: ViewRow) -> ViewUpdate:
    return ViewUpdate(ROLLUPS, "device#device-000001", row.sort, row.version, row.data, row.expires_at)


def _us(work: Callable[[], object]) -> float:
    """CPU microseconds of one call, the least of some rounds."""
    least = float("inf")
    for _ in range(_ROUNDS):
        began = time.process_time_ns()
        work()
        least = min(least, (time.process_time_ns() - began) / 1_000)
    return least


if __name__ == "__main__":
    main()
