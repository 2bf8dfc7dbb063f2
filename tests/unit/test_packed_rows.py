"""Rows packed into items, and read out of them as if each were an item of its own."""

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telefold.connectors.memory import MemoryViews
from telefold.connectors.mending import Mend
from telefold.connectors.packed_mending import RowMender
from telefold.connectors.view_rows import sift
from telefold.connectors.view_writer import ViewStores
from telefold.schemas.packed_rows import BLOCKS, HEAD, PACKED, VERSIONS_A_TIME, pack
from telefold.schemas.view_rows import LATEST, ROLLUPS, ViewRow, ViewUpdate, key_time, latest_sort, rollup_sort
from telefold.schemas.view_stores import WriteResult
from telefold.views.packed_reader import PackedReader, Span
from telefold.views.reader import Views
from tests.support.packed import DEVICE, METRICS, MINUTE, NOON, SIZES, reading, window

numbers = st.one_of(st.floats(-1e60, 1e60), st.integers(-(10**6), 10**6), st.decimals(-999, 999, places=2).map(float))
minutes = st.none() | st.integers(-30, 30)

windows = st.builds(
    lambda size, metric, place, count, number: window(size, metric, NOON + place * SIZES[size], count, number),
    st.sampled_from(sorted(SIZES)),
    st.sampled_from(METRICS),
    st.integers(-60, 60),
    st.integers(1, 9),
    numbers,
)
readings = st.builds(reading, st.sampled_from(METRICS), st.integers(NOON, NOON + 9), st.integers(1, 3), numbers)


def item(sort: str, rows: Sequence[ViewRow], version: int = 1) -> ViewUpdate:
    return ViewUpdate(PACKED, DEVICE, sort, version, packed=pack(rows))


def stored(rows: Sequence[ViewRow], packed: Sequence[bool]) -> tuple[MemoryViews, MemoryViews]:
    """The rows in a plain store, and in one where some lie in a head and blocks, newer ones beside older ones."""
    plain, store = MemoryViews(clock=lambda: 0), MemoryViews(clock=lambda: 0)
    plain.write([update_of(row) for row in rows])
    plain.write([ViewUpdate("presence", DEVICE, "presence", 1, {"state": "online"})])
    store.write([ViewUpdate("presence", DEVICE, "presence", 1, {"state": "online"})])
    places: dict[str, dict[str, ViewRow]] = {}
    for row, is_packed in zip(rows, packed, strict=True):
        if not is_packed:
            store.write([update_of(row)])
            continue
        place = HEAD
        if row.sort.startswith("rollup"):
            _, size, metric, _ = row.sort.split("#")
            start = int(row.data["first_at"]) - 1
            place = f"{BLOCKS}{size}#{key_time(start - start % (20 * SIZES[size]))}" if metric != "t" else HEAD
        held = places.setdefault(place, {}).get(row.sort)
        if held is None or held.version <= row.version:
            places[place][row.sort] = row
    store.write([item(place, list(held.values())) for place, held in places.items()])
    return plain, store


def unique(rows: Sequence[ViewRow]) -> list[ViewRow]:
    """Rows of one key and version are equal."""
    return list({(row.sort, row.version): row for row in rows}.values())


logs = (
    st.lists(windows | readings, max_size=30)
    .map(unique)
    .flatmap(lambda rows: st.tuples(st.just(rows), st.lists(st.booleans(), min_size=len(rows), max_size=len(rows))))
)
keys = st.sampled_from(
    [
        "",
        "latest",
        "latest#",
        "latest#t",
        "rollup",
        "rollup#1m#",
        "rollup#1m#temp#",
        "rollup#1h#t#",
        "presence",
        "rollups#",
    ]
)
bounds = st.sampled_from(
    ["", key_time(NOON - 3 * MINUTE), key_time(NOON), key_time(NOON + 90 * MINUTE), "2026", "t", "~"]
)


@given(logs, keys, bounds, bounds, st.none() | st.integers(0, 4), st.booleans())
def test_a_range_is_read_as_if_each_row_were_an_item(
    log: tuple[list[ViewRow], list[bool]], prefix: str, start: str, end: str, limit: int | None, newest_first: bool
) -> None:
    plain, store = stored(*log)
    asked = (DEVICE, prefix, start, end, limit, newest_first)
    assert PackedReader(store, clock=lambda: 0).range(*asked) == plain.range(*asked)


@given(logs)
def test_each_row_is_found(log: tuple[list[ViewRow], list[bool]]) -> None:
    plain, store = stored(*log)
    reader = PackedReader(store, clock=lambda: 0)
    for row in plain.range(DEVICE):
        assert reader.get(DEVICE, row.sort) == row
    assert reader.get(DEVICE, "latest") is None
    assert reader.get(DEVICE, "rollup#1m#temp#2031-01-01T00:00:00Z") is None


@given(logs, st.none() | st.sampled_from(METRICS), st.none() | st.integers(1, 3), minutes, minutes)
def test_windows_are_those_of_a_plain_store(
    log: tuple[list[ViewRow], list[bool]], metric: str | None, limit: int | None, first: int | None, behind: int | None
) -> None:
    plain, store = stored(*log)
    start = None if first is None else NOON + first * MINUTE
    end = None if behind is None else NOON + behind * MINUTE + 1
    wanted: dict[str, list[ViewRow]] = {}
    for row in plain.range(DEVICE, "rollup#1m#"):
        at = int(row.data["first_at"]) - 1
        if (start is None or at >= start) and (end is None or at < end) and metric in (None, row.sort.split("#")[2]):
            wanted.setdefault(row.sort.split("#")[2], []).append(row)
    found = PackedReader(store, clock=lambda: 0).windows(DEVICE, Span("1m", start, end), metric, limit)
    assert found == [row for rows in wanted.values() for row in (rows[-limit:] if limit else rows)]


def test_rows_in_an_item_expire_one_by_one() -> None:
    store = MemoryViews(clock=lambda: 0)
    store.write([item(HEAD, [window("1m", "temp", NOON, 1, keep=60), window("1m", "temp", NOON + MINUTE, 1, keep=60)])])
    reader = PackedReader(store, clock=lambda: NOON / 1_000 + 60)
    assert [row.sort for row in reader.range(DEVICE)] == [rollup_sort("1m", "temp", NOON + MINUTE)]


class Counting(MemoryViews):
    asked = 0

    def range(self, *asked: object, **more: object) -> list[ViewRow]:
        self.asked += 1
        return super().range(*asked, **more)  # type: ignore[arg-type]


def test_a_device_takes_two_requests_however_long_it_has_reported() -> None:
    store = Counting(clock=lambda: 0)
    head = [reading("temp", NOON), window("1m", "temp", NOON, 3), window("1h", "temp", NOON, 3)]
    store.write([item(HEAD, head)])
    for hours in range(1, 100):
        start = NOON - hours * 60 * MINUTE
        store.write([item(f"{BLOCKS}1m#{key_time(start)}", [window("1m", "temp", start, 3)])])
    assert Views(store, SIZES).device("d") == sorted(head, key=lambda row: row.sort)
    assert store.asked == 2


def test_the_newest_window_of_a_metric_that_reports_seldom_is_found() -> None:
    store = MemoryViews(clock=lambda: 0)
    seldom = [reading("battery", NOON - 5 * MINUTE + 1), window("1m", "battery", NOON - 5 * MINUTE, 1)]
    store.write([item(HEAD, [seldom[0], reading("temp", NOON), window("1m", "temp", NOON, 1)])])
    store.write([item(f"{BLOCKS}1m#{key_time(NOON - 20 * MINUTE)}", [seldom[1]])])
    found = {row.sort for row in Views(store, SIZES).device("d")}
    assert found == {seldom[0].sort, seldom[1].sort, latest_sort("temp"), rollup_sort("1m", "temp", NOON)}


class Mender:
    """Puts items of a memory store right, as `connectors.mending` does in the others."""

    def __init__(self, store: MemoryViews) -> None:
        self._store = store

    def mend(self, mend: Mend) -> bool:
        held = self._store.get(mend.partition, mend.sort)
        if (held.version if held else None) != mend.found:
            return False
        self._store._partitions[mend.partition].pop(mend.sort, None)
        self._store.write([mend.wanted] if mend.wanted else [])
        return True

    def close(self) -> None: ...


def update_of(row: ViewRow) -> ViewUpdate:
    view = LATEST if row.sort.startswith("latest") else ROLLUPS
    return ViewUpdate(view, DEVICE, row.sort, row.version, row.data, row.expires_at)


@given(logs, st.data())
def test_a_row_is_mended_wherever_it_lies(log: tuple[list[ViewRow], list[bool]], data: st.DataObject) -> None:
    plain, store = stored(*log)
    mender, reader = RowMender(Mender(store), store), PackedReader(store, clock=lambda: 0)
    rows = plain.range(DEVICE, "rollup#")
    if rows:
        wrong = data.draw(st.sampled_from(rows))
        right = data.draw(st.none() | st.just(ViewRow(wrong.sort, 7, {**wrong.data, "count": 7})))
        mend = Mend(DEVICE, wrong.sort, wrong.version, update_of(right) if right else None)
        assert not mender.mend(mend._replace(found=wrong.version + 1))
        assert mender.mend(mend)
        expected = [right if row == wrong else row for row in plain.range(DEVICE)]
        assert reader.range(DEVICE) == [row for row in expected if row is not None]


def test_a_row_that_is_nowhere_becomes_an_item_of_its_own() -> None:
    store = MemoryViews(clock=lambda: 0)
    missing = window("1m", "temp", NOON, 3)
    assert RowMender(Mender(store), store).mend(Mend(DEVICE, missing.sort, None, update_of(missing)))
    assert PackedReader(store, clock=lambda: 0).range(DEVICE) == [missing]


@pytest.mark.parametrize(("edited", "left"), [(NOON * VERSIONS_A_TIME + 5, NOON * VERSIONS_A_TIME + 5), (2**62, 1)])
def test_the_job_goes_on_over_a_head_that_was_mended(edited: int, left: int) -> None:
    """A head whose version lies ahead of the present would be newer than whatever the job writes next."""
    store = MemoryViews(clock=lambda: 0)
    row = window("1m", "temp", NOON, 3)
    store.write([item(HEAD, [row], edited)])
    right = ViewUpdate(ROLLUPS, DEVICE, row.sort, 4, {**row.data, "count": 4})
    assert RowMender(Mender(store), store, clock=lambda: NOON / 1_000).mend(Mend(DEVICE, row.sort, 3, right))
    assert (held := store.get(DEVICE, HEAD)) is not None
    assert held.version == left


def test_what_a_head_holds_from_long_ago_is_not_taken_for_the_newest_window() -> None:
    """As of a device whose metrics have become so many that its head comes in parts."""
    store = MemoryViews(clock=lambda: 0)
    newest = [reading("temp", NOON + 5 * MINUTE + 1), window("1m", "temp", NOON + 5 * MINUTE, 2)]
    store.write([item(HEAD, [reading("temp", NOON), window("1m", "temp", NOON, 9)])])
    store.write([item(f"{HEAD}.0of2", newest[:1]), item(f"{BLOCKS}1m#{key_time(NOON)}#7", newest[1:])])
    assert Views(store, {"1m": MINUTE}).device("d") == newest


def test_blocks_of_before_and_after_a_silence_are_read_as_one() -> None:
    store = MemoryViews(clock=lambda: 0)
    before, after = window("1h", "temp", NOON, 9), window("1h", "temp", NOON + 60 * MINUTE, 1)
    at = key_time(NOON)
    store.write([item(f"{BLOCKS}1h#{at}#1", [before], 9), item(f"{BLOCKS}1h#{at}#2", [after], 1)])
    assert PackedReader(store, clock=lambda: 0).range(DEVICE) == [before, after]
    assert Views(store, SIZES).rollups("d", "temp", "1h", limit=2) == [before, after]


def test_of_two_states_of_an_item_the_changes_of_both_are_told() -> None:
    older = msgspec.structs.replace(item(HEAD, [reading("a", NOON)], 1), changed=("a", "b"))
    newer = msgspec.structs.replace(item(HEAD, [reading("a", NOON)], 2), changed=("b", "c"))
    assert [update.changed for update in sift([older, newer])[0]] == [("a", "b", "c")]
    assert [(update.version, update.changed) for update in sift([newer, older])[0]] == [(2, ("a", "b", "c"))]


class Noting(MemoryViews):
    def __init__(self) -> None:
        super().__init__(clock=lambda: 0)
        self.sorts: list[str] = []

    def write(self, updates: Sequence[ViewUpdate]) -> WriteResult:
        self.sorts += [update.sort for update in updates]
        return super().write(updates)


def test_blocks_are_in_a_store_before_the_heads_that_lack_their_windows() -> None:
    store = Noting()
    ViewStores({"DynamoDB": store}).write([item(HEAD, [reading("a", NOON)]), item(f"{BLOCKS}1m#x", [])])
    assert store.sorts == [f"{BLOCKS}1m#x", HEAD]
