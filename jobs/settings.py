"""The job's settings: what `application_properties.json` may hold, and every problem with it at once.

This module is the one place that knows property names, defaults and what is allowed.
"""

import difflib
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from jobs.properties import read_groups
from schemas.errors import SettingsError
from schemas.view_rows import LATEST, ROLLUPS, VIEWS

_UNIT_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DAY_MS = _UNIT_MS["d"]
FOREVER = "forever"


def parse_duration(text: Any) -> Any:
    """Milliseconds of "200ms", "10 s", "1h"; ValueError says what is allowed."""
    if isinstance(text, int):
        return text
    match = re.fullmatch(r"\s*(\d+)\s*(ms|s|m|h|d)\s*", str(text))
    if not match:
        raise ValueError("must be a whole number with a unit: ms, s, m, h or d, such as 200ms, 10s or 1h")
    return int(match[1]) * _UNIT_MS[match[2]]


def _parse_retention(text: Any) -> Any:
    return None if text in (None, FOREVER) else parse_duration(text) // 1_000


def _parse_names(text: Any) -> Any:
    return [name.strip() for name in str(text).split(",") if name.strip()] if isinstance(text, str) else text


def _parse_views(text: Any) -> Any:
    names = _parse_names(text)
    unknown = [name for name in names if name not in VIEWS]
    if unknown or not names:
        raise ValueError(f"must be one or more of {', '.join(VIEWS)}")
    return names


def _parse_sizes(text: Any) -> Any:
    """Label to milliseconds. Windows are aligned to UTC days, and the smallest is what the others are made of."""
    sizes = {name.replace(" ", ""): parse_duration(name) for name in _parse_names(text)}
    if not sizes:
        raise ValueError("must name at least one window size, such as 1m")
    for label, length in sizes.items():
        if length < _UNIT_MS["s"] or _DAY_MS % length:
            raise ValueError(f"must hold sizes of at least 1s that divide a day evenly, and {label} does not")
        if length % min(sizes.values()):
            raise ValueError(f"must hold multiples of the smallest size, and {label} is none")
    return sizes


def _parse_timestamp(text: Any) -> Any:
    try:
        parsed = datetime.fromisoformat(str(text))
    except ValueError:
        raise ValueError("must be an ISO 8601 time such as 2026-01-31T12:00:00Z") from None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


Duration = Annotated[int, BeforeValidator(parse_duration), Field(gt=0)]
Retention = Annotated[int | None, BeforeValidator(_parse_retention)]


class StreamArn(NamedTuple):
    """The parts of a Kinesis stream ARN that the connector asks for one by one."""

    region: str
    name: str


def parse_stream_arn(arn: str) -> StreamArn:
    match = re.fullmatch(r"arn:[\w-]+:kinesis:([\w-]+):\d{12}:stream/([\w.-]+)", arn)
    if not match:
        raise ValueError("must look like arn:aws:kinesis:REGION:ACCOUNT:stream/NAME")
    return StreamArn(*match.groups())


def _check_arn(arn: str) -> str:
    parse_stream_arn(arn)
    return arn


_REGION = r"^[a-z]{2}(-[a-z]+)+-\d$"
_ENDPOINT = r"^https?://"
_NAMED_PATTERNS = {_REGION: "an AWS region such as us-east-1", _ENDPOINT: "a URL such as http://127.0.0.1:4566"}
Region = Annotated[str, Field(pattern=_REGION)]
Endpoint = Annotated[str, Field(pattern=_ENDPOINT)]


class _Conflict(NamedTuple):
    """Properties that are good one by one and not together."""

    keys: tuple[str, ...]
    sentence: str


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    def conflicts(self) -> Iterator[_Conflict]:
        yield from ()


class _Stream(_Group):
    stream_name: Annotated[str | None, Field(alias="stream.name", min_length=1)] = None
    stream_arn: Annotated[Annotated[str, AfterValidator(_check_arn)] | None, Field(alias="stream.arn")] = None

    def conflicts(self) -> Iterator[_Conflict]:
        if (self.stream_name is None) == (self.stream_arn is None):
            yield _Conflict(("stream.name", "stream.arn"), "set exactly one of stream.name and stream.arn")

    @property
    def name(self) -> str:
        return self.stream_name or parse_stream_arn(self.stream_arn or "").name


class SourceSettings(_Stream):
    """`telefold.source`: where events come from."""

    aws_region: Annotated[Region | None, Field(alias="aws.region")] = None
    endpoint: Annotated[Endpoint | None, Field(alias="aws.endpoint")] = None
    init_position: Annotated[Literal["TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"], Field(alias="init.position")] = (
        "TRIM_HORIZON"
    )
    init_timestamp: Annotated[datetime | None, BeforeValidator(_parse_timestamp), Field(alias="init.timestamp")] = None
    consumer: Literal["POLLING", "EFO"] = "POLLING"
    consumer_name: Annotated[str | None, Field(alias="consumer.name", min_length=1)] = None
    max_out_of_orderness: Annotated[Duration, Field(alias="max.out.of.orderness")] = 10_000
    shard_idle: Annotated[Duration, Field(alias="shard.idle")] = 10_000

    def conflicts(self) -> Iterator[_Conflict]:
        yield from super().conflicts()
        if self.aws_region is None and self.stream_arn is None:
            yield _Conflict(
                ("aws.region", "stream.arn"),
                "aws.region is missing; set it to the region of the stream, such as us-east-1",
            )
        if (self.init_position == "AT_TIMESTAMP") != (self.init_timestamp is not None):
            yield _Conflict(
                ("init.position", "init.timestamp"),
                "init.timestamp goes with init.position = AT_TIMESTAMP, and only with it",
            )
        if (self.consumer == "EFO") != (self.consumer_name is not None):
            yield _Conflict(("consumer", "consumer.name"), "consumer.name goes with consumer = EFO, and only with it")

    @property
    def region(self) -> str:
        return self.aws_region or parse_stream_arn(self.stream_arn or "").region


class JobSettings(_Group):
    """`telefold.job`: what is folded, and how often it is written."""

    views: Annotated[tuple[str, ...], BeforeValidator(_parse_views)] = VIEWS
    rollup_sizes: Annotated[dict[str, int], BeforeValidator(_parse_sizes), Field(alias="rollup.sizes")] = {
        "1m": _UNIT_MS["m"],
        "1h": _UNIT_MS["h"],
    }
    rollup_lateness: Annotated[Duration, Field(alias="rollup.lateness")] = _UNIT_MS["h"]
    dedup_horizon: Annotated[Duration, Field(alias="dedup.horizon")] = _UNIT_MS["h"]
    state_retention: Annotated[Duration, Field(alias="state.retention")] = _UNIT_MS["d"]
    flush_interval: Annotated[Duration, Field(alias="flush.interval", ge=20)] = 1_000
    flush_size: Annotated[int, Field(alias="flush.size", ge=1, le=1_000_000)] = 100_000
    parallelism: Annotated[int, Field(ge=1, le=256)] = 1
    checkpoint_interval: Annotated[Duration, Field(alias="checkpoint.interval", ge=100)] = 10_000
    python_execution_mode: Annotated[Literal["thread", "process"], Field(alias="python.execution-mode")] = "thread"

    def conflicts(self) -> Iterator[_Conflict]:
        if self.dedup_horizon < self.rollup_lateness:
            yield _Conflict(
                ("dedup.horizon", "rollup.lateness"),
                "dedup.horizon must be at least rollup.lateness, or late duplicates would be counted twice",
            )
        if self.state_retention < self.rollup_lateness:
            yield _Conflict(
                ("state.retention", "rollup.lateness"),
                "state.retention must be at least rollup.lateness, or late events would find no state",
            )

    @property
    def base_window(self) -> int:
        """Milliseconds of the smallest window; all others are made of it."""
        return min(self.rollup_sizes.values())

    @property
    def largest_window(self) -> int:
        return max(self.rollup_sizes.values())


class ViewSettings(_Group):
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
    retention_latest: Annotated[Retention, Field(alias=f"retention.{LATEST}")] = None
    retention_rollups: Annotated[Retention, Field(alias=f"retention.{ROLLUPS}")] = 90 * 86_400

    @property
    def retention(self) -> Mapping[str, int | None]:
        return {LATEST: self.retention_latest, ROLLUPS: self.retention_rollups}


class DeadLetterSettings(_Stream):
    """`telefold.dead-letter`: the stream for records that cannot be folded, in the source's region."""


class Settings(NamedTuple):
    source: SourceSettings
    job: JobSettings
    views: ViewSettings
    dead_letter: DeadLetterSettings

    @property
    def views_region(self) -> str:
        return self.views.aws_region or self.source.region


_GROUPS: dict[str, type[_Group]] = {
    "telefold.source": SourceSettings,
    "telefold.job": JobSettings,
    "telefold.views": ViewSettings,
    "telefold.dead-letter": DeadLetterSettings,
}


def load(path: Path) -> Settings:
    """The settings in the properties file at `path`; raises SettingsError with every problem in it."""
    return parse(read_groups(path))


def parse(groups: Mapping[str, Mapping[str, str]]) -> Settings:
    """The settings in `groups` (group -> key -> value); groups that are not `telefold.*` are someone else's."""
    problems = [_unknown_group(name) for name in groups if name.startswith("telefold.") and name not in _GROUPS]
    parsed = [_parse_group(name, model, groups.get(name, {}), problems) for name, model in _GROUPS.items()]
    if problems:
        raise SettingsError(problems)
    return Settings(*parsed)  # type: ignore[arg-type]


def _parse_group(name: str, model: type[_Group], values: Mapping[str, str], problems: list[str]) -> _Group | None:
    """The group, or what is left of it without its bad properties, so that conflicts among the good ones show too."""
    bad: set[str] = set()
    try:
        group = model.model_validate(values)
    except ValidationError as error:
        problems += [_problem(name, model, one) for one in error.errors()]
        bad = {str(one["loc"][0]) for one in error.errors()}
        try:
            group = model.model_validate({key: value for key, value in values.items() if key not in bad})
        except ValidationError:
            return None
    problems += [f"{name}: {conflict.sentence}" for conflict in group.conflicts() if bad.isdisjoint(conflict.keys)]
    return group


def _unknown_group(name: str) -> str:
    return f"{name}: unknown group{_suggestion(name, _GROUPS)}; the groups are {', '.join(_GROUPS)}"


def _problem(group: str, model: type[_Group], error: Any) -> str:
    key = str(error["loc"][0])
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    if error["type"] == "extra_forbidden":
        known = ", ".join(sorted(fields))
        return f"{group}/{key}: unknown property{_suggestion(key, fields)}; the properties are {known}"
    if error["type"] == "missing":
        return f"{group}/{key}: is missing; set it to {fields[key].description}"
    return f"{group}/{key} = {error['input']!r}: {_requirement(error, fields[key])}"


def _requirement(error: Any, field: FieldInfo) -> str:
    if error["type"] == "string_pattern_mismatch":
        return f"must be {field.description or _NAMED_PATTERNS[error['ctx']['pattern']]}"
    message = str(error["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    return message.replace("should be", "must be", 1)


def _suggestion(name: str, known: Any) -> str:
    close = difflib.get_close_matches(name, list(known), n=1)
    return f", did you mean {close[0]}?" if close else ""
