from base64 import b64encode
from collections.abc import Iterator
from typing import TYPE_CHECKING
from uuid import uuid4

import orjson
import pytest

from telefold.connectors.dead_letters import DeadLetter, read_dead_letters
from telefold.connectors.event_log import append
from telefold.simulator.generator import GeneratedRecord

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

IDENTITY = ("shardId-000000000001", "4711")


@pytest.fixture
def stream(client: "KinesisClient") -> Iterator[str]:
    name = f"dead-letters-{uuid4().hex[:8]}"
    client.create_stream(StreamName=name, ShardCount=2)
    client.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig={"Delay": 1})
    yield name
    client.delete_stream(StreamName=name)


def record(payload: bytes, identity: tuple[str, str] = IDENTITY, **part: int) -> bytes:
    shard, sequence_number = identity
    fields = {
        "reason": "bad_header",
        "detail": "no header",
        "payload": b64encode(payload).decode(),
        "partition_key": "device-1",
        "shard": shard,
        "sequence_number": sequence_number,
        "arrival": 1_769_860_800_000,
    }
    return orjson.dumps(fields | part)


def written(client: "KinesisClient", stream: str, *values: bytes) -> list[DeadLetter]:
    for number, value in enumerate(values):
        append(client, stream, [GeneratedRecord(value, str(number % 2), "event")])
    return list(read_dead_letters(client, stream))


def test_a_letter_holds_the_exact_bytes_and_where_they_lay(client: "KinesisClient", stream: str) -> None:
    payload = bytes(range(256))
    expected = DeadLetter("bad_header", "no header", payload, "device-1", *IDENTITY, 1_769_860_800_000)
    assert written(client, stream, record(payload)) == [expected]


def test_a_letter_without_bytes(client: "KinesisClient", stream: str) -> None:
    assert [letter.payload for letter in written(client, stream, record(b""))] == [b""]


def test_letters_of_one_aggregate_are_told_apart(client: "KinesisClient", stream: str) -> None:
    letters = written(
        client,
        stream,
        record(b"x", sub_sequence_number=0),
        record(b"y", sub_sequence_number=1),
        record(b"y", sub_sequence_number=1),
        record(b"z"),
    )
    assert {letter.identity: letter.payload for letter in letters} == {
        "shardId-000000000001:4711:0": b"x",
        "shardId-000000000001:4711:1": b"y",
        "shardId-000000000001:4711": b"z",
    }
    assert len(letters) == 3


def test_a_letter_delivered_again_is_one_letter(client: "KinesisClient", stream: str) -> None:
    other = record(b"other", ("shardId-000000000001", "4712"))
    letters = written(client, stream, record(b"x"), other, record(b"x"), record(b"x"))
    assert sorted(letter.payload for letter in letters) == [b"other", b"x"]


def test_parts_are_joined_in_any_order_and_however_often_they_came(client: "KinesisClient", stream: str) -> None:
    large = bytes(700_000) + b"x" * 600_000
    first, second = record(large[:700_000], part=1, parts=2), record(large[700_000:], part=2, parts=2)
    letters = written(client, stream, second, second, first, first, second)
    assert [letter.payload for letter in letters] == [large]


def test_what_is_no_letter_is_left_out_and_warned_of(
    client: "KinesisClient", stream: str, caplog: pytest.LogCaptureFixture
) -> None:
    letters = written(client, stream, b"\xc3\x01junk", record(b"x"), b"{}", record(b"y", ("s", "1"), part=1, parts=2))
    assert [letter.payload for letter in letters] == [b"x"]
    assert [message.split(";")[0] for message in caplog.messages] == [
        f"2 records of {stream} are not dead letters",
        f"1 dead letters of {stream} lack parts",
    ]
