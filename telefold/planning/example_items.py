"""Examples of the items that a device's rows are packed into, from which the size of a fleet's items is told.

The rows are made up, and packed as the job packs them. They are the same whenever they are made, so that what is said
of a fleet is, too: readings of two decimals that walk about 20, each up to a tenth of a second after its time.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
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
    """Blocks of each window size that heads hold, those included that go ahead of a head and take its place."""


_CYCLES_A_WINDOW = 24
_MOST_TIMES = 96
"""A cycle is so many of the longest window, or times that something is due: blocks come out about even."""


@lru_cache(maxsize=200)
def due_items(
    metrics: int, interval_ms: float, all_sizes: Sizes, due_ms: float, held_ms: float, *, is_whole: bool
) -> DueItems:
    """What the job writes every `due_ms` but blocks of windows longer than `held_ms`, as it decides what goes where.

    Closed windows stay in the head until the next head would take more write units. Then they go into a block: one of
    their own if that takes no more units now, else one that goes ahead of the head.
    """
    longest_ms = max((length_ms for _, length_ms in all_sizes), default=due_ms)
    sizes = tuple(size for size in all_sizes if size[1] <= held_ms)
    times = min(_MOST_TIMES, max(_CYCLES_A_WINDOW, round(_CYCLES_A_WINDOW * longest_ms / due_ms)))
    longest_first = sorted(sizes, key=lambda size: -size[1])
    window_ms = {size: max(interval_ms, length_ms) for size, length_ms in sizes}
    heads_made: list[ViewUpdate] = []
    written: dict[str, list[ViewUpdate]] = {size: [] for size, _ in sizes}
    since, had = dict.fromkeys(window_ms, 0.0), False
    # The first cycle leaves all as it is at the beginning of any other.
    for number in range(2 * times):
        if number == times:
            heads_made, written = [], {size: [] for size, _ in sizes}
        at_ms = (number + 0.5) * due_ms
        closed: dict[str, int] = {}
        for size, length_ms in sizes:
            most = windows_a_block(length_ms, interval_ms)
            while at_ms - since[size] >= most * window_ms[size]:
                written[size].append(blocks(metrics, interval_ms, size, length_ms)[-1])
                since[size] += most * window_ms[size]
            closed[size] = int(at_ms // window_ms[size] - since[size] // window_ms[size])
        of_longest = at_ms % longest_ms
        head, is_ahead = _head(metrics, interval_ms, all_sizes, of_longest, closed), False
        for size, length_ms in longest_first:
            if not closed[size]:
                continue
            least = _head(metrics, interval_ms, all_sizes, of_longest, {**closed, size: 0})
            block = blocks(metrics, interval_ms, size, length_ms)[closed[size] - 1]
            gain = _units(head) - _units(least) - _units(block)
            is_full = _is_about_to_take_more(head, least, closed[size], length_ms, due_ms)
            if had and is_full and gain < 0 and is_whole:
                written[size].append(head)
                since[size], is_ahead = at_ms, True
                break
            if gain > 0 or (is_full and gain == 0):
                written[size].append(block)
                since[size], closed[size], head = at_ms, 0, least
        had = not is_ahead and any(closed.values())
        if not is_ahead:
            heads_made.append(head)
    return DueItems(times * due_ms, heads_made, written)


def _is_about_to_take_more(head: ViewUpdate, least: ViewUpdate, closed: int, length_ms: int, due_ms: float) -> bool:
    if closed * length_ms + due_ms >= BLOCK_WINDOWS * length_ms:
        return True
    more = (item_bytes(head) - item_bytes(least)) * (due_ms // length_ms) / closed
    return ceil((item_bytes(head) + more) / UNIT_BYTES) > _units(head)


def _units(item: ViewUpdate) -> int:
    return ceil(item_bytes(item) / UNIT_BYTES)


@lru_cache(maxsize=200)
def blocks(metrics: int, interval_ms: float, size: str, length_ms: int) -> tuple[ViewUpdate, ...]:
    """A part of a block with so many metrics, with its first window, the first two of them, and so on to all."""
    count = windows_a_block(length_ms, interval_ms)
    every = [_Windows(metric, size, length_ms, interval_ms) for metric in metric_names(metrics)]
    rows = [_closed(windows, count)[0] for windows in every]
    sort = block_prefix(size) + key_time(_START_MS)
    return tuple(_item(sort, (row for some in rows for row in some[:held])) for held in range(1, count + 1))


def _item(sort: str, rows: Iterable[ViewRow]) -> ViewUpdate:
    return ViewUpdate(PACKED, device_partition(DEVICE_ID), sort, _START_MS * VERSIONS_A_TIME, packed=pack(rows))


def _head(metrics: int, interval_ms: float, sizes: Sizes, at_ms: float, closed: Mapping[str, int]) -> ViewUpdate:
    return _head_with(metrics, interval_ms, sizes, at_ms, tuple(closed.get(size, 0) for size, _ in sizes))


@lru_cache(maxsize=500)
def _head_with(metrics: int, interval_ms: float, sizes: Sizes, at_ms: float, closed: tuple[int, ...]) -> ViewUpdate:
    return _item(HEAD, _rows_of_a_head(metrics, interval_ms, sizes, at_ms, closed))


def _rows_of_a_head(
    metrics: int, interval_ms: float, sizes: Sizes, at_ms: float, closed: Iterable[int]
) -> Iterator[ViewRow]:
    """The rows of a head `at_ms` milliseconds after the beginning of the longest window.

    Before the current window of each size there are so many `closed` ones.
    """
    at = _START_MS + int(at_ms)
    for metric in metric_names(metrics):
        *_, value = _walk(_USUAL, 1, Random(metric))
        yield ViewRow(latest_sort(metric), at * VERSIONS_A_TIME + 1, {"value": value, "at": at})
        for (size, length_ms), count in zip(sizes, closed, strict=True):
            rows, run = _closed(_Windows(metric, size, length_ms, interval_ms), count)
            yield from rows
            yield run.copy().next(_readings(at_ms % length_ms, interval_ms))


def _readings(length_ms: float, interval_ms: float) -> int:
    return max(1, round(length_ms / interval_ms))


class _Windows(NamedTuple):
    """The windows of one size of a metric."""

    metric: str
    size: str
    length_ms: int
    interval_ms: float


@lru_cache(maxsize=4_000)
def _closed(windows: _Windows, count: int) -> tuple[tuple[ViewRow, ...], "_Run"]:
    """Make up so many windows with all their readings; with the run that did, of which only copies may go on."""
    run, readings = _Run(windows), _readings(windows.length_ms, windows.interval_ms)
    return tuple(run.next(readings) for _ in range(count)), run


class _Run:
    """Windows of a metric, made up one after another; their times are those of every metric of the device."""

    def __init__(self, windows: _Windows) -> None:
        self._windows = windows
        self._chance, self._delays = Random(f"{windows.metric} {windows.size}"), Random(windows.size)
        self._value, self._place = _USUAL, 0

    def copy(self) -> "_Run":
        run = copy(self)
        run._chance, run._delays = copy(self._chance), copy(self._delays)
        return run

    def next(self, count: int) -> ViewRow:
        """The next window, with so many readings."""
        _, size, length_ms, interval_ms = self._windows
        start = _START_MS + int(self._place * max(length_ms, interval_ms))
        start -= start % length_ms
        walk = list(_walk(self._value, min(count, _MAX_STEPS), self._chance))
        first_at, last_at = _times_of(start, length_ms, interval_ms, count, self._delays)
        amounts = _amounts(walk, count)
        values = (count, *amounts[:4], first_at, walk[1], last_at, walk[-1], amounts[4])
        data = dict(zip(ROLLUP_FIELDS, values, strict=True))
        self._value, self._place = walk[-1], self._place + 1
        sort = rollup_sort(size, self._windows.metric, start)
        return ViewRow(sort, count, data, (start + length_ms) // 1_000 + _KEPT_S)


def _times_of(start: int, length_ms: int, interval_ms: float, count: int, delays: Random) -> tuple[int, int]:
    """Times of the first and the last of so many readings in a window."""
    first_at = start + int(0.3 * min(length_ms, interval_ms)) + delays.randrange(_DELAY_MS)
    if count == 1:
        return first_at, first_at
    last_at = start + int((count - 0.7) * interval_ms) + delays.randrange(_DELAY_MS)
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
