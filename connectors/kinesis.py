"""The job's source and sinks of records: our Kinesis connector, Flink's own of files, and the edge's serialisers."""

from collections.abc import Sequence
from typing import Any

from pyflink.datastream import DataStream, StreamExecutionEnvironment

from telefold.connectors import aws
from telefold.connectors.archive_place import is_in_s3
from telefold.connectors.archive_reading import ArchiveReading, Between, Following
from telefold.connectors.settings import SourceSettings
from telefold.edge.java import edge, jvm, text_map
from telefold.edge.streams import flat_map, from_source, keep_if, map_each, sink_to, takes_checkpoints
from telefold.schemas.archived_record import SCHEMA_TEXT
from telefold.schemas.codec import readings_json
from telefold.schemas.limits import limits_json
from telefold.schemas.log_records import Positions

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
    decoder, has_checkpoints = _decoder(), takes_checkpoints(environment)
    stream = _begun(_stream(_named(source), decoder, source.region, source.endpoint, has_checkpoints), source)
    stream = stream.timeOfLog()
    if source.consumer_name is not None:
        stream = stream.fanOut(source.consumer_name)
    archive = None if reading is None else _archive_reading(reading)
    made = edge().source.EventSource(stream.build(), decoder, archive, has_checkpoints)
    events = from_source(environment, made, "events")
    if isinstance(reading, Between):
        return map_each(events, edge().source.CountedEvents(), edge().event.Event.type(), "counted")
    return events


def read_rules(
    environment: StreamExecutionEnvironment, *, stream: str, region: str, endpoint: str | None
) -> DataStream:
    """The records of the stream of rules from the oldest that it has kept, each as text of one character a byte."""
    java = jvm()
    bytes_as_text = java.java.nio.charset.StandardCharsets.ISO_8859_1
    schema = java.org.apache.flink.api.common.serialization.SimpleStringSchema(bytes_as_text)
    records = java.io.kinesisflink.source.KinesisDeserializationSchema.ofData(schema)
    source = _stream(stream, records, region, endpoint, takes_checkpoints(environment)).fromTrimHorizon().build()
    return from_source(environment, source, "rules")


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
    sink_to(letters, _client(java.sink(stream), region, endpoint).build(), "dead-letter-stream", uid="dead-letter-sink")


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


def _named(source: SourceSettings) -> str:
    """The stream's ARN, with which its metrics are where those of AWS's own source are; its name on an emulator."""
    return source.name if aws.is_emulator(source.endpoint) else source.stream_arn or source.name


def _stream(stream: str, schema: Any, region: str, endpoint: str | None, has_checkpoints: bool) -> Any:
    """What builds a source of a stream."""
    builder = _client(jvm().io.kinesisflink.source.KinesisSource.builder(stream, schema), region, endpoint)
    return builder if has_checkpoints else builder.withoutCheckpoints()


def _begun(builder: Any, source: SourceSettings) -> Any:
    """`builder` with the place where shards begin."""
    if source.init_timestamp is not None:
        since = round(source.init_timestamp.timestamp() * 1_000)
        return builder.fromTimestamp(jvm().java.time.Instant.ofEpochMilli(since))
    return builder.fromLatest() if source.init_position == "LATEST" else builder.fromTrimHorizon()


def _client(builder: Any, region: str, endpoint: str | None) -> Any:
    """`builder` of a source or sink with how it speaks to Kinesis."""
    builder = builder.region(region)
    if endpoint is not None:
        builder = builder.endpoint(endpoint)
    if aws.is_emulator(endpoint):
        builder = builder.withoutCbor()
    if keys := aws.emulator_keys(endpoint):
        builder = builder.credentials(keys["aws_access_key_id"], keys["aws_secret_access_key"])
    return builder


def _decoder() -> Any:
    return edge().event.EventDecoder(readings_json(), limits_json())
