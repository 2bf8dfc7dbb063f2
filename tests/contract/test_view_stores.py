"""What every view store promises, asked of each: memory, and DynamoDB and Redis at two generations."""

import random
import time
from collections.abc import Sequence
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from telefold.schemas.view_rows import Value, ViewRow, ViewUpdate
from telefold.schemas.view_stores import WriteResult
from tests.support.view_rows import LARGEST, as_read, row
from tests.support.view_stores import Store, put

FAR = int(time.time()) + 3_600
PAST = int(time.time()) - 3_600


def sorts(rows: Sequence[ViewRow]) -> list[str]:
    return [found.sort for found in rows]


def test_a_written_row_is_read_as_it_was(store: Store) -> None:
    written = row("latest#temp", 7, 21.5, FAR)
    assert store.writer.write([written]) == WriteResult(1, 0)
    assert store.reader.get("device#1", "latest#temp") == as_read(written)


def test_texts_and_truths_are_read_as_they_were(store: Store) -> None:
    """As rows of folds in Python hold them: a text of digits stays a text, and a truth is no number."""
    data: dict[str, Value] = {
        "status": "offline",
        "digits": "42",
        "empty": "",
        "ünïcode": "☃",
        "open": True,
        "closed": False,
        "count": 1,
    }
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
