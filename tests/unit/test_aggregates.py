"""Aggregates of the Kinesis Producer Library, read as AWS's consumers read them."""

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telefold.connectors.aggregates import HashKeys, UserRecord, kept_key, user_records
from tests.support.aggregates import MAGIC, aggregate, sealed

EVERYTHING = HashKeys(0, 2**128 - 1)
KEYS = json.loads((Path(__file__).parents[1] / "golden" / "partition_keys.json").read_text("utf-8"))


def hashed(key: str) -> int:
    return int.from_bytes(hashlib.md5(key.encode(), usedforsecurity=False).digest())


@given(st.lists(st.tuples(st.text(max_size=300), st.binary(max_size=300)), min_size=1, max_size=200))
def test_what_was_aggregated_comes_back_in_its_order(records: list[tuple[str, bytes]]) -> None:
    assert user_records(aggregate(records), EVERYTHING) == [UserRecord(kept_key(key), data) for key, data in records]


@given(st.binary() | st.binary().map(lambda data: MAGIC + data) | st.binary().map(sealed))
def test_whatever_bytes_a_record_has_it_is_read(data: bytes) -> None:
    found = user_records(data, EVERYTHING)
    assert found is None or data.startswith(MAGIC)


AGGREGATE = aggregate([("k", b"1"), ("k", b"2")])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        MAGIC,
        AGGREGATE[1:],
        AGGREGATE[:-1],
        AGGREGATE[:10] + b"x" + AGGREGATE[11:],
        MAGIC + hashlib.md5(b"", usedforsecurity=False).digest(),
        sealed(b"\x1a\x7f"),
        sealed(b"\x1b"),
        sealed(b"\x08" + b"\xff" * 11),
        sealed(b"\x1a\x02\x08\x00"),
    ],
)
def test_what_is_no_aggregate_is_a_record_as_it_is(data: bytes) -> None:
    assert user_records(data, EVERYTHING) is None


def test_fields_that_are_not_known_are_passed_over() -> None:
    known = AGGREGATE[len(MAGIC) : -16]
    unknown = b"\x20\x01" + b"\x29" + bytes(8) + b"\x35" + bytes(4) + b"\x3a\x01x"
    assert user_records(sealed(unknown + known + unknown), EVERYTHING) == user_records(AGGREGATE, EVERYTHING)


def test_an_aggregate_with_a_record_of_another_shard_holds_nothing() -> None:
    one, two = sorted(("a", "b"), key=hashed)
    first_half = HashKeys(0, hashed(one))
    assert user_records(aggregate([(one, b"1")]), first_half) == [UserRecord(one, b"1")]
    assert user_records(aggregate([(one, b"1"), (two, b"2")]), first_half) == []
    assert user_records(aggregate([(one, b"1"), (two, b"2")], hash_key=0), first_half) == [
        UserRecord(one, b"1"),
        UserRecord(two, b"2"),
    ]


def test_records_behind_one_without_a_key_are_left_out() -> None:
    whole = AGGREGATE[len(MAGIC) : -16]
    assert user_records(sealed(whole + b"\x1a\x05\x08\x07\x1a\x01x"), EVERYTHING) == [
        UserRecord("k", b"1"),
        UserRecord("k", b"2"),
    ]


def test_a_key_that_kinesis_would_refuse_is_kept_in_part() -> None:
    records = user_records(aggregate([(case["key"], b"1") for case in KEYS]), EVERYTHING)
    assert records == [UserRecord(case["kept"], b"1") for case in KEYS]
    assert all(1 <= len(case["kept"]) <= 256 for case in KEYS)
