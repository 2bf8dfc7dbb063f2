"""The job's source and sinks of records: Flink's own Kinesis and file connectors, and the edge's (de)serialisers."""

from collections.abc import Sequence
from typing import Any

from pyflink.datastream import DataStream, StreamExecutionEnvironment

from telefold.connectors import aws
from telefold.connectors.archive_place import is_in_s3
from telefold.connectors.archive_reading import ArchiveReading, Between, Following
from telefold.connectors.settings import SourceSettings
from telefold.edge.java import edge, jvm, text_map, text_properties
from telefold.edge.streams import add_source, flat_map, keep_if, sink_to
from telefold.schemas.archived_record import SCHEMA_TEXT
from telefold.schemas.codec import readings_json
from telefold.schemas.limits import limits_json
from telefold.schemas.log_records import Positions

_FOR_EVER = str(2**31 - 1)
_FOR_AS_LONG = {
    "flink.shard.getrecords.maxretries": _FOR_EVER,
    "flink.shard.getiterator.maxretries": _FOR_EVER,
    "flink.list.shards.maxretries": _FOR_EVER,
}
"""Options that make Flink's source try again for as long as an outage takes."""
_LOOK_FOR_SHARDS_MS = 1_000
"""The time of the log is never ahead of the last listing. Of the thousand a second that Kinesis takes for a stream each
subtask makes one."""
_LOOK_FOR_FILES_MS = 500
_LOOK_FOR_FILES_IN_S3_MS = 5_000
_LARGEST_PART_BYTES = 128 * 1024 * 1024


def read_events(
    environment: StreamExecutionEnvironment, source: SourceSettings, reading: ArchiveReading | None = None
) -> DataStream:
    """Every record of the stream, or of what `reading` says, as an `Event`; rejected ones carry their reason.

    The stream is polled, or read by enhanced fan-out where `consumer_name` is given. Outages of Kinesis are waited out.
    What a shard holds comes after all of the shards that were split or merged into it. Watermarks are the time of the
    log: up to which arrival all of it has been read, a second behind the clock where it has been read to its end.
    """
    archive = None if reading is None else _archive_reading(reading)
    consumer = edge().source.EventSource(source.name, _decoder(), text_properties(_consumer(source)), archive)
    return add_source(environment, consumer, "events", edge().event.Event.type())


def read_rules(
    environment: StreamExecutionEnvironment, *, stream: str, region: str, endpoint: str | None
) -> DataStream:
    """The records of the stream of rules from the oldest that it has kept, each as text of one character a byte."""
    java = jvm()
    properties = text_properties(_client(region, endpoint) | {"flink.stream.initpos": "TRIM_HORIZON"} | _FOR_AS_LONG)
    bytes_as_text = java.java.nio.charset.StandardCharsets.ISO_8859_1
    schema = java.org.apache.flink.api.common.serialization.SimpleStringSchema(bytes_as_text)
    consumer = java.org.apache.flink.streaming.connectors.kinesis.FlinkKinesisConsumer(stream, schema, properties)
    return add_source(environment, consumer, "rules")


def write_dead_letters(
    rejected: DataStream, set_aside: Sequence[DataStream] = (), *, stream: str, region: str, endpoint: str | None
) -> None:
    """Write each row of `rejected` with its reason and exact bytes as JSON to `stream`, a name or an ARN.

    `set_aside` are streams of letters that are made already: rows of a partition key and a letter, both texts, as
    `schemas.set_aside.Letter`. At least once: a replay may write a letter again, with the same shard and sequence
    numbers.
    """
    java = edge().deadletter.DeadLetters
    letters = flat_map(rejected, java(), java.type(), "dead-letters").union(*set_aside)
    sink_to(letters, java.sink(stream, text_properties(_client(region, endpoint))), "dead-letter-stream")


def write_archive(records: DataStream, path: str, *, except_for: Positions, uid: str) -> None:
    """Keep each of `records` for ever, as it was received, but for those within `except_for`: they came from there.

    Files are in place once a checkpoint has covered them, each record in one of them. `uid` names the sink's state.
    """
    new = keep_if(records, edge().event.Cut.of(text_map(except_for)).beyond(), "new", uid=f"new-to-{uid}")
    sink_to(new, edge().archive.ArchiveSink.of(path, SCHEMA_TEXT, _LARGEST_PART_BYTES), "archive", uid=uid)


def _archive_reading(reading: ArchiveReading) -> Any:
    java = edge().archive.ArchiveReading
    match reading:
        case Following():
            made = java.follow(reading.path, _LOOK_FOR_FILES_IN_S3_MS if is_in_s3(reading.path) else _LOOK_FOR_FILES_MS)
        case Between():
            return java.range(reading.path, 0, reading.until_ms, reading.device)
        case _:
            made = java.upTo(reading.path, text_map(reading.positions))
    return made.despiteHoles() if reading.despite_holes else made


def _consumer(source: SourceSettings) -> dict[str, str]:
    properties = _client(source.region, source.endpoint) | {
        "flink.stream.initpos": source.init_position,
        "flink.shard.discovery.intervalmillis": str(_LOOK_FOR_SHARDS_MS),
        "flink.shard.getrecords.maxrecordcount": "10000",
        **_FOR_AS_LONG,
    }
    if source.init_timestamp is not None:
        properties["flink.stream.initpos.timestamp"] = str(source.init_timestamp.timestamp())
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
    return edge().event.EventDecoder(readings_json(), limits_json())
