"""One answer out of both stores is that of one store that has all of it, whatever is asked."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telefold.connectors.memory import MemoryViews
from telefold.schemas.errors import StoreUnavailable
from telefold.schemas.hot_rows import Hot
from telefold.schemas.packed_rows import VERSIONS_A_TIME, pack
from telefold.schemas.view_rows import ViewRow, ViewUpdate, key_time, rollup_sort
from telefold.views.both_stores import Behind, BothStores
from telefold.views.packed_reader import PackedReader, Span
from tests.support.examples import examples

NOON_S = 1_769_860_800
MINUTE_S = 60
HOT = Hot(30 * MINUTE_S)
BEHIND = Behind(1_000, 300_000)


class Fast(MemoryViews):
    """A fast store that may have been emptied, or be away."""

    is_whole = True
    is_away = False

    def pinned_if_whole(self) -> "tuple[Fast, int] | None":
        if self.is_away:
            raise StoreUnavailable("away")
        return (self, 3) if self.is_whole else None

    def get(self, partition: str, sort: str) -> ViewRow | None:
        if self.is_away:
            raise StoreUnavailable("away")
        return super().get(partition, sort)

    def range(self, partition: str, *asked: Any, **more: Any) -> list[ViewRow]:
        if self.is_away:
            raise StoreUnavailable("away")
        return super().range(partition, *asked, **more)


class Counted(MemoryViews):
    """A durable store that counts what it is asked."""

    asked = 0
    generation = 0

    def at(self, generation: int) -> "Counted":
        self.generation = generation
        return self

    def get(self, partition: str, sort: str) -> ViewRow | None:
        self.asked += 1
        return super().get(partition, sort)

    def range(self, partition: str, *asked: Any, **more: Any) -> list[ViewRow]:
        self.asked += 1
        return super().range(partition, *asked, **more)


class World:
    def __init__(self) -> None:
        self.now = float(NOON_S)
        self.fast, self.durable = Fast(lambda: self.now), Counted(lambda: self.now)
        self.both = BothStores(self.fast, self.durable, HOT, BEHIND, lambda: self.now)

    def write(self, updates: Sequence[ViewUpdate], lag: int = 0) -> None:
        """All but the last `lag` to the durable store, and what is hot of all to the fast one."""
        self.durable.write(updates[: len(updates) - lag])
        self.fast.write([one for one in updates if HOT.holds(one.sort, self.now)])


@pytest.fixture
def world() -> World:
    return World()


def window(minutes_ago: int, size: str = "1m", version: int = 1, metric: str = "t") -> ViewUpdate:
    sort = rollup_sort(size, metric, (NOON_S - minutes_ago * MINUTE_S) * 1_000)
    return ViewUpdate("rollups", "fleet#all", sort, version, {"count": version})


def sorts(rows: Sequence[ViewRow]) -> list[tuple[str, int]]:
    return [(row.sort, row.version) for row in rows]


updates = st.lists(
    st.one_of(
        st.builds(
            window, st.integers(0, 60), st.sampled_from(["1m", "5m"]), st.integers(1, 3), st.sampled_from(["t", "u"])
        ),
        st.builds(
            ViewUpdate,
            st.just("fleet"),
            st.just("fleet#all"),
            st.sampled_from(["fleet", "fleet#x", "zebra"]),
            st.integers(1, 3),
        ),
    ),
    max_size=30,
)
prefixes = st.sampled_from(["", "r", "rollup#", "rollup#1m#", "rollup#1m#t#", "rollup#5m#u#", "fleet", "z"])
bounds = st.one_of(st.just(""), st.integers(0, 70).map(lambda ago: key_time((NOON_S - ago * MINUTE_S) * 1_000)))


@examples(300)
@given(updates, st.integers(0, 5), prefixes, bounds, bounds, st.none() | st.integers(1, 10), st.booleans())
def test_any_range_of_both_is_that_of_one_store_with_all(
    made: list[ViewUpdate], lag: int, prefix: str, start: str, end: str, limit: int | None, newest_first: bool
) -> None:
    world, one = World(), MemoryViews(lambda: NOON_S)
    # What the durable store has yet to be given is hot.
    hot = next((n for n, one in enumerate(reversed(made)) if not HOT.holds(one.sort, NOON_S)), len(made))
    lag = min(lag, hot)
    world.write(made, lag)
    one.write(made)
    asked = ("fleet#all", prefix, start, end, limit, newest_first)
    assert sorts(world.both.range(*asked)) == sorts(one.range(*asked))
    for row in one.range("fleet#all"):
        found = world.both.get("fleet#all", row.sort)
        assert found is not None
        assert found.version == row.version


def test_what_is_hot_comes_from_the_fast_store_alone(world: World) -> None:
    world.write([window(ago) for ago in range(60)], lag=0)
    since = key_time((NOON_S - 20 * MINUTE_S) * 1_000)
    hot = world.both.range("fleet#all", "rollup#1m#t#", since)
    assert len(hot) == 21
    assert world.durable.generation == 3
    assert {row.behind_ms for row in hot} == {1_000}
    assert len(world.both.range("fleet#all", "rollup#1m#t#", limit=20, newest_first=True)) == 20
    assert world.durable.asked == 0
    both = world.both.range("fleet#all", "rollup#1m#t#")
    assert [row.behind_ms for row in both] == [300_000] * 29 + [1_000] * 31
    assert world.durable.asked == 1


@pytest.mark.parametrize("trouble", ["is_away", "is_whole"])
def test_an_emptied_or_absent_fast_store_is_answered_for_by_the_durable_one(world: World, trouble: str) -> None:
    world.durable.write([window(ago) for ago in range(60)])
    setattr(world.fast, trouble, trouble == "is_away")
    rows = world.both.range("fleet#all", "rollup#1m#t#", limit=5, newest_first=True)
    assert len(rows) == 5
    assert {row.behind_ms for row in rows} == {300_000}
    assert world.both.get("fleet#all", rows[0].sort) == rows[0]


def test_a_fast_store_that_goes_away_amid_a_call_is_answered_for(world: World) -> None:
    world.durable.write([window(1)])
    pinned = world.both.pinned()
    world.fast.is_away = True
    assert len(pinned.range("fleet#all")) == 1
    assert pinned.get("fleet#all", window(1).sort) is not None


def head(silent_s: int, closed: int) -> ViewUpdate:
    """A head with a window, and in the durable store so many before it."""
    rows = [
        ViewRow(rollup_sort("1m", "t", (NOON_S - silent_s - n * MINUTE_S) * 1_000), 1, dict.fromkeys(_FIELDS, 1))
        for n in range(closed + 1)
    ]
    version = (NOON_S - silent_s) * 1_000 * VERSIONS_A_TIME
    return ViewUpdate("packed", "device#d", "latest", version, packed=pack(rows))


_FIELDS = ("count", "sum", "min", "max", "m2", "first_at", "first", "last_at", "last", "increase")


@pytest.mark.parametrize(("silent_s", "windows", "asked"), [(60, 1, 0), (3_600, 6, 1)])
def test_a_device_that_fell_silent_long_ago_has_windows_in_the_durable_stores_head(
    world: World, silent_s: int, windows: int, asked: int
) -> None:
    world.fast.write([head(silent_s, closed=0)])
    world.durable.write([head(silent_s, closed=5)])
    start_ms = (NOON_S - silent_s - 600) * 1_000
    found = PackedReader(world.both, lambda: world.now).pinned().windows("device#d", Span("1m", start_ms), "t")
    assert len(found) == windows
    assert (world.durable.asked > 0) == bool(asked)
