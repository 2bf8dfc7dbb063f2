"""Rows of one device packed into items: the layout in which the stores hold newest readings and rollups of devices.

Each item lies in the partition of its device, and holds rows of it: the *head* has the newest readings and the current
windows, *blocks* have the windows before those, up to twenty of one size each. A row may be in several items, and be an
item of its own besides; the one of the highest version counts. An item's version says nothing of its rows' versions.

In the durable store a head has closed windows, too, as long as there is room. A block of these may go *ahead* of the
next head: it has what is to be in that as well, and the head comes the next time that it is due.

The body of an item is a byte that says its format, and JSON that zlib has compressed:

    {"latest": [keep, {metric: [readings, value, at]}],
     "rollups": {size: [keep, {metric: [start, count, sum, min, max, m2, first_at, first, last_at, last, increase]}]}}

Each part of a rollup is a column over the metric's windows in that item, as `column` reads it. Starts are in epoch
seconds, `first_at` and `last_at` in milliseconds since the start, `at` in epoch milliseconds. A column of
differences has `count * m2` for `m2`: few digits, as readings have, where `m2` itself has endless ones. A row expires
`keep` seconds after its window's start or its reading's time, or never where that is null.
"""

import json
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import accumulate
from math import floor, log10
from typing import Any, TypeVar

from telefold.schemas.setting_values import parse_sizes
from telefold.schemas.view_rows import LATEST, Numbers, PackedItem, ViewRow, ViewUpdate, key_time, latest_sort

Key = TypeVar("Key")

FORMAT = 2
_WITHOUT_PRODUCTS = 1
"""The format in which `m2` was as it is."""
PACKED = "packed"
"""The view that items are of, as the stores have it."""
HEAD = "latest"
"""The sort key of a head; one in parts has a dot and the part behind it."""
BLOCKS = "rollups#"
"""The beginning of the sort keys of blocks."""
BLOCK_WINDOWS = 20
"""The windows of a block, if none is shorter than its size can be at most."""
VERSIONS_A_TIME = 1 << 20
"""The versions that a newest reading can have at one time."""
ROLLUP_FIELDS = ("count", "sum", "min", "max", "m2", "first_at", "first", "last_at", "last", "increase")
"""The data of a rollup, in the order of its columns."""

_BEGINS_WITH_LATEST = b'{"latest":'
_RELATIVE = ("first_at", "last_at")
_LATEST_PREFIX = latest_sort("")
_ROLLUP_PREFIX = "rollup#"
_M2 = 1 + ROLLUP_FIELDS.index("m2")
_DIGITS_OF_M2 = 10
_MAX_EXACT_POWER = 22
"""The greatest power of ten that is exact as a double. It is rounded as Java does, which packs."""
_MAX_DECIMALS = 6
_MAX_WHOLE = 2**53


def is_packed(sort: str) -> bool:
    """Whether an item with this sort key in a device's partition holds rows, and is none itself."""
    return sort == HEAD or sort.startswith((f"{HEAD}.", BLOCKS))


def may_be_packed(sort: str) -> bool:
    """Whether rows with this sort key in a device's partition are in items."""
    return sort.startswith((_LATEST_PREFIX, _ROLLUP_PREFIX))


def block_prefix(size: str) -> str:
    """The beginning of the sort keys of all blocks of windows of one size; then comes their `key_time`."""
    return f"{BLOCKS}{size}#"


def packed_of(item: ViewRow) -> bytes | None:
    """The body of an item that holds rows; None of one that is a row."""
    return item.packed if isinstance(item, PackedItem) else None


def unpack(body: bytes) -> list[ViewRow]:
    """The rows in an item's body. Raises ValueError for one that is of no known format."""
    if body[:1] not in (bytes([FORMAT]), bytes([_WITHOUT_PRODUCTS])):
        raise ValueError(f"an item has format {body[:1].hex() or 'none'}, and this version reads up to {FORMAT:02x}")
    packed = json.loads(zlib.decompress(body[1:]))
    rows = list(_latest(*packed[LATEST])) if LATEST in packed else []
    for size, (keep, metrics) in packed.get("rollups", {}).items():
        for metric, columns in metrics.items():
            numbers = [column(one) for one in columns]
            if body[0] == FORMAT and columns[_M2][0] is not None:
                numbers[_M2] = list(map(_m2_of, numbers[_M2], numbers[1]))
            rows += _rollups(f"{_ROLLUP_PREFIX}{size}#{metric}#", keep, numbers)
    return rows


def rows_in(item: ViewRow) -> list[ViewRow]:
    """The rows that an item holds; of one that is a row, itself. Raises as `unpack` does."""
    body = packed_of(item)
    return [item] if body is None else unpack(body)


def newest_of(rows: Iterable[tuple[Key, ViewRow]]) -> dict[Key, ViewRow]:
    """The row of the highest version under each key, of equals the first."""
    newest: dict[Key, ViewRow] = {}
    for key, row in rows:
        held = newest.setdefault(key, row)
        if held.version < row.version:
            newest[key] = row
    return newest


def column(packed: Sequence[int | float | None]) -> list[Any]:
    """The numbers of a column: as they are behind a null; else differences, in units of so many decimals."""
    decimals, *numbers = packed
    if decimals is None:
        return numbers
    unit = 10 ** int(decimals)
    wholes: Iterator[Any] = accumulate(numbers)
    return [whole / unit for whole in wholes] if decimals else list(wholes)


def _m2_of(product: float, count: int) -> float:
    """The `m2` of which `product` is `count` times as much: a whole number, or one with as many digits as it has."""
    m2 = product / count
    if m2.is_integer():
        return m2
    decimals = _DIGITS_OF_M2 - 1 - floor(log10(abs(m2)))
    if decimals > _MAX_EXACT_POWER:
        return round(m2, decimals)
    return m2 if decimals <= 0 else round(m2 * 10.0**decimals) / 10.0**decimals


def _latest(keep: int | None, metrics: dict[str, list[Any]]) -> Iterator[ViewRow]:
    for metric, (readings, value, at) in metrics.items():
        expires_at = None if keep is None else at // 1_000 + keep
        yield ViewRow(latest_sort(metric), at * VERSIONS_A_TIME + readings, {"value": value, "at": at}, expires_at)


def _rollups(sort_prefix: str, keep: int | None, columns: Iterable[list[Any]]) -> Iterator[ViewRow]:
    for start, *values in zip(*columns, strict=True):
        data = dict(zip(ROLLUP_FIELDS, values, strict=True))
        for name in _RELATIVE:
            data[name] += start * 1_000
        expires_at = None if keep is None else start + keep
        yield ViewRow(sort_prefix + key_time(start * 1_000), data["count"], data, expires_at)


def pack(rows: Iterable[ViewRow]) -> bytes:
    """The body of an item that holds `rows`, which are newest readings and rollups of one device.

    Rows of one view and size expire equally long after what they are about: as long as the longest of them.
    """
    latest: dict[str, list[Any]] = {}
    rollups: dict[str, dict[str, list[tuple[int, Numbers]]]] = {}
    keeps: dict[str, int | None] = {}
    for row in sorted(rows, key=lambda row: row.sort):
        data: Any = row.data
        if row.sort.startswith(_LATEST_PREFIX):
            readings = row.version - data["at"] * VERSIONS_A_TIME
            latest[row.sort.removeprefix(_LATEST_PREFIX)] = [readings, data["value"], data["at"]]
            _keep(keeps, LATEST, row, data["at"] // 1_000)
        else:
            size, metric, at = row.sort.removeprefix(_ROLLUP_PREFIX).split("#")
            start = _seconds(at)
            rollups.setdefault(size, {}).setdefault(metric, []).append((start, data))
            _keep(keeps, f"#{size}", row, start)
    packed: dict[str, Any] = {LATEST: [keeps[LATEST], latest]} if latest else {}
    if rollups:
        packed["rollups"] = {
            size: [keeps[f"#{size}"], {metric: _columns(windows) for metric, windows in metrics.items()}]
            for size, metrics in rollups.items()
        }
    text = json.dumps(packed, ensure_ascii=False, separators=(",", ":"))
    deflater = zlib.compressobj(strategy=zlib.Z_FILTERED)
    return bytes([FORMAT]) + deflater.compress(text.encode()) + deflater.flush()


def _is_ahead(body: bytes) -> bool:
    """Whether a block has newest readings, which is told without reading all of it."""
    return zlib.decompressobj().decompress(body[1:], len(_BEGINS_WITH_LATEST)) == _BEGINS_WITH_LATEST


def rows_of_block(sort: str, rows: Iterable[ViewRow]) -> list[ViewRow]:
    """The windows that a block is about; a block that went ahead of a head has what is in that beside them.

    Raises ValueError for a key that is none of a block, KeyError for one of an unknown size.
    """
    _, size, begin, *_ = sort.split("#")
    end = key_time((_seconds(begin) + BLOCK_WINDOWS * parse_sizes(size)[size] // 1_000) * 1_000)
    return [row for row in rows if row.sort.startswith(f"{_ROLLUP_PREFIX}{size}#") and _start_in(row) < end]


def held_by_head(rows: Iterable[ViewRow]) -> list[tuple[str, int]]:
    """The window sizes of which a head has closed windows, and when the first of them began, in epoch milliseconds."""
    starts: defaultdict[str, set[str]] = defaultdict(set)
    for row in rows:
        if row.sort.startswith(_ROLLUP_PREFIX):
            starts[row.sort.split("#")[1]].add(_start_in(row))
    return [(size, _seconds(min(some)) * 1_000) for size, some in starts.items() if len(some) > 1]


def with_closed_windows(items: Iterable[ViewUpdate]) -> list[ViewUpdate]:
    """What the durable store has, as it is to be written into the fast one: behind each head its closed windows.

    Of a block that went ahead of a head, what is the head's is written apart, too.
    """
    return [one for item in items for one in (item, *_closed_windows(item))]


def _closed_windows(item: ViewUpdate) -> Iterator[ViewUpdate]:
    """The windows before the current ones in a head, as blocks: one for each size, named for the head.

    The durable store has them in heads until their blocks are over. In the fast one the job's next head, which lacks
    them, would take the place of this one, and its next block comes later. Newest readings in a block are rows.
    """
    is_block = item.sort.startswith(BLOCKS)
    if item.packed is None or (is_block and not _is_ahead(item.packed)):
        return
    rows_held = unpack(item.packed)
    own = {row.sort for row in rows_of_block(item.sort, rows_held)} if is_block else set()
    windows: defaultdict[str, list[ViewRow]] = defaultdict(list)
    for row in rows_held:
        if row.sort.startswith(_ROLLUP_PREFIX) and row.sort not in own:
            windows[row.sort.split("#")[1]].append(row)
        elif is_block and row.sort not in own:
            yield ViewUpdate(LATEST, item.partition, row.sort, row.version, row.data, row.expires_at)
    for size, rows in windows.items():
        current = "~" if is_block else max(map(_start_in, rows))
        if closed := [row for row in rows if _start_in(row) < current]:
            expiries = [row.expires_at for row in closed]
            yield ViewUpdate(
                PACKED,
                item.partition,
                f"{block_prefix(size)}{min(map(_start_in, closed))}#{item.sort}",
                sum(row.version for row in closed),
                expires_at=None if None in expiries else max(filter(None, expiries)),
                packed=pack(closed),
                changed=tuple(row.sort for row in closed),
            )


def _seconds(key: str) -> int:
    """The epoch seconds of a `key_time`."""
    return round(datetime.fromisoformat(key).timestamp())


def _start_in(row: ViewRow) -> str:
    """The start of a window as its sort key has it."""
    return row.sort.rsplit("#", 1)[1]


def _keep(keeps: dict[str, int | None], name: str, row: ViewRow, about_s: int) -> None:
    keep = None if row.expires_at is None else row.expires_at - about_s
    held = keeps.setdefault(name, keep)
    keeps[name] = None if keep is None or held is None else max(held, keep)


def _columns(windows: Sequence[tuple[int, Numbers]]) -> list[list[int | float | None]]:
    columns = [_column([start for start, _ in windows])]
    for name in ROLLUP_FIELDS:
        origin: Callable[[int], int] = (lambda start: start * 1_000) if name in _RELATIVE else (lambda start: 0)
        columns.append(_column([data[name] - origin(start) for start, data in windows]))
    columns[_M2] = _m2_column([(int(data["count"]), data["m2"]) for _, data in windows])
    return columns


def _m2_column(windows: Sequence[tuple[int, float]]) -> list[int | float | None]:
    counts, m2s = [count for count, _ in windows], [m2 for _, m2 in windows]
    products = [count * m2 for count, m2 in windows]
    return _column(products, m2s, lambda product, place: _m2_of(product, counts[place]))


def _column(
    numbers: Sequence[float],
    meant: Sequence[float] | None = None,
    read: Callable[[float, int], float] = lambda number, place: number,
) -> list[int | float | None]:
    """The inverse of `column`, where `read` of a number and its place is what is `meant`: the number, unless given."""
    meant = list(numbers if meant is None else meant)
    for decimals in range(_MAX_DECIMALS + 1):
        unit = 10**decimals
        wholes = [round(number * unit) for number in numbers if abs(number) * unit <= _MAX_WHOLE]
        if [read(whole / unit, place) for place, whole in enumerate(wholes)] == meant:
            return [decimals, *(after - before for before, after in zip([0, *wholes], wholes, strict=False))]
    return [None, *meant]
