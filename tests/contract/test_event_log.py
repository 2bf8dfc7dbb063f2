"""The event log over a real Kinesis API, and over one that refuses records, throttles and loses connections."""

import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import botocore.exceptions
import pytest

from telefold.connectors import aws, event_log
from telefold.connectors.event_log import append, batches, check_stream, dropped, read_behind, read_stream
from telefold.deploy.local.tables import REGION
from telefold.schemas.errors import StreamError
from telefold.schemas.log_records import LogRecord, position_order
from telefold.simulator.generator import GeneratedRecord
from telefold.simulator.produce import send
from tests.support.aggregates import aggregate
from tests.support.stand_in import stand_in

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient


@pytest.fixture
def stream(client: "KinesisClient") -> Iterator[str]:
    name = f"events-{uuid4().hex[:8]}"
    client.create_stream(StreamName=name, ShardCount=3)
    client.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig={"Delay": 1})
    yield name
    client.delete_stream(StreamName=name)


Trouble = Callable[[str, dict[str, Any]], Any]


class Troubled:
    """The real client, but `trouble` sees each operation's request first and may answer it or raise."""

    def __init__(self, client: "KinesisClient", trouble: Trouble) -> None:
        self._client = client
        self._trouble = trouble

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._client, name)
        if name in ("meta", "exceptions"):
            return attribute
        return lambda **request: self._trouble(name, request) or attribute(**request)


def troubled(client: "KinesisClient", trouble: Trouble) -> "KinesisClient":
    made: KinesisClient = stand_in(Troubled(client, trouble))
    return made


def refusing(
    client: "KinesisClient", share: float, code: str = "ProvisionedThroughputExceededException"
) -> "KinesisClient":
    """Kinesis that refuses records here and there, and stores the others of the call."""
    dice = random.Random(1)

    def trouble(name: str, request: dict[str, Any]) -> Any:
        if name != "put_records":
            return None
        refused = [dice.random() < share for _ in request["Records"]]
        taken = [entry for entry, no in zip(request["Records"], refused, strict=True) if not no]
        stored = iter(client.put_records(StreamName=request["StreamName"], Records=taken)["Records"] if taken else ())
        return {"Records": [{"ErrorCode": code, "ErrorMessage": ""} if no else next(stored) for no in refused]}

    return troubled(client, trouble)


def failing(client: "KinesisClient", times: int, error: Exception, operation: str = "put_records") -> "KinesisClient":
    left = iter(range(times))

    def trouble(name: str, request: dict[str, Any]) -> Any:
        if name == operation and next(left, None) is not None:
            raise error

    return troubled(client, trouble)


def client_error(code: str) -> Exception:
    error: Exception = botocore.exceptions.ClientError({"Error": {"Code": code, "Message": "no"}}, "Operation")
    return error


def records(count: int, keys: int = 7) -> list[GeneratedRecord]:
    return [GeneratedRecord(f"{number}".encode(), f"device-{number % keys}", "event") for number in range(count)]


def by_key(log: Iterator[LogRecord]) -> dict[str, list[int]]:
    found = defaultdict(list)
    for record in log:
        found[record.partition_key].append(int(record.data))
    return found


def in_order(count: int, keys: int = 7) -> dict[str, list[int]]:
    return {f"device-{key}": list(range(key, count, keys)) for key in range(keys)}


def test_what_was_appended_is_read_back_in_the_order_of_each_key(client: "KinesisClient", stream: str) -> None:
    for batch in batches(records(1_234)):
        append(client, stream, batch)
    log = list(read_stream(client, stream))
    assert by_key(iter(log)) == in_order(1_234)
    assert len({(record.shard, record.sequence_number) for record in log}) == 1_234
    assert [record.arrival for record in log] == sorted(record.arrival for record in log)
    assert all(record.arrival > 1_700_000_000_000 for record in log)


def test_a_record_without_bytes_survives(client: "KinesisClient", stream: str) -> None:
    append(client, stream, [GeneratedRecord(b"", "device-1", "poison")])
    assert [record.data for record in read_stream(client, stream)] == [b""]


def test_a_shard_is_read_in_several_steps(
    client: "KinesisClient", stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_log, "MAX_RECORDS_A_READ", 10)
    for batch in batches(records(100)):
        append(client, stream, batch)
    assert by_key(read_stream(client, stream)) == in_order(100)


def test_each_shard_is_read_from_behind_its_position(client: "KinesisClient", stream: str) -> None:
    append(client, stream, records(100, keys=50))
    before = list(read_stream(client, stream))
    first, second, third = sorted({record.shard for record in before})
    positions = {
        first: max((record.sequence_number for record in before if record.shard == first), key=position_order),
        second: next(record.sequence_number for record in before if record.shard == second),
        "shardId-999999999999": "1",
    }
    behind = list(read_behind(client, stream, positions))
    assert behind == [record for record in before if not record.is_within(positions)]
    assert first not in {record.shard for record in behind}
    assert [record for record in behind if record.shard == third] == [r for r in before if r.shard == third]
    append(client, stream, records(10))
    assert len(list(read_behind(client, stream, positions))) == len(behind) + 10


def test_records_of_an_aggregate_are_read_one_by_one_and_from_within(client: "KinesisClient", stream: str) -> None:
    aggregated = [("device-1", str(number).encode()) for number in range(1, 5)]
    append(client, stream, [GeneratedRecord(b"0", "device-1", "event")])
    append(client, stream, [GeneratedRecord(aggregate(aggregated), "device-1", "event")])
    append(client, stream, [GeneratedRecord(b"5", "device-1", "event")])
    log = list(read_stream(client, stream))
    assert [one.data for one in log] == [b"0", b"1", b"2", b"3", b"4", b"5"]
    assert [one.sub_sequence_number for one in log] == [None, 0, 1, 2, 3, None]
    assert {one.partition_key for one in log} == {"device-1"}
    assert len({one.position for one in log}) == 6
    for number, one in enumerate(log):
        assert list(read_behind(client, stream, {one.shard: one.position})) == log[number + 1 :]
        assert [other.is_within({one.shard: one.position}) for other in log] == [
            before <= number for before in range(6)
        ]


def test_a_position_whose_record_the_stream_has_dropped_is_told(client: "KinesisClient", stream: str) -> None:
    append(client, stream, records(100, keys=50))
    append(client, stream, [GeneratedRecord(aggregate([("k", b"1"), ("k", b"2")]), "k", "event")])
    log = list(read_stream(client, stream))
    firsts = {one.shard: one for one in reversed(log)}
    kept = [{one.shard: one.position} for one in log]
    assert [list(dropped(client, stream, positions)) for positions in kept] == [[]] * len(log)
    before = {shard: str(int(first.sequence_number) - 1) for shard, first in firsts.items()}
    assert list(dropped(client, stream, before)) == [firsts[shard] for shard in sorted(firsts)]
    assert list(dropped(client, stream, {"shardId-999999999999": "1"})) == []


def test_refused_records_are_sent_again_before_later_calls(client: "KinesisClient", stream: str) -> None:
    keys = 500  # one record of each key a call: whatever is refused, no key may lose its order
    send(refusing(client, 0.3), stream, records(2_000, keys))
    assert by_key(read_stream(client, stream)) == in_order(2_000, keys)


def test_only_refused_records_are_sent_again(client: "KinesisClient", stream: str) -> None:
    append(refusing(client, 0.5), stream, records(100))
    assert sorted(int(record.data) for record in read_stream(client, stream)) == list(range(100))


def test_a_stream_that_refuses_for_long_is_reported(client: "KinesisClient", stream: str) -> None:
    with pytest.raises(StreamError, match=r"refuses 3 records .*more shards"):
        append(refusing(client, 1.0), stream, records(3), patience=0.2)


@pytest.mark.parametrize(
    "error",
    [
        botocore.exceptions.EndpointConnectionError(endpoint_url="http://127.0.0.1"),
        botocore.exceptions.ConnectionClosedError(endpoint_url="http://127.0.0.1"),
        botocore.exceptions.ReadTimeoutError(endpoint_url="http://127.0.0.1"),
        client_error("ProvisionedThroughputExceededException"),
        client_error("InternalFailure"),
    ],
)
@pytest.mark.parametrize("operation", ["put_records", "get_records"])
def test_passing_failures_are_waited_out(
    client: "KinesisClient", stream: str, error: Exception, operation: str
) -> None:
    passing = failing(client, 2, error, operation)
    append(passing, stream, records(20))
    assert by_key(read_stream(passing, stream)) == in_order(20)


def test_an_expired_iterator_is_replaced(client: "KinesisClient", stream: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_log, "MAX_RECORDS_A_READ", 10)
    for batch in batches(records(100)):
        append(client, stream, batch)
    reads = iter(range(100))

    def trouble(name: str, request: dict[str, Any]) -> Any:
        if name == "get_records" and next(reads) % 3 == 1:
            raise client_error("ExpiredIteratorException")

    assert by_key(read_stream(troubled(client, trouble), stream)) == in_order(100)


def test_a_missing_stream_is_named_with_its_region(client: "KinesisClient", kinesis_endpoint: str, stream: str) -> None:
    elsewhere = aws.client("kinesis", "eu-west-1", kinesis_endpoint)
    with pytest.raises(StreamError, match=f"no stream {stream} in eu-west-1"):
        check_stream(elsewhere, stream)
    with pytest.raises(StreamError, match="no stream none in us-east-1"):
        list(read_stream(client, "none"))
    elsewhere.close()


def test_a_silent_server_is_named_with_what_starts_it() -> None:
    client = aws.client("kinesis", REGION, "http://127.0.0.1:9", attempts=1)
    with pytest.raises(StreamError, match=r"cannot be reached at http://127.0.0.1:9: .*local up"):
        check_stream(client, "events")


def test_other_refusals_say_what_aws_said(client: "KinesisClient", stream: str) -> None:
    with pytest.raises(StreamError, match="AccessDeniedException: no"):
        append(failing(client, 9, client_error("AccessDeniedException")), stream, records(1))


def test_batches_stay_inside_the_limits_of_a_call() -> None:
    assert [len(batch) for batch in batches(records(1_100))] == [500, 500, 100]
    large = [GeneratedRecord(bytes(1_000_000), "k", "event")] * 11
    assert [len(batch) for batch in batches(large)] == [5, 5, 1]
    assert list(batches([])) == []


def test_a_record_that_no_call_takes_is_named() -> None:
    with pytest.raises(StreamError, match="device-1 has 1048577 bytes"):
        list(batches([GeneratedRecord(bytes(1024 * 1024 - 7), "device-1", "event")]))
