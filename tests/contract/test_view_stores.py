"""What every view store promises, asked of each: memory, and DynamoDB and Redis at two generations."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.dynamodb import DynamoDbReader, DynamoDbWriter
from connectors.memory import MemoryViews
from connectors.redis_views import RedisReader, RedisWriter
from deploy.local.tables import REGION
from schemas.generations import FIRST
from schemas.view_rows import ViewRow, ViewUpdate
from schemas.view_stores import ViewReader, ViewWriter, WriteResult

LARGEST = 2**63 - 1
FAR = int(time.time()) + 3_600
PAST = int(time.time()) - 3_600


class Store(NamedTuple):
    writer: ViewWriter
    reader: ViewReader


@pytest.fixture(params=[("memory", 1), ("dynamodb", 1), ("redis", 1), ("dynamodb", 2), ("redis", 2)], ids=str)
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    name, generation = request.param
    opened = _OPEN[name](request, generation)
    yield opened
    opened.writer.close()
    opened.reader.close()


def _memory(request: pytest.FixtureRequest, generation: int) -> Store:
    views = MemoryViews()
    return Store(views, views)


def _dynamodb(request: pytest.FixtureRequest, generation: int) -> Store:
    table, endpoint = request.getfixturevalue("views_table"), request.getfixturevalue("dynamodb_endpoint")
    return Store(
        DynamoDbWriter(table, REGION, endpoint, generation=generation),
        DynamoDbReader(table, REGION, endpoint, generation=None if generation == FIRST else generation),
    )


def _redis(request: pytest.FixtureRequest, generation: int) -> Store:
    url = request.getfixturevalue("redis_url")
    return Store(
        RedisWriter(url, generation=generation),
        RedisReader(url, generation=None if generation == FIRST else generation),
    )


_Open = Callable[[pytest.FixtureRequest, int], Store]
_OPEN: dict[str, _Open] = {"memory": _memory, "dynamodb": _dynamodb, "redis": _redis}


def row(
    sort: str, version: int = 1, value: float = 0, expires_at: int | None = None, partition: str = "device#1"
) -> ViewUpdate:
    return ViewUpdate("latest", partition, sort, version, {"value": value, "at": 1_700_000_000_000}, expires_at)


def with_data(**data: Any) -> ViewUpdate:
    return ViewUpdate("latest", "device#1", "bad", 1, data)


def as_read(update: ViewUpdate) -> ViewRow:
    return ViewRow(update.sort, update.version, update.data, update.expires_at)


def put(store: Store, *sorts: str) -> None:
    store.writer.write([row(sort) for sort in sorts])


def sorts(rows: Sequence[ViewRow]) -> list[str]:
    return [found.sort for found in rows]


def test_a_written_row_is_read_as_it_was(store: Store) -> None:
    written = row("latest#temp", 7, 21.5, FAR)
    assert store.writer.write([written]) == WriteResult(1, 0)
    assert store.reader.get("device#1", "latest#temp") == as_read(written)


def test_texts_and_truths_are_read_as_they_were(store: Store) -> None:
    """As rows of folds in Python hold them: a text of digits stays a text, and a truth is no number."""
    data = {"status": "offline", "digits": "42", "empty": "", "ünïcode": "☃", "open": True, "closed": False, "count": 1}
    store.writer.write([ViewUpdate("presence", "device#1", "presence", 3, data, FAR)])
    found = store.reader.get("device#1", "presence")
    assert found == ViewRow("presence", 3, data, FAR)
    assert {name: type(value) for name, value in found.data.items()} == {
        name: type(value) for name, value in data.items()
    }


def test_what_was_never_written_is_not_there(store: Store) -> None:
    assert store.reader.get("device#1", "latest#temp") is None
    assert store.reader.range("device#1") == []
    assert store.writer.write([]) == WriteResult(0, 0)


def test_new_newer_equal_and_stale_rows_in_one_batch(store: Store) -> None:
    store.writer.write([row("newer", 1, 1), row("equal", 5, 1), row("stale", 9, 1)])
    batch = [row("new", 1, 2), row("newer", 2, 2), row("equal", 5, 2), row("stale", 8, 2)]
    assert store.writer.write(batch) == WriteResult(written=3, stale=1)
    found = {read.sort: (read.version, read.data["value"]) for read in store.reader.range("device#1")}
    assert found == {"new": (1, 2), "newer": (2, 2), "equal": (5, 2), "stale": (9, 1)}


def test_the_same_batch_twice_changes_nothing(store: Store) -> None:
    batch = [row(f"latest#{n}", n, n / 7, FAR if n % 2 else None) for n in range(40)]
    assert store.writer.write(batch) == store.writer.write(batch) == WriteResult(40, 0)
    by_sort = sorted(batch, key=lambda update: update.sort)
    assert store.reader.range("device#1") == [as_read(update) for update in by_sort]


def test_of_several_updates_of_a_row_the_highest_version_counts_and_of_equals_the_last(store: Store) -> None:
    batch = [row("a", 2, 1), row("a", 9, 2), row("a", 9, 3), row("a", 4, 4), row("b", 1, 5)]
    assert store.writer.write(batch) == WriteResult(2, 0)
    assert store.reader.get("device#1", "a") == as_read(row("a", 9, 3))


def test_batches_of_many_rows_and_partitions(store: Store) -> None:
    known = [row(f"latest#{n}", 5, n, partition=f"device#{n % 7}") for n in range(60)]
    store.writer.write(known)
    batch = [row(f"latest#{n}", 4 if n % 3 else 6, -n, partition=f"device#{n % 7}") for n in range(120)]
    assert store.writer.write(batch) == WriteResult(written=80, stale=40)
    assert sum(len(store.reader.range(f"device#{n}")) for n in range(7)) == 120


@pytest.mark.parametrize("version", [2**53, LARGEST - 1])
def test_versions_are_exact_to_the_last_of_64_bits(store: Store, version: int) -> None:
    store.writer.write([row("a", version + 1, 1)])
    assert store.writer.write([row("a", version, 2)]) == WriteResult(0, 1)
    assert store.writer.write([row("a", version + 1, 3)]) == WriteResult(1, 0)
    assert store.reader.get("device#1", "a") == as_read(row("a", version + 1, 3))


def test_versions_are_compared_as_numbers(store: Store) -> None:
    store.writer.write([row("a", 10, 1), row("b", 9, 1), row("c", 0, 1)])
    assert store.writer.write([row("a", 9, 2), row("b", 10, 2), row("c", 0, 2)]) == WriteResult(2, 1)


WHOLE_BUT_FLOATS = [1.2345678901234568e18, -9.2233720368547e18, 2.0**63, -(2.0**63), 1e19, 123456.789e20]


@pytest.mark.parametrize(
    "value",
    [0, -1, 2**53 + 1, LARGEST, -(2**63), 2.0, -0.1, 1 / 3, 1e-130, 1.7976931348623157e125, 5e-100, *WHOLE_BUT_FLOATS],
)
def test_numbers_come_back_equal(store: Store, value: float) -> None:
    store.writer.write([row("a", 1, value)])
    found = store.reader.get("device#1", "a")
    assert found is not None
    assert found.data["value"] == value


def test_a_magnitude_too_small_for_dynamodb_is_as_good_as_zero(store: Store) -> None:
    store.writer.write([row("a", 1, -3e-200)])
    found = store.reader.get("device#1", "a")
    assert found is not None
    assert found.data["value"] == pytest.approx(0, abs=1e-199)


def test_a_row_without_data(store: Store) -> None:
    store.writer.write([ViewUpdate("latest", "device#1", "a", 1, {})])
    assert store.reader.get("device#1", "a") == ViewRow("a", 1, {})


def test_rows_past_their_expiry_are_not_there(store: Store) -> None:
    store.writer.write([row("a"), row("b", expires_at=PAST), row("c", expires_at=FAR)])
    assert sorts(store.reader.range("device#1")) == ["a", "c"]
    assert sorts(store.reader.range("device#1", limit=2, newest_first=True)) == ["c", "a"]
    assert store.reader.get("device#1", "b") is None


def test_a_row_can_lose_and_gain_an_expiry(store: Store) -> None:
    soon = int(time.time()) + 2
    store.writer.write([row("kept", 1, expires_at=soon), row("dropped", 1)])
    store.writer.write([row("kept", 2), row("dropped", 2, expires_at=soon)])
    kept = store.reader.get("device#1", "kept")
    assert kept is not None
    assert kept.expires_at is None
    time.sleep(2.1)
    assert sorts(store.reader.range("device#1")) == ["kept"]


def test_ranges_by_prefix_and_bounds(store: Store) -> None:
    put(store, "alert#x", "rollup#1m#t#01", "rollup#1m#t#02", "rollup#1m#t#03", "rollup#1h#t#01", "rollup#1m#tt#01")
    read = store.reader.range
    hours = ["rollup#1m#t#01", "rollup#1m#t#02", "rollup#1m#t#03"]
    assert sorts(read("device#1", "rollup#1m#t#")) == hours
    assert sorts(read("device#1", "rollup#1m#t#", newest_first=True)) == hours[::-1]
    assert sorts(read("device#1", "rollup#1m#t#", start="02")) == hours[1:]
    assert sorts(read("device#1", "rollup#1m#t#", end="02")) == hours[:1]
    assert sorts(read("device#1", "rollup#1m#t#", start="01", end="03")) == hours[:2]
    assert sorts(read("device#1", "rollup#1m#t#", start="01", end="03", newest_first=True)) == hours[1::-1]
    assert read("device#1", "rollup#1m#t#", start="03", end="03") == []
    assert read("device#1", "rollup#1m#t#", start="03", end="01") == []
    assert read("device#2", "rollup") == []


def test_ranges_without_a_prefix(store: Store) -> None:
    put(store, "a", "b", "c")
    read = store.reader.range
    assert sorts(read("device#1")) == ["a", "b", "c"]
    assert sorts(read("device#1", start="b")) == ["b", "c"]
    assert sorts(read("device#1", end="b")) == ["a"]


def test_limits(store: Store) -> None:
    put(store, *(f"r#{n:02}" for n in range(30)))
    read = store.reader.range
    assert sorts(read("device#1", "r#", limit=2)) == ["r#00", "r#01"]
    assert sorts(read("device#1", "r#", limit=2, newest_first=True)) == ["r#29", "r#28"]
    assert sorts(read("device#1", "r#", end="05", limit=2, newest_first=True)) == ["r#04", "r#03"]
    assert read("device#1", "r#", limit=0) == []
    assert len(read("device#1", "r#", limit=99)) == 30


def test_a_limit_counts_visible_rows_only(store: Store) -> None:
    store.writer.write([row(f"r#{n:02}", expires_at=PAST if n < 20 else None) for n in range(30)])
    assert sorts(store.reader.range("device#1", "r#", limit=3)) == ["r#20", "r#21", "r#22"]


def test_ranges_longer_than_a_page(store: Store) -> None:
    names = [f"r#{n:05}" for n in range(1_201)]
    put(store, *random.Random(1).sample(names, len(names)))
    assert sorts(store.reader.range("device#1", "r#")) == names
    assert sorts(store.reader.range("device#1", "r#", newest_first=True)) == names[::-1]


UNICODE = ["a", "z", "~", "é", "Ω", "\ud7ff", "\ue000", "\uffff", "\U00010000", "😀", "\U0010ffff", "\U0010ffffa"]


def test_sort_keys_are_ordered_by_their_utf8_bytes(store: Store) -> None:
    put(store, *random.Random(1).sample(UNICODE, len(UNICODE)))
    assert sorts(store.reader.range("device#1")) == sorted(UNICODE, key=lambda sort: sort.encode())
    assert sorts(store.reader.range("device#1", newest_first=True)) == sorted(UNICODE, key=str.encode, reverse=True)


@pytest.mark.parametrize("prefix", UNICODE)
def test_prefixes_of_any_character(store: Store, prefix: str) -> None:
    put(store, *UNICODE, *(f"{one}b" for one in UNICODE))
    expected = sorted({one for two in UNICODE for one in (two, f"{two}b") if one.startswith(prefix)}, key=str.encode)
    assert sorts(store.reader.range("device#1", prefix)) == expected


@pytest.mark.parametrize("partition", ["device#a}b{c", "device#Ω 😀", "device#'\"\\\n", "device#" + "x" * 256])
def test_device_ids_of_any_character(store: Store, partition: str) -> None:
    store.writer.write([row("latest#t", partition=partition)])
    assert sorts(store.reader.range(partition, "latest#")) == ["latest#t"]
    assert store.reader.get(partition, "latest#t") is not None


NO_ROWS = {
    "a version below 0": row("bad", -1),
    "a version past 63 bits": row("bad", LARGEST + 1),
    "a version of any number of digits": row("bad", 10**30_000),
    "an expiry past what Redis counts": row("bad", expires_at=10**18),
    "an expiry that was before all time": row("bad", expires_at=-(10**18)),
    "no partition": row("bad", partition=""),
    "a partition of 2 033 bytes": row("bad", partition="x" * 2_033),
    "a partition of 2 034 bytes in 1 017 characters": row("bad", partition="é" * 1_017),
    "no sort key": row(""),
    "a sort key of 1 025 bytes": row("x" * 1_025),
    "a sort key of 1 028 bytes in 257 characters": row("😀" * 257),
    "a partition that is not Unicode": row("bad", partition="device#\ud800"),
    "a sort key that is not Unicode": row("\udfff"),
    "a number past DynamoDB's": row("bad", value=1e126),
    "infinity": row("bad", value=float("-inf")),
    "no number": row("bad", value=float("nan")),
    "an integer past 64 bits": row("bad", value=2**63),
    "an integer of any number of digits": row("bad", value=-(10**30_000)),
    "one text over 400 KB": with_data(text="x" * 410_000),
    "a text over 400 KB in bytes alone": with_data(text="😀" * 102_400),
    "many fields over 400 KB": with_data(**{f"field{n}{'x' * 90}": n for n in range(5_000)}),
    "a text that is not Unicode": with_data(text="\ud83d"),
    "a name of a field that is not Unicode": with_data(**{"\ud83d": 1}),
    "a field without a name": with_data(**{"": 1}),
    "a list": with_data(values=[1, 2]),
    "nothing": with_data(value=None),
}


@pytest.mark.parametrize("name", NO_ROWS)
@pytest.mark.parametrize("known", [False, True])
def test_what_no_store_holds_is_refused_with_a_reason_and_the_rest_of_its_batch_is_written(
    store: Store, name: str, known: bool
) -> None:
    bad = NO_ROWS[name]
    good = [row(f"r#{n:02}", 7, n) for n in range(30)]
    if known:
        put(store, *(one.sort for one in good))
    result = store.writer.write([*good[:15], bad, *good[15:]])
    assert result == WriteResult(30, 0, refused=result.refused)
    ((refused, why),) = result.refused
    assert refused is bad
    assert why
    assert store.reader.range("device#1") == [as_read(one) for one in good]


def test_a_refused_row_alone_ends_nothing_and_leaves_nothing(store: Store) -> None:
    for bad in NO_ROWS.values():
        assert store.writer.write([bad]).written == 0
    assert store.reader.range("device#1") == []


def test_a_row_whose_highest_update_is_refused_is_as_the_next_lower_one_says(store: Store) -> None:
    result = store.writer.write([row("a", 4, 1), row("a", 6, 1e200), row("a", 5, 2)])
    assert (result.written, len(result.refused)) == (1, 1)
    assert store.reader.get("device#1", "a") == as_read(row("a", 5, 2))


AT_THE_LIMIT = [
    row("x" * 1_024, LARGEST, 9.9e125, (2**63 - 1) // 1_000, partition="y" * 2_032),
    row("😀" * 256, 0, -9.9e125, partition="é" * 1_016),
    with_data(text="x" * 409_400),
    with_data(text="😀" * 102_350),
]


@pytest.mark.parametrize("at_the_limit", AT_THE_LIMIT, ids=range(len(AT_THE_LIMIT)))
def test_what_is_just_within_the_limits_is_stored_and_read(store: Store, at_the_limit: ViewUpdate) -> None:
    assert store.writer.write([at_the_limit]) == WriteResult(1, 0)
    assert store.reader.get(at_the_limit.partition, at_the_limit.sort) == as_read(at_the_limit)


_updates = st.builds(
    lambda sort, version, value: (sort, version, value),
    st.sampled_from("abcd"),
    st.sampled_from([0, 1, 2, 9, 10, 2**53, 2**53 + 1, LARGEST]),
    st.integers(0, 9),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.lists(_updates, max_size=6), max_size=6))
def test_any_order_of_writes_leaves_the_highest_version_and_versions_never_fall(
    store: Store, batches: list[list[tuple[str, int, int]]]
) -> None:
    partition = f"device#{uuid4().hex}"
    newest: dict[str, int] = {}
    for batch in batches:
        store.writer.write([row(sort, version, value, partition=partition) for sort, version, value in batch])
        for sort, version, _ in batch:
            newest[sort] = max(version, newest.get(sort, 0))
        assert {found.sort: found.version for found in store.reader.range(partition)} == newest
