"""The job's source and sinks of records: Flink's own Kinesis and file connectors, and the edge's (de)serialisers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pyflink.datastream import DataStream, StreamExecutionEnvironment
from pyflink.java_gateway import get_gateway

from connectors import aws
from connectors.archive import is_in_s3
from connectors.archive_reading import ArchiveReading, Between, Following
from schemas.archived_record import SCHEMA_TEXT
from schemas.codec import readings_json
from schemas.limits import limits_json
from schemas.log_records import Positions

_FOR_EVER = str(2**31 - 1)
_FOR_AS_LONG = {
    "flink.shard.getrecords.maxretries": _FOR_EVER,
    "flink.shard.getiterator.maxretries": _FOR_EVER,
    "flink.list.shards.maxretries": _FOR_EVER,
}
"""As an outage takes."""
_LOOK_FOR_SHARDS_MS = 2_000
"""A subtask makes one ListShards of the thousand a second that Kinesis takes for a stream."""
_LOOK_FOR_FILES_MS = 500
_LOOK_FOR_FILES_IN_S3_MS = 5_000
_LARGEST_PART_BYTES = 128 * 1024 * 1024


@dataclass(frozen=True)
class KinesisEvents:
    """Where events are read and how far apart in time they may be. Durations are in milliseconds."""

    stream: str
    region: str
    endpoint: str | None
    initial_position: str
    initial_timestamp: datetime | None
    consumer_name: str | None
    max_out_of_orderness_ms: int
    shard_idle_ms: int


def read_events(
    environment: StreamExecutionEnvironment, source: KinesisEvents, reading: ArchiveReading | None = None
) -> DataStream:
    """Every record of the stream, or of what `reading` says, as an `EventRow`; rejected ones carry their reason.

    The stream is polled, or read by enhanced fan-out where `consumer_name` is given. Outages of Kinesis are waited out.
    What a shard holds comes after all of the shards that were split or merged into it.
    """
    archive = None if reading is None else _archive_reading(reading)
    consumer = _edge().EventSource(source.stream, _decoder(), _java_properties(_consumer(source)), archive)
    consumer.setPeriodicWatermarkAssigner(_edge().ShardEventTime(source.max_out_of_orderness_ms, source.shard_idle_ms))
    stream = environment._j_stream_execution_environment.addSource(consumer, "events", _edge().EventRow.type())
    return DataStream(stream.uid("events"))


def read_rules(
    environment: StreamExecutionEnvironment, *, stream: str, region: str, endpoint: str | None
) -> DataStream:
    """The records of the stream of rules from the oldest that it has kept, each as text of one character a byte."""
    java = get_gateway().jvm
    properties = _java_properties(_client(region, endpoint) | {"flink.stream.initpos": "TRIM_HORIZON"} | _FOR_AS_LONG)
    bytes_as_text = java.java.nio.charset.StandardCharsets.ISO_8859_1
    schema = java.org.apache.flink.api.common.serialization.SimpleStringSchema(bytes_as_text)
    consumer = java.org.apache.flink.streaming.connectors.kinesis.FlinkKinesisConsumer(stream, schema, properties)
    return DataStream(environment._j_stream_execution_environment.addSource(consumer, "rules").uid("rules"))


def write_dead_letters(
    rejected: DataStream, set_aside: Sequence[DataStream] = (), *, stream: str, region: str, endpoint: str | None
) -> None:
    """Write each row of `rejected` with its reason and exact bytes as JSON to `stream`, a name or an ARN.

    `set_aside` are streams of letters that are made already: rows of a partition key and a letter, both texts, as
    `schemas.set_aside.Letter`. At least once: a replay may write a letter again, with the same shard and sequence
    numbers.
    """
    letters = rejected._j_data_stream.flatMap(_edge().DeadLetters(), _edge().DeadLetters.type())
    every = DataStream(letters.name("dead-letters").uid("dead-letters")).union(*set_aside)
    sink = _edge().DeadLetters.sink(stream, _java_properties(_client(region, endpoint)))
    every._j_data_stream.sinkTo(sink).name("dead-letter-stream").uid("dead-letter-stream")


def write_archive(records: DataStream, path: str, *, except_for: Positions, uid: str) -> None:
    """Keep each of `records` for ever, as it was received, but for those within `except_for`: they came from there.

    Files are in place once a checkpoint has covered them, each record in one of them. `uid` names the sink's state.
    """
    new = records._j_data_stream.filter(_edge().Cut.of(_java_map(except_for)).beyond()).name("new").uid(f"new-to-{uid}")
    sink = _edge().ArchiveSink.of(path, SCHEMA_TEXT, _LARGEST_PART_BYTES)
    new.sinkTo(sink).name("archive").uid(uid)


def _archive_reading(reading: ArchiveReading) -> Any:
    java = _edge().ArchiveReading
    match reading:
        case Following():
            made = java.follow(reading.path, _LOOK_FOR_FILES_IN_S3_MS if is_in_s3(reading.path) else _LOOK_FOR_FILES_MS)
        case Between():
            return java.range(reading.path, 0, reading.until_ms, reading.device)
        case _:
            made = java.upTo(reading.path, _java_map(reading.positions))
    return made.despiteHoles() if reading.despite_holes else made


def _consumer(source: KinesisEvents) -> dict[str, str]:
    properties = _client(source.region, source.endpoint) | {
        "flink.stream.initpos": source.initial_position,
        "flink.shard.idle.interval": str(source.shard_idle_ms),
        "flink.shard.discovery.intervalmillis": str(_LOOK_FOR_SHARDS_MS),
        "flink.shard.getrecords.maxrecordcount": "10000",
        **_FOR_AS_LONG,
    }
    if source.initial_timestamp is not None:
        properties["flink.stream.initpos.timestamp"] = str(source.initial_timestamp.timestamp())
    if source.consumer_name is not None:
        properties |= {"flink.stream.recordpublisher": "EFO", "flink.stream.efo.consumername": source.consumer_name}
    return properties


def _client(region: str, endpoint: str | None) -> dict[str, str]:
    properties = {"aws.region": region}
    if endpoint is not None:
        properties |= {"aws.endpoint": endpoint, "aws.http.protocol.version": "HTTP1_1"}
    if keys := aws.emulator_keys(endpoint):
        properties |= {
            "aws.credentials.provider": "BASIC",
            "aws.credentials.provider.basic.accesskeyid": keys["aws_access_key_id"],
            "aws.credentials.provider.basic.secretkey": keys["aws_secret_access_key"],
        }
    return properties


def _decoder() -> Any:
    return _edge().EventDecoder(readings_json(), limits_json())


def _edge() -> Any:
    return get_gateway().jvm.io.telefold


def _java_map(values: Mapping[str, str]) -> Any:
    java = get_gateway().jvm.java.util.HashMap()
    for key, value in values.items():
        java.put(key, value)
    return java


def _java_properties(values: dict[str, str]) -> Any:
    properties = get_gateway().jvm.java.util.Properties()
    for key, value in values.items():
        properties.setProperty(key, value)
    return properties
