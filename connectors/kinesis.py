"""The event source and the dead-letter sink: Flink's own Kinesis connectors with the edge's decoder and encoder."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pyflink.datastream import DataStream, StreamExecutionEnvironment
from pyflink.java_gateway import get_gateway

from connectors import aws
from schemas.codec import VERSIONS, schema_text

_FOR_EVER = str(2**31 - 1)


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


def read_events(environment: StreamExecutionEnvironment, source: KinesisEvents) -> DataStream:
    """Every record of the stream as an `EventRow`; rejected ones carry their reason.

    Reading is polled, or by enhanced fan-out where `consumer_name` is given. Outages of Kinesis are waited out.
    """
    consumer = _flink_kinesis().FlinkKinesisConsumer(source.stream, _decoder(), _java_properties(_consumer(source)))
    consumer.setPeriodicWatermarkAssigner(_edge().ShardEventTime(source.max_out_of_orderness_ms))
    stream = environment._j_stream_execution_environment.addSource(consumer, "events", _edge().EventRow.type())
    return DataStream(stream.uid("events"))


def write_dead_letters(rejected: DataStream, *, stream: str, region: str, endpoint: str | None) -> None:
    """Write each row of `rejected` with its reason and exact bytes as JSON to `stream`, a name or an ARN.

    At least once: a replay may write a letter again, with the same shard and sequence number.
    """
    letters = rejected._j_data_stream.flatMap(_edge().DeadLetters(), _edge().DeadLetters.type())
    sink = _edge().DeadLetters.sink(stream, _java_properties(_client(region, endpoint)))
    letters.name("dead-letters").uid("dead-letters").sinkTo(sink).name("dead-letter-stream").uid("dead-letter-stream")


def _consumer(source: KinesisEvents) -> dict[str, str]:
    properties = _client(source.region, source.endpoint) | {
        "flink.stream.initpos": source.initial_position,
        "flink.shard.idle.interval": str(source.shard_idle_ms),
        "flink.shard.getrecords.maxrecordcount": "10000",
        "flink.shard.getrecords.maxretries": _FOR_EVER,
        "flink.shard.getiterator.maxretries": _FOR_EVER,
        "flink.list.shards.maxretries": _FOR_EVER,
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
    gateway = get_gateway()
    schemas = gateway.new_array(gateway.jvm.String, len(VERSIONS))
    for position, version in enumerate(VERSIONS):
        schemas[position] = schema_text(version)
    return _edge().EventDecoder(schemas)


def _edge() -> Any:
    return get_gateway().jvm.io.telefold


def _flink_kinesis() -> Any:
    return get_gateway().jvm.org.apache.flink.streaming.connectors.kinesis


def _java_properties(values: dict[str, str]) -> Any:
    properties = get_gateway().jvm.java.util.Properties()
    for key, value in values.items():
        properties.setProperty(key, value)
    return properties
