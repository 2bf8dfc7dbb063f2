"""Examples of the items that a device's rows are packed into, from which the size of a fleet's items is told.

The rows are made up, and packed as the job packs them. They are the same whenever they are made, so that what is said
of a fleet is, too: readings of two decimals that walk about 20, each up to a tenth of a second after its time.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from math import ceil, floor, log10
from random import Random
from typing import NamedTuple

from telefold.schemas.packed_rows import (
    BLOCK_WINDOWS,
    HEAD,
    PACKED,
    ROLLUP_FIELDS,
    VERSIONS_A_TIME,
    block_prefix,
    pack,
)
from telefold.schemas.row_limits import item_bytes
from telefold.schemas.view_rows import ViewRow, ViewUpdate, device_partition, key_time, latest_sort, rollup_sort

DEVICE_ID, METRIC = "device-000001", "metric-0001"
"""A device's id and a metric's name, of usual lengths."""

UNIT_BYTES = 1_024
"""A write takes a unit for each of so many bytes of the item, begun ones too."""

_METRICS_A_PART = 64
"""The metrics of a device beyond which its items come in parts, as the job makes them."""
_TIMES = 7
"""The number of times, spread over the longest window, at which a head is made up: windows fill meanwhile."""
_START_MS = 1_767_268_800_000
_KEPT_S = 90 * 86_400
_USUAL, _STEP, _BACK = 20.0, 0.2, 0.1
"""The walk of readings: the middle of it, the deviation of a step, and the share of the way back in each step."""
_MAX_STEPS = 60
"""The most readings of a window that are made up; where it has more, each of them stands for several."""
_DELAY_MS = 100
_DIGITS_OF_A_SUM, _DIGITS_OF_DEVIATIONS, _DIGITS_OF_AN_INCREASE = 13, 10, 12

Sizes = tuple[tuple[str, int], ...]
"""Label and milliseconds of each window size."""


def metric_names(count: int) -> list[str]:
    return [f"{METRIC[:-4]}{number:04d}" for number in range(count)]


def parts(metrics: int) -> int:
    """The number of parts in which the items of a device with so many metrics come: a power of two."""
    count = 1
    while count * _METRICS_A_PART < metrics:
        count *= 2
    return count


def windows_a_block(length_ms: int, interval_ms: float) -> int:
    """The windows in a block; a device that reports more rarely than they begin has fewer."""
    return max(1, round(BLOCK_WINDOWS * length_ms / max(length_ms, interval_ms)))


@lru_cache(maxsize=200)
def heads(metrics: int, interval_ms: float, sizes: Sizes) -> tuple[ViewUpdate, ...]:
    """A part of a head with so many metrics, at some times: newest readings, and the current windows of each size."""
    longest_ms = max((length_ms for _, length_ms in sizes), default=0)
    times = [(number + 0.5) / _TIMES * longest_ms for number in range(_TIMES)]
    return tuple(_head(metrics, interval_ms, sizes, at_ms, {}) for at_ms in times)


class DueItems(NamedTuple):
    """What the durable store is given of a part of a device in `cycle_ms` milliseconds."""

    cycle_ms: float
    heads: Sequence[ViewUpdate]
    blocks: Mapping[str, Sequence[ViewUpdate]]
    """The blocks of each window size that heads hold; the last of them has all of its windows."""


@lru_cache(maxsize=200)
def due_items(metrics: int, interval_ms: float, sizes: Sizes, due_ms: float, held_ms: float) -> DueItems:
    """Heads every `due_ms`, with closed windows of sizes of up to `held_ms` as the job has them there.

    They stay in the head as long as they take fewer write units there than in their block; else they go into that.
    """
    held = {size: length_ms for size, length_ms in sizes if length_ms <= held_ms}
    block_ms = {size: max(interval_ms, BLOCK_WINDOWS * length_ms) for size, length_ms in held.items()}
    cycle_ms = max([due_ms, *block_ms.values()])
    longest_ms = max((length_ms for _, length_ms in sizes), default=0)
    count = max(1, round(cycle_ms / due_ms))
    made: list[ViewUpdate] = []
    written: dict[str, list[ViewUpdate]] = {size: [] for size in held}
    closed_before, in_block = dict.fromkeys(held, 0), dict.fromkeys(held, 0)
    for number in range(count):
        at_ms = (number + 0.5) * due_ms
        closed = {s: int(at_ms % block_ms[s] // max(interval_ms, length_ms)) for s, length_ms in held.items()}
        in_block = {size: in_block[size] if closed[size] >= closed_before[size] else 0 for size in held}
        closed_before = closed
        of_longest = (number + 0.5) / count * longest_ms
        least = _head(metrics, interval_ms, sizes, of_longest, {})
        head = _head(metrics, interval_ms, sizes, of_longest, {s: closed[s] - in_block[s] for s in held})
        whole = {
            size: blocks(metrics, interval_ms, size, held[size])[closed[size] - 1]
            for size in held
            if closed[size] > in_block[size]
        }
        if whole and _units(least) + sum(map(_units, whole.values())) <= _units(head):
            head = least
            for size, block in whole.items():
                written[size].append(block)
            in_block = dict(closed)
        made.append(head)
    for size, length_ms in held.items():
        # Where a cycle has several of them, each is written when it is over.
        written[size] += [blocks(metrics, interval_ms, size, length_ms)[-1]] * max(1, round(cycle_ms / block_ms[size]))
    return DueItems(cycle_ms, made, written)


def _units(item: ViewUpdate) -> int:
    return ceil(item_bytes(item) / UNIT_BYTES)


@lru_cache(maxsize=200)
def blocks(metrics: int, interval_ms: float, size: str, length_ms: int) -> tuple[ViewUpdate, ...]:
    """A part of a block with so many metrics, with its first window, the first two of them, and so on to all."""
    count = windows_a_block(length_ms, interval_ms)
    readings = [_readings(length_ms, interval_ms)] * count
    rows = [list(_rollups(metric, size, length_ms, interval_ms, readings)) for metric in metric_names(metrics)]
    sort = block_prefix(size) + key_time(_START_MS)
    return tuple(_item(sort, (row for some in rows for row in some[:held])) for held in range(1, count + 1))


def _item(sort: str, rows: Iterable[ViewRow]) -> ViewUpdate:
    return ViewUpdate(PACKED, device_partition(DEVICE_ID), sort, _START_MS * VERSIONS_A_TIME, packed=pack(rows))


def _head(metrics: int, interval_ms: float, sizes: Sizes, at_ms: float, closed: Mapping[str, int]) -> ViewUpdate:
    return _item(HEAD, _rows_of_a_head(metrics, interval_ms, sizes, at_ms, closed))


def _rows_of_a_head(
    metrics: int, interval_ms: float, sizes: Sizes, at_ms: float, closed: Mapping[str, int]
) -> Iterator[ViewRow]:
    """The rows of a head `at_ms` milliseconds after the beginning of the longest window.

    Before the current windows there are so many `closed` ones of some sizes.
    """
    at = _START_MS + int(at_ms)
    for metric in metric_names(metrics):
        *_, value = _walk(_USUAL, 1, Random(metric))
        yield ViewRow(latest_sort(metric), at * VERSIONS_A_TIME + 1, {"value": value, "at": at})
        for size, length_ms in sizes:
            readings = [_readings(length_ms, interval_ms)] * closed.get(size, 0)
            readings.append(_readings(at_ms % length_ms, interval_ms))
            yield from _rollups(metric, size, length_ms, interval_ms, readings)


def _readings(length_ms: float, interval_ms: float) -> int:
    return max(1, round(length_ms / interval_ms))


def _rollups(metric: str, size: str, length_ms: int, interval_ms: float, readings: Iterable[int]) -> Iterator[ViewRow]:
    """Windows, one after another, with so many readings each."""
    chance = Random(f"{metric} {size}")
    value = _USUAL
    for place, count in enumerate(readings):
        start = _START_MS + int(place * max(length_ms, interval_ms))
        start -= start % length_ms
        walk = list(_walk(value, min(count, _MAX_STEPS), chance))
        first_at, last_at = _times_of(start, length_ms, interval_ms, count, chance)
        amounts = _amounts(walk, count)
        values = (count, *amounts[:4], first_at, walk[1], last_at, walk[-1], amounts[4])
        data = dict(zip(ROLLUP_FIELDS, values, strict=True))
        yield ViewRow(rollup_sort(size, metric, start), count, data, (start + length_ms) // 1_000 + _KEPT_S)
        value = walk[-1]


def _times_of(start: int, length_ms: int, interval_ms: float, count: int, chance: Random) -> tuple[int, int]:
    """Times of the first and the last of so many readings in a window."""
    first_at = start + int(0.3 * min(length_ms, interval_ms)) + chance.randrange(_DELAY_MS)
    if count == 1:
        return first_at, first_at
    last_at = start + int((count - 0.7) * interval_ms) + chance.randrange(_DELAY_MS)
    return first_at, min(last_at, start + length_ms - 1)


def _walk(value: float, steps: int, chance: Random) -> Iterator[float]:
    """The reading before a window, and those in it."""
    yield value
    for _ in range(steps):
        value = round(value + (_USUAL - value) * _BACK + chance.gauss(0, _STEP), 2)
        yield value


def _amounts(walk: list[float], count: int) -> tuple[float, float, float, float, float]:
    """Sum, least, greatest, m2 and increase of so many readings, of which `walk` has as many as were made up."""
    values = walk[1:]
    each = count / len(values)
    mean = sum(values) / len(values)
    m2 = sum((value - mean) ** 2 for value in values)
    increase = sum(after - before if after >= before else after for before, after in pairwise(walk))
    return (
        _rounded(round(sum(values) * each, 2), _DIGITS_OF_A_SUM),
        min(values),
        max(values),
        _rounded(m2 * each, _DIGITS_OF_DEVIATIONS) if count > 1 else 0.0,
        _rounded(round(increase * each, 2), _DIGITS_OF_AN_INCREASE),
    )


def _rounded(number: float, digits: int) -> float:
    """A whole number as it is, any other to so many significant digits."""
    if number.is_integer():
        return number
    return round(number, max(0, digits - 1 - floor(log10(abs(number)))))
