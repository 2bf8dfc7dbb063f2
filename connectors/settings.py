"""The settings of streams and stores: where they are, and how long what is in them lives."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from telefold.schemas.hot_rows import Hot
from telefold.schemas.setting_values import (
    Conflict,
    Endpoint,
    Group,
    Region,
    Retention,
    check_arn,
    parse_stream_arn,
    parse_timestamp,
)
from telefold.schemas.view_rows import LATEST, ROLLUPS


class Stream(Group):
    stream_name: Annotated[str | None, Field(alias="stream.name", min_length=1)] = None
    stream_arn: Annotated[Annotated[str, AfterValidator(check_arn)] | None, Field(alias="stream.arn")] = None

    def conflicts(self) -> Iterator[Conflict]:
        if (self.stream_name is None) == (self.stream_arn is None):
            yield Conflict(("stream.name", "stream.arn"), "exactly one of stream.name and stream.arn must be set")

    @property
    def key(self) -> str:
        """The property that names the stream."""
        return "stream.name" if self.stream_name else "stream.arn"

    @property
    def name(self) -> str:
        return self.stream_name or parse_stream_arn(self.stream_arn or "").name


class SourceSettings(Stream):
    """`telefold.source`: where events come from."""

    aws_region: Annotated[Region | None, Field(alias="aws.region")] = None
    endpoint: Annotated[Endpoint | None, Field(alias="aws.endpoint")] = None
    init_position: Annotated[Literal["TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"], Field(alias="init.position")] = (
        "TRIM_HORIZON"
    )
    init_timestamp: Annotated[datetime | None, BeforeValidator(parse_timestamp), Field(alias="init.timestamp")] = None
    consumer: Literal["POLLING", "EFO"] = "POLLING"
    consumer_name: Annotated[str | None, Field(alias="consumer.name", min_length=1)] = None

    def conflicts(self) -> Iterator[Conflict]:
        yield from super().conflicts()
        if self.aws_region is None and self.stream_arn is None:
            yield Conflict(
                ("aws.region", "stream.arn"),
                "aws.region is missing: set it to the region of the stream, such as us-east-1",
            )
        if self.aws_region and self.stream_arn and self.aws_region != parse_stream_arn(self.stream_arn).region:
            yield Conflict(
                ("aws.region", "stream.arn"),
                f"aws.region is {self.aws_region} and stream.arn names another region: remove aws.region",
            )
        if (self.init_position == "AT_TIMESTAMP") != (self.init_timestamp is not None):
            yield Conflict(
                ("init.position", "init.timestamp"),
                "init.timestamp goes with init.position = AT_TIMESTAMP, and only with it",
            )
        if (self.consumer == "EFO") != (self.consumer_name is not None):
            yield Conflict(("consumer", "consumer.name"), "consumer.name goes with consumer = EFO, and only with it")

    @property
    def region(self) -> str:
        return self.aws_region or parse_stream_arn(self.stream_arn or "").region


class DeadLetterSettings(Stream):
    """`telefold.dead-letter`: the stream for records that cannot be folded, in the source's region."""


class AlertSettings(Group):
    """`telefold.alerts`: streams of the source's region and account, of the fold `alert`."""

    rules_stream: Annotated[str | None, Field(alias="rules.stream.name", min_length=1)] = None
    stream: Annotated[str | None, Field(alias="stream.name", min_length=1)] = None


class ViewSettings(Group):
    """`telefold.views`: where rows go, and how long they live (seconds, None for ever)."""

    dynamodb_table: Annotated[
        str,
        Field(
            alias="dynamodb.table",
            pattern=r"^[a-zA-Z0-9_.-]{3,255}$",
            description="a table name: 3 to 255 letters, digits, dots, dashes or underscores",
        ),
    ]
    dynamodb_endpoint: Annotated[Endpoint | None, Field(alias="dynamodb.endpoint")] = None
    aws_region: Annotated[Region | None, Field(alias="aws.region")] = None
    redis_url: Annotated[
        str,
        Field(
            alias="redis.url",
            pattern=r"^(rediss?|unix)://",
            description="a URL such as redis://host:6379 or rediss://host:6379",
        ),
    ]
    redis_secret: Annotated[str | None, Field(alias="redis.secret", min_length=1)] = None
    retention_latest_s: Annotated[Retention, Field(alias=f"retention.{LATEST}")] = None
    retention_rollups_s: Annotated[Retention, Field(alias=f"retention.{ROLLUPS}")] = 90 * 86_400
    retention_fast_s: Annotated[Retention, Field(alias="retention.fast")] = 86_400

    @property
    def retention(self) -> Mapping[str, int | None]:
        return {LATEST: self.retention_latest_s, ROLLUPS: self.retention_rollups_s}

    @property
    def hot(self) -> Hot:
        """The rows that Redis keeps."""
        return Hot(self.retention_fast_s)


class ArchiveSettings(Group):
    """`telefold.archive`: where every record is kept for ever; None keeps no archive."""

    path: Annotated[
        str | None,
        Field(
            pattern=r"^(/|file:///|s3://[^/]+/?)",
            description="an absolute path, or a URL such as s3://bucket/telemetry",
        ),
    ] = None
    despite_holes: Annotated[bool, Field(alias="despite.holes")] = False
    """Whether whoever reads the archive goes on where it lacks records."""
