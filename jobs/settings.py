"""The job's settings: what `application_properties.json` may hold, and every problem with it at once.

This module is the one place that knows property names, defaults and which of them go together.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from jobs.properties import read_groups
from jobs.setting_values import (
    NAMED_PATTERNS,
    UNIT_MS,
    Duration,
    Endpoint,
    Region,
    Retention,
    at_least,
    check_arn,
    duration_text,
    parse_attributes,
    parse_folds,
    parse_sizes,
    parse_stream_arn,
    parse_timestamp,
    parse_views,
)
from operators.folds.registry import find_all
from schemas.alerts import ALERT
from schemas.errors import SettingsError
from schemas.generations import FoldSettings, Generations
from schemas.view_rows import LATEST, ROLLUPS, VIEWS


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
    stream_arn: Annotated[Annotated[str, AfterValidator(check_arn)] | None, Field(alias="stream.arn")] = None

    def conflicts(self) -> Iterator[_Conflict]:
        if (self.stream_name is None) == (self.stream_arn is None):
            yield _Conflict(("stream.name", "stream.arn"), "exactly one of stream.name and stream.arn must be set")

    @property
    def key(self) -> str:
        """The property that names the stream."""
        return "stream.name" if self.stream_name else "stream.arn"

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
    init_timestamp: Annotated[datetime | None, BeforeValidator(parse_timestamp), Field(alias="init.timestamp")] = None
    consumer: Literal["POLLING", "EFO"] = "POLLING"
    consumer_name: Annotated[str | None, Field(alias="consumer.name", min_length=1)] = None
    max_out_of_orderness: Annotated[Duration, Field(alias="max.out.of.orderness")] = 10_000
    shard_idle: Annotated[Duration, Field(alias="shard.idle")] = 10_000

    def conflicts(self) -> Iterator[_Conflict]:
        yield from super().conflicts()
        if self.aws_region is None and self.stream_arn is None:
            yield _Conflict(
                ("aws.region", "stream.arn"),
                "aws.region is missing: set it to the region of the stream, such as us-east-1",
            )
        if self.aws_region and self.stream_arn and self.aws_region != parse_stream_arn(self.stream_arn).region:
            yield _Conflict(
                ("aws.region", "stream.arn"),
                f"aws.region is {self.aws_region} and stream.arn names another region: remove aws.region",
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

    name: Annotated[str | None, Field(min_length=1, max_length=256)] = None
    views: Annotated[tuple[str, ...], BeforeValidator(parse_views)] = VIEWS
    folds: Annotated[tuple[str, ...], BeforeValidator(parse_folds)] = ()
    rollup_sizes: Annotated[dict[str, int], BeforeValidator(parse_sizes), Field(alias="rollup.sizes")] = {
        "1m": UNIT_MS["m"],
        "1h": UNIT_MS["h"],
    }
    group_rollups: Annotated[tuple[str, ...], BeforeValidator(parse_attributes), Field(alias="group.rollups")] = ()
    rollup_lateness: Annotated[Duration, Field(alias="rollup.lateness")] = UNIT_MS["h"]
    dedup_horizon: Annotated[Duration, Field(alias="dedup.horizon")] = UNIT_MS["h"]
    state_retention: Annotated[Duration, Field(alias="state.retention")] = UNIT_MS["d"]
    device_retention: Annotated[Duration, Field(alias="device.retention")] = 90 * UNIT_MS["d"]
    flush_interval: Annotated[Duration, at_least("20ms"), Field(alias="flush.interval")] = 1_000
    flush_size: Annotated[int, Field(alias="flush.size", ge=1, le=1_000_000)] = 100_000
    parallelism: Annotated[int, Field(ge=1, le=256)] = 1
    checkpoint_interval: Annotated[Duration, at_least("100ms"), Field(alias="checkpoint.interval")] = 10_000
    python_execution_mode: Annotated[Literal["thread", "process"], Field(alias="python.execution-mode")] = "thread"

    def conflicts(self) -> Iterator[_Conflict]:
        if self.dedup_horizon < self.rollup_lateness:
            yield _Conflict(
                ("dedup.horizon", "rollup.lateness"),
                "dedup.horizon must be at least rollup.lateness, or late duplicates would be counted twice",
            )
        shortest = self.largest_window + self.rollup_lateness
        if self.state_retention < shortest:
            yield _Conflict(
                ("state.retention", "rollup.lateness", "rollup.sizes"),
                "state.retention must be at least the largest of rollup.sizes and rollup.lateness together, which is"
                f" {duration_text(shortest)}, or events in order would be too late for windows that their own device"
                " has begun",
            )
        if self.device_retention < self.state_retention + self.largest_window:
            yield _Conflict(
                ("device.retention", "state.retention", "rollup.sizes"),
                "device.retention must be at least state.retention and the largest of rollup.sizes together,"
                " or windows that a device has filled would begin anew",
            )

    @property
    def largest_window(self) -> int:
        """Milliseconds."""
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


class ArchiveSettings(_Group):
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


class AlertSettings(_Group):
    """`telefold.alerts`: streams of the source's region and account, of the fold `alert`."""

    rules_stream: Annotated[str | None, Field(alias="rules.stream.name", min_length=1)] = None
    stream: Annotated[str | None, Field(alias="stream.name", min_length=1)] = None


class Settings(NamedTuple):
    source: SourceSettings
    job: JobSettings
    views: ViewSettings
    dead_letter: DeadLetterSettings
    archive: ArchiveSettings = ArchiveSettings()
    alerts: AlertSettings = AlertSettings()

    @property
    def views_region(self) -> str:
        return self.views.aws_region or self.source.region

    @property
    def judges_by_rules(self) -> bool:
        return ALERT in self.job.folds

    def for_generation(self, generations: Generations, number: int) -> "Settings":
        """These, folding what generation `number` of the views folds: a rebuild recorded what that is."""
        return self.folding(generations.folds.get(number))

    def folding(self, fold: FoldSettings | None) -> "Settings":
        """These with the parts of `fold`; None leaves what the properties say."""
        if fold is None:
            return self
        changes = {"views": fold.views, "rollup_sizes": dict(fold.rollup_sizes)}
        return self._replace(job=self.job.model_copy(update=changes))

    def despite_holes(self, wanted: bool = True) -> "Settings":
        """These, or if it is `wanted`, going on where the archive lacks records."""
        if not wanted:
            return self
        return self._replace(archive=self.archive.model_copy(update={"despite_holes": True}))

    def unhurried(self) -> "Settings":
        """These, for work that nobody watches row by row: a longer wait makes fewer writes of more events each."""
        return self._replace(job=self.job.model_copy(update={"flush_interval": max(self.job.flush_interval, 5_000)}))


_GROUPS: dict[str, type[_Group]] = {
    "telefold.source": SourceSettings,
    "telefold.job": JobSettings,
    "telefold.views": ViewSettings,
    "telefold.dead-letter": DeadLetterSettings,
    "telefold.archive": ArchiveSettings,
    "telefold.alerts": AlertSettings,
}


def load(path: Path) -> Settings:
    """The settings in the properties file at `path`; raises SettingsError with every problem in it."""
    return parse(read_groups(path))


def check_folds(settings: Settings) -> None:
    """Raise SettingsError unless the code of every fold is there, and a job can run it."""
    try:
        find_all(settings.job.folds)
    except ValueError as error:
        raise SettingsError([f"telefold.job/folds: must name folds: {error}."]) from None


def parse(groups: Mapping[str, Mapping[str, str]]) -> Settings:
    """The settings in `groups` (group -> key -> value); groups that are not `telefold.*` are someone else's.

    Raises SettingsError with every problem; of those between two groups only once each group is good by itself.
    """
    problems = [_unknown_group(name) for name in groups if name.startswith("telefold.") and name not in _GROUPS]
    parsed = [_parse_group(name, model, groups.get(name, {}), problems) for name, model in _GROUPS.items()]
    if problems:
        raise SettingsError(problems)
    settings = Settings(*parsed)  # type: ignore[arg-type]
    if problems := [*_disagreements(settings.source, settings.dead_letter), *_disagreements_on_alerts(settings)]:
        raise SettingsError(problems)
    return settings


def _disagreements(source: SourceSettings, dead_letter: DeadLetterSettings) -> Iterator[str]:
    if dead_letter.name == source.name:
        yield (
            f"telefold.dead-letter: the stream {source.name} is the one that events come from,"
            " and its dead letters would be read as events: name another."
        )
    if dead_letter.stream_arn and parse_stream_arn(dead_letter.stream_arn).region != source.region:
        yield f"telefold.dead-letter/stream.arn: the stream must be in the region of the source, {source.region}."


def _disagreements_on_alerts(settings: Settings) -> Iterator[str]:
    rules, told = settings.alerts.rules_stream, settings.alerts.stream
    if ALERT in settings.job.folds and rules is None:
        yield "telefold.alerts/rules.stream.name is missing: set it to the stream of rules, which the fold alert needs."
    taken = {settings.source.name: "telefold.source", settings.dead_letter.name: "telefold.dead-letter"}
    for key, name in (("rules.stream.name", rules), ("stream.name", told)):
        if name in taken:
            yield f"telefold.alerts/{key}: the stream {name} is that of {taken[name]}: name another."
    if rules is not None and rules == told:
        yield f"telefold.alerts/stream.name: the stream {told} is that of the rules: name another."


def _parse_group(name: str, model: type[_Group], values: Mapping[str, str], problems: list[str]) -> _Group | None:
    """The group, or what is left of it without its bad properties, so that conflicts among the good ones show too."""
    bad: set[str] = set()
    try:
        group = model.model_validate(values)
    except ValidationError as error:
        bad = _blamed(model, error)
        problems += [_problem(name, model, one) for one in error.errors() if _is_told(one, bad)]
        try:
            group = model.model_validate({key: value for key, value in values.items() if key not in bad})
        except ValidationError:
            return None
    problems += [f"{name}: {conflict.sentence}." for conflict in group.conflicts() if bad.isdisjoint(conflict.keys)]
    return group


def _blamed(model: type[_Group], error: ValidationError) -> set[str]:
    """The bad properties, and those that a misspelt one was probably meant to be: nothing more is said of these."""
    keys = {str(one["loc"][0]) for one in error.errors() if one["type"] != "missing"}
    unknown = [str(one["loc"][0]) for one in error.errors() if one["type"] == "extra_forbidden"]
    return keys | {near for key in unknown if (near := _nearest(key, _fields(model)))}


def _is_told(error: Any, blamed: set[str]) -> bool:
    return error["type"] != "missing" or str(error["loc"][0]) not in blamed


def _fields(model: type[_Group]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _unknown_group(name: str) -> str:
    return f"{name}: there is no such group{_suggestion(name, _GROUPS)} (the groups are {', '.join(_GROUPS)})."


def _problem(group: str, model: type[_Group], error: Any) -> str:
    key = str(error["loc"][0])
    fields = _fields(model)
    if error["type"] == "extra_forbidden":
        known = ", ".join(sorted(fields))
        return f"{group}/{key}: there is no such property{_suggestion(key, fields)} (the properties are {known})."
    if error["type"] == "missing":
        return f"{group}/{key} is missing: set it to {fields[key].description}."
    return f"{group}/{key} = {error['input']!r}: {_requirement(error, fields[key])}."


def _requirement(error: Any, field: FieldInfo) -> str:
    bounds = error.get("ctx", {})
    match error["type"]:
        case "string_pattern_mismatch":
            return f"must be {field.description or NAMED_PATTERNS[bounds['pattern']]}"
        case "string_too_short":
            return "must not be empty"
        case "int_parsing" | "int_parsing_size":
            return "must be a whole number"
        case "bool_parsing":
            return "must be true or false"
        case "greater_than_equal":
            return f"must be at least {bounds['ge']}"
        case "less_than_equal":
            return f"must be at most {bounds['le']}"
    message = str(error["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    return message.replace("should be", "must be", 1)


def _suggestion(name: str, known: Iterable[str]) -> str:
    near = _nearest(name, known)
    return f"; did you mean {near}?" if near else ""


def _nearest(name: str, known: Iterable[str]) -> str | None:
    return next(iter(difflib.get_close_matches(name, known, n=1)), None)
