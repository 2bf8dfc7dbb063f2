"""A Kinesis stream as a log: records appended in order, and read back up to its present end."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, NamedTuple, ParamSpec, Protocol, TypeVar

import botocore.exceptions as botocore_errors
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from telefold.connectors.aggregates import HashKeys, user_records
from telefold.schemas.errors import StreamError
from telefold.schemas.log_records import LogRecord, Positions, by_arrival, position_order, split_position

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient
    from mypy_boto3_kinesis.type_defs import (
        GetShardIteratorInputTypeDef,
        ListShardsInputTypeDef,
        PutRecordsOutputTypeDef,
        PutRecordsRequestEntryTypeDef,
        RecordTypeDef,
    )

MAX_RECORDS_A_CALL = 500
MAX_BYTES_A_CALL = 5 * 1024 * 1024
MAX_RECORD_BYTES = 1024 * 1024
MAX_RECORDS_A_READ = 10_000
PATIENCE_SECONDS = 60.0
_PASSING = {
    "InternalFailure",
    "InternalFailureException",
    "KMSThrottlingException",
    "LimitExceededException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ServiceUnavailable",
    "ThrottlingException",
}

P = ParamSpec("P")
T = TypeVar("T")


class Appendable(Protocol):
    """A record that can be appended; Kinesis bounds data and key together to 1 MiB."""

    @property
    def data(self) -> bytes: ...

    @property
    def partition_key(self) -> str: ...


class NewRecord(NamedTuple):
    """A record that has nothing but its data and its partition key."""

    data: bytes
    partition_key: str


A = TypeVar("A", bound=Appendable)


class MissingStream(StreamError):
    """No stream has this name in this account and region."""


class StreamUnavailable(StreamError):
    """The stream cannot be used now; trying again may help."""


class _ExpiredIterator(StreamError):
    """Five minutes passed between two reads of a shard; a new iterator is needed."""


def check_stream(client: "KinesisClient", stream: str) -> None:
    """Raise StreamError, at once, unless the stream is there."""
    _call(client, stream, client.describe_stream_summary, StreamName=stream)


def present(client: "KinesisClient", stream: str) -> int:
    """The present time, in epoch milliseconds, by the clock of Kinesis, whose answers have the second."""
    answer = _patiently(client, stream, client.describe_stream_summary, StreamName=stream)
    return round(parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"]).timestamp() * 1_000)


def batches(records: Iterable[A]) -> Iterator[list[A]]:
    """The records in order, in lists that one PutRecords call may hold."""
    batch: list[A] = []
    held = 0
    for record in records:
        size = _size(record)
        if batch and (len(batch) == MAX_RECORDS_A_CALL or held + size > MAX_BYTES_A_CALL):
            yield batch
            batch, held = [], 0
        batch.append(record)
        held += size
    if batch:
        yield batch


def append(
    client: "KinesisClient", stream: str, batch: Sequence[Appendable], patience: float = PATIENCE_SECONDS
) -> None:
    """Put one of `batches` into the stream; return once Kinesis has acknowledged every record.

    Refused records are sent again, alone and in their order, so that no record of a later call overtakes them;
    inside one call Kinesis promises no order. A call whose answer was lost is sent again whole, so a
    record may be in the log twice. Raises StreamError when `patience` seconds did not help.
    """
    waiting: list[PutRecordsRequestEntryTypeDef] = [
        {"Data": record.data, "PartitionKey": record.partition_key} for record in batch
    ]
    for attempt in _retrying(patience):
        with attempt:
            answer = _call(client, stream, client.put_records, StreamName=stream, Records=waiting)
            waiting = _refused(waiting, answer)
            if waiting:
                code = next(result["ErrorCode"] for result in answer["Records"] if "ErrorCode" in result)
                raise StreamUnavailable(
                    f"The stream {stream} refuses {len(waiting)} records ({code}): give it more shards or lower --rate."
                )


def read_stream(client: "KinesisClient", stream: str) -> Iterator[LogRecord]:
    """Every record from the oldest kept to the present end, by arrival: so parents come before their children."""
    return read_behind(client, stream, {})


def read_behind(client: "KinesisClient", stream: str, positions: Positions) -> Iterator[LogRecord]:
    """Read records by arrival, each shard from right behind its position; one without from its oldest record.

    A position in a shard that the stream has since dropped is passed over. Records that a producer aggregated come one
    by one, as the job reads them.
    """
    check_stream(client, stream)
    yield from by_arrival(
        {
            shard: _read_shard(client, stream, shard, keys, positions.get(shard))
            for shard, keys in _shards(client, stream).items()
        }
    )


def dropped(client: "KinesisClient", stream: str, positions: Positions) -> Iterator[LogRecord]:
    """The oldest record that each shard still holds, where that lies behind the shard's position.

    The record at the position has been dropped then, and so may have been others that lay between the two.
    """
    for shard, keys in sorted(_shards(client, stream).items()):
        if (position := positions.get(shard)) is not None:
            first = next(_read_shard(client, stream, shard, keys, position, inclusive=True), None)
            if first is not None and position_order(first.position) > position_order(position):
                yield first


def _size(record: Appendable) -> int:
    size = len(record.data) + len(record.partition_key.encode())
    if size > MAX_RECORD_BYTES:
        raise StreamError(f"A record of {record.partition_key} has {size} bytes, and Kinesis takes {MAX_RECORD_BYTES}.")
    return size


def _refused(entries: Sequence[T], answer: "PutRecordsOutputTypeDef") -> list[T]:
    results = zip(entries, answer["Records"], strict=True)
    return [entry for entry, result in results if "ErrorCode" in result]


def _shards(client: "KinesisClient", stream: str) -> dict[str, HashKeys]:
    shards: dict[str, HashKeys] = {}
    request: ListShardsInputTypeDef = {"StreamName": stream}
    while True:
        answer = _patiently(client, stream, client.list_shards, **request)
        for shard in answer["Shards"]:
            keys = shard["HashKeyRange"]
            shards[shard["ShardId"]] = HashKeys(int(keys["StartingHashKey"]), int(keys["EndingHashKey"]))
        if not (token := answer.get("NextToken")):
            return shards
        request = {"NextToken": token}


def _read_shard(
    client: "KinesisClient", stream: str, shard: str, keys: HashKeys, after: str | None, *, inclusive: bool = False
) -> Iterator[LogRecord]:
    iterator: str | None = _iterator(client, stream, shard, after, inclusive)
    while iterator:
        try:
            answer = _patiently(client, stream, client.get_records, ShardIterator=iterator, Limit=MAX_RECORDS_A_READ)
        except _ExpiredIterator:
            iterator = _iterator(client, stream, shard, after, inclusive)
            continue
        for record in answer["Records"]:
            last = None if after is None or inclusive else position_order(after)
            for one in _log_records(shard, keys, record):
                if last is None or position_order(one.position) > last:
                    yield one
                after, inclusive = one.position, False
        if answer["MillisBehindLatest"] == 0 and len(answer["Records"]) < MAX_RECORDS_A_READ:
            return
        iterator = answer.get("NextShardIterator")


def _iterator(client: "KinesisClient", stream: str, shard: str, after: str | None, inclusive: bool = False) -> str:
    request: GetShardIteratorInputTypeDef = {
        "StreamName": stream,
        "ShardId": shard,
        "ShardIteratorType": "TRIM_HORIZON",
    }
    if after is not None:
        number, sub = split_position(after)
        is_behind = sub is None and not inclusive
        request["ShardIteratorType"] = "AFTER_SEQUENCE_NUMBER" if is_behind else "AT_SEQUENCE_NUMBER"
        request["StartingSequenceNumber"] = number
    return _patiently(client, stream, client.get_shard_iterator, **request)["ShardIterator"]


def _log_records(shard: str, keys: HashKeys, record: "RecordTypeDef") -> list[LogRecord]:
    arrival = round(record["ApproximateArrivalTimestamp"].timestamp() * 1000)
    number = record["SequenceNumber"]
    aggregated = user_records(record["Data"], keys)
    if aggregated is None:
        return [LogRecord(record["Data"], arrival, record["PartitionKey"], shard, number)]
    return [
        LogRecord(one.data, arrival, one.partition_key, shard, number, place) for place, one in enumerate(aggregated)
    ]


def _retrying(patience: float) -> Retrying:
    return Retrying(
        retry=retry_if_exception_type(StreamUnavailable),
        wait=wait_random_exponential(multiplier=0.05, max=2),
        stop=stop_after_delay(patience),
        reraise=True,
    )


def _patiently(
    client: "KinesisClient", stream: str, operation: Callable[P, T], *args: P.args, **request: P.kwargs
) -> T:
    return _retrying(PATIENCE_SECONDS)(lambda: _call(client, stream, operation, *args, **request))


def _call(client: "KinesisClient", stream: str, operation: Callable[P, T], *args: P.args, **request: P.kwargs) -> T:
    """The answer to one request; what AWS or the network raises becomes a StreamError that says who must act."""
    endpoint = client.meta.endpoint_url
    try:
        return operation(*args, **request)
    except botocore_errors.ClientError as error:
        raise _translated(error, client, stream) from error
    except (botocore_errors.ConnectionError, botocore_errors.HTTPClientError) as error:
        raise StreamUnavailable(f"Kinesis cannot be reached at {endpoint}: {_way_out(endpoint)}.") from error
    except botocore_errors.BotoCoreError as error:
        raise StreamError(
            f"The request on the stream {stream} could not be made ({error}): check the AWS credentials and region."
        ) from error


def _way_out(endpoint: str) -> str:
    if endpoint.startswith("http://"):
        return "start it with `telefold local up`, or correct telefold.source/aws.endpoint"
    return "check the network and telefold.source/aws.region"


def _translated(error: botocore_errors.ClientError, client: "KinesisClient", stream: str) -> StreamError:
    code, said = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
    region, endpoint = client.meta.region_name, client.meta.endpoint_url
    if code == "ResourceNotFoundException":
        return MissingStream(
            f"There is no stream {stream} in {region} at {endpoint}: create it, or correct name, region or endpoint."
        )
    kind = (
        _ExpiredIterator
        if code == "ExpiredIteratorException"
        else StreamUnavailable
        if code in _PASSING
        else StreamError
    )
    return kind(f"Kinesis does not accept {error.operation_name} on the stream {stream} in {region} ({code}: {said}).")
