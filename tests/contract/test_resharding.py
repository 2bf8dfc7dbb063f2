"""Shards that are split and merged while records come, as the local Kinesis has them and as Kinesis does."""

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from telefold.connectors.event_log import append, batches, read_stream
from telefold.simulator.generator import GeneratedRecord

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient
    from mypy_boto3_kinesis.literals import ShardIteratorTypeType

FIRST, SECOND, THIRD, FOURTH = (f"shardId-{number:012}" for number in range(4))
HALF = str(2**127)
LAST = str(2**128 - 1)


@pytest.fixture
def stream(client: "KinesisClient") -> Iterator[str]:
    """With one shard."""
    name = f"events-{uuid4().hex[:8]}"
    client.create_stream(StreamName=name, ShardCount=1)
    client.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig={"Delay": 1})
    yield name
    client.delete_stream(StreamName=name)


def put(client: "KinesisClient", stream: str, data: str, hash_key: str = "0") -> str:
    """The shard that it went to."""
    answer = client.put_record(StreamName=stream, Data=data, PartitionKey="key", ExplicitHashKey=hash_key)
    return str(answer["ShardId"])


def split(client: "KinesisClient", stream: str, shard: str = FIRST, at: str = HALF) -> None:
    client.split_shard(StreamName=stream, ShardToSplit=shard, NewStartingHashKey=at)


def merge(client: "KinesisClient", stream: str, shard: str, adjacent: str) -> None:
    client.merge_shards(StreamName=stream, ShardToMerge=shard, AdjacentShardToMerge=adjacent)


def shards(client: "KinesisClient", stream: str) -> dict[str, Any]:
    return {shard["ShardId"]: shard for shard in client.list_shards(StreamName=stream)["Shards"]}


def open_shards(client: "KinesisClient", stream: str) -> set[str]:
    found = shards(client, stream)
    return {name for name in found if "EndingSequenceNumber" not in found[name]["SequenceNumberRange"]}


def iterator_of(
    client: "KinesisClient", stream: str, shard: str, kind: "ShardIteratorTypeType" = "TRIM_HORIZON"
) -> str:
    return client.get_shard_iterator(StreamName=stream, ShardId=shard, ShardIteratorType=kind)["ShardIterator"]


def read(client: "KinesisClient", stream: str, shard: str, limit: int = 10) -> tuple[list[str], bool]:
    """What it holds, and whether it ended there."""
    found: list[str] = []
    iterator: str | None = iterator_of(client, stream, shard)
    while iterator:
        answer = client.get_records(ShardIterator=iterator, Limit=limit)
        found += [record["Data"].decode() for record in answer["Records"]]
        iterator = answer.get("NextShardIterator")
        if iterator and not answer["Records"]:
            return found, False
    return found, True


def numbers(client: "KinesisClient", stream: str, shard: str) -> list[int]:
    answer = client.get_records(ShardIterator=iterator_of(client, stream, shard))
    return [int(record["SequenceNumber"]) for record in answer["Records"]]


def test_a_split_shard_keeps_its_records_and_ends(client: "KinesisClient", stream: str) -> None:
    for data in "abc":
        put(client, stream, data)
    split(client, stream)
    assert read(client, stream, FIRST) == (["a", "b", "c"], True)
    assert read(client, stream, FIRST, limit=2) == (["a", "b", "c"], True)
    assert read(client, stream, SECOND) == read(client, stream, THIRD) == ([], False)
    assert open_shards(client, stream) == {SECOND, THIRD}
    assert {shards(client, stream)[child]["ParentShardId"] for child in (SECOND, THIRD)} == {FIRST}


def test_new_records_go_to_the_children_by_their_keys(client: "KinesisClient", stream: str) -> None:
    split(client, stream)
    keys = ["0", str(2**127 - 1), HALF, LAST]
    assert [put(client, stream, key, key) for key in keys] == [SECOND, SECOND, THIRD, THIRD]
    assert read(client, stream, FIRST) == ([], True)
    assert read(client, stream, THIRD) == ([HALF, LAST], False)


def test_a_reader_that_was_at_the_end_of_the_parent_is_told_of_it(client: "KinesisClient", stream: str) -> None:
    put(client, stream, "a")
    iterator = client.get_records(ShardIterator=iterator_of(client, stream, FIRST))["NextShardIterator"]
    latest = iterator_of(client, stream, FIRST, "LATEST")
    split(client, stream)
    for at in (iterator, latest):
        answer = client.get_records(ShardIterator=at)
        assert answer["Records"] == []
        assert "NextShardIterator" not in answer


def test_merged_shards_keep_their_records_and_end(client: "KinesisClient", stream: str) -> None:
    split(client, stream)
    put(client, stream, "low")
    put(client, stream, "high", LAST)
    merge(client, stream, SECOND, THIRD)
    assert put(client, stream, "both", LAST) == FOURTH
    assert read(client, stream, SECOND) == (["low"], True)
    assert read(client, stream, THIRD) == (["high"], True)
    assert read(client, stream, FOURTH) == (["both"], False)
    child = shards(client, stream)[FOURTH]
    assert {child["ParentShardId"], child["AdjacentParentShardId"]} == {SECOND, THIRD}
    assert child["HashKeyRange"] == {"StartingHashKey": "0", "EndingHashKey": LAST}


def test_a_shard_merges_with_the_one_below_it(client: "KinesisClient", stream: str) -> None:
    split(client, stream)
    merge(client, stream, THIRD, SECOND)
    assert open_shards(client, stream) == {FOURTH}


def test_numbers_of_a_child_are_greater_than_those_of_its_parents(client: "KinesisClient", stream: str) -> None:
    for data in "abc":
        put(client, stream, data)
    split(client, stream)
    put(client, stream, "d", LAST)
    merge(client, stream, SECOND, THIRD)
    put(client, stream, "e")
    assert numbers(client, stream, FIRST) == [1, 2, 3]
    assert numbers(client, stream, THIRD) == [4]
    assert numbers(client, stream, FOURTH) == [5]


def test_the_log_has_parents_before_their_children(client: "KinesisClient", stream: str) -> None:
    put(client, stream, "a")
    split(client, stream)
    put(client, stream, "b", LAST)
    assert [record.data for record in read_stream(client, stream)] == [b"a", b"b"]


def test_only_open_and_adjacent_shards_are_split_and_merged(client: "KinesisClient", stream: str) -> None:
    split(client, stream)
    with refused(client):
        split(client, stream)
    split(client, stream, SECOND, str(2**126))
    with refused(client):
        merge(client, stream, SECOND, THIRD)
    with refused(client):
        merge(client, stream, FOURTH, THIRD)
    with refused(client):
        split(client, stream, THIRD, "5")
    assert len(open_shards(client, stream)) == 3


@contextmanager
def refused(client: "KinesisClient") -> Iterator[None]:
    with pytest.raises(client.exceptions.InvalidArgumentException):
        yield


def test_the_number_of_open_shards_follows(client: "KinesisClient", stream: str) -> None:
    for target in (2, 4, 3):
        client.update_shard_count(StreamName=stream, TargetShardCount=target, ScalingType="UNIFORM_SCALING")
        summary = client.describe_stream_summary(StreamName=stream)["StreamDescriptionSummary"]
        assert summary["OpenShardCount"] == len(open_shards(client, stream)) == target


def test_no_record_is_lost_and_each_key_keeps_its_order_while_shards_change(
    client: "KinesisClient", stream: str
) -> None:
    done = threading.Event()

    def reshard() -> None:
        while not done.wait(0.02):
            (low, *others) = sorted(open_shards(client, stream))
            if others:
                merge(client, stream, low, others[0])
            else:
                split(client, stream, low)

    resharding = threading.Thread(target=reshard)
    resharding.start()
    for batch in batches(GeneratedRecord(b"%d" % n, f"device-{n % 7}", "event") for n in range(8_000)):
        append(client, stream, batch)
    done.set()
    resharding.join()
    log = list(read_stream(client, stream))
    assert len(shards(client, stream)) > 4
    for key, records in itertools.groupby(
        sorted(log, key=lambda one: one.partition_key), lambda one: one.partition_key
    ):
        assert [int(one.data) for one in records] == list(range(int(key[-1]), 8_000, 7))
