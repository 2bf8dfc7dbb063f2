"""Blocks of the durable store that went ahead of the head: they have what is to be in the next one."""

from collections.abc import Sequence

from telefold.connectors.memory import MemoryViews
from telefold.schemas.packed_rows import (
    BLOCKS,
    HEAD,
    PACKED,
    VERSIONS_A_TIME,
    held_by_head,
    pack,
    rows_of_block,
    with_closed_windows,
)
from telefold.schemas.view_rows import ViewRow, ViewUpdate, key_time, latest_sort, rollup_sort
from telefold.views.packed_reader import PackedReader, Span

NOON = 1_769_860_800_000
MINUTE, HOUR = 60_000, 3_600_000
DEVICE = "device#d"


def window(size: str, start: int, count: int) -> ViewRow:
    data = dict.fromkeys(("sum", "min", "max", "m2", "first", "last", "increase"), 1)
    data |= {"count": count, "first_at": start, "last_at": start + 1}
    return ViewRow(rollup_sort(size, "temp", start), count, data)


def reading(at: int) -> ViewRow:
    return ViewRow(latest_sort("temp"), at * VERSIONS_A_TIME + 1, {"value": 20.5, "at": at})


def item(sort: str, rows: Sequence[ViewRow], version: int) -> ViewUpdate:
    return ViewUpdate(PACKED, DEVICE, sort, version, packed=pack(rows))


def minutes(first: int, behind: int, count: int = 6) -> list[ViewRow]:
    return [window("1m", NOON + minute * MINUTE, count) for minute in range(first, behind)]


EARLIER = item(f"{BLOCKS}1m#{key_time(NOON - 15 * MINUTE)}", minutes(-15, 0), 90)
OLD_HEAD = item(HEAD, [reading(NOON + 5 * MINUTE), window("1h", NOON, 33), *minutes(0, 5), *minutes(5, 6, 3)], 1)
NEW_ROWS = [reading(NOON + 10 * MINUTE), window("1h", NOON, 63), *minutes(10, 11, 3)]
AHEAD = item(f"{BLOCKS}1m#{key_time(NOON)}", [*minutes(0, 10), *NEW_ROWS], 60)


def reader(*items: ViewUpdate) -> PackedReader:
    store = MemoryViews(clock=lambda: 0)
    store.write(items)
    return PackedReader(store, clock=lambda: 0)


def test_who_reads_the_head_reads_the_block_that_went_ahead_of_it() -> None:
    found = reader(EARLIER, OLD_HEAD, AHEAD)
    assert found.get(DEVICE, latest_sort("temp")) == NEW_ROWS[0]
    assert found.range(DEVICE, latest_sort("")) == [NEW_ROWS[0]]
    assert {row.sort: row for row in found.newest(DEVICE)}[NEW_ROWS[1].sort] == NEW_ROWS[1]
    assert found.windows(DEVICE, Span("1h")) == [NEW_ROWS[1]]
    assert found.windows(DEVICE, Span("1m", NOON + 9 * MINUTE)) == [*minutes(9, 10), NEW_ROWS[2]]


def test_a_head_without_closed_windows_is_followed_by_no_block() -> None:
    head = item(HEAD, [reading(NOON), window("1h", NOON, 33), *minutes(5, 6, 3)], 1)
    assert reader(EARLIER, head, AHEAD).get(DEVICE, latest_sort("temp")) == reading(NOON)
    assert held_by_head([window("1h", NOON, 3), *minutes(5, 6)]) == []
    assert held_by_head([window("1h", NOON, 3), *minutes(3, 6)]) == [("1m", NOON + 3 * MINUTE)]


def test_the_fast_store_is_given_what_is_the_heads_apart_from_the_block() -> None:
    """Its readers look for no block that went ahead of a head: the job writes none there."""
    copied = with_closed_windows([EARLIER, OLD_HEAD, AHEAD])
    assert copied[:1] == [EARLIER]
    only_head = [one for one in copied if not one.sort.startswith(f"{BLOCKS}1m#{key_time(NOON)}")]
    fast = MemoryViews(clock=lambda: 0)
    fast.write(copied)
    assert fast.get(DEVICE, latest_sort("temp")) == NEW_ROWS[0]
    assert reader(*only_head).get(DEVICE, NEW_ROWS[1].sort) == NEW_ROWS[1]
    assert reader(*copied).range(DEVICE) == reader(EARLIER, OLD_HEAD, AHEAD).range(DEVICE)


def test_the_version_of_a_block_is_that_of_its_own_windows() -> None:
    assert rows_of_block(AHEAD.sort, [*minutes(0, 21), *NEW_ROWS]) == [
        *minutes(0, 20), NEW_ROWS[2]
    ]  # fmt: skip
