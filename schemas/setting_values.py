"""How settings are written in the properties file: groups of them, durations, window sizes, times and ARNs."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, NamedTuple
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from telefold.schemas.limits import LIMITS
from telefold.schemas.view_rows import VIEWS
from telefold.schemas.windows import calendar_of


class Conflict(NamedTuple):
    """Properties that are good one by one and not together."""

    keys: tuple[str, ...]
    sentence: str


class Group(BaseModel):
    """A group of the properties file; a property's name there is its field's alias."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    def conflicts(self) -> Iterator[Conflict]:
        """Conflicts of the group as a whole."""
        yield from ()


UNIT_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DAY_MS = UNIT_MS["d"]
_LONGEST_MS = 36_500 * _DAY_MS
FOREVER = "forever"


def parse_duration(text: str | int) -> int:
    """Milliseconds of "200ms", "10 s", "1h"; ValueError says what is allowed."""
    if isinstance(text, int):
        return text
    match = re.fullmatch(r"\s*(\d+)\s*(ms|s|m|h|d)\s*", str(text))
    if not match:
        raise ValueError("must be a whole number with a unit: ms, s, m, h or d, such as 200ms, 10s or 1h")
    return int(match[1]) * UNIT_MS[match[2]]


def duration_text(length_ms: int) -> str:
    """Write a duration for `parse_duration`, in the largest unit that leaves nothing over."""
    unit = next(unit for unit in reversed(UNIT_MS) if length_ms % UNIT_MS[unit] == 0)
    return f"{length_ms // UNIT_MS[unit]}{unit}"


def _check_duration(length: int) -> int:
    if not 0 < length <= _LONGEST_MS:
        raise ValueError(f"must be longer than 0 and at most {_LONGEST_MS // _DAY_MS}d")
    return length


def _parse_retention(text: str | int) -> int | None:
    if str(text).strip() == FOREVER:
        return None
    try:
        seconds = _check_duration(parse_duration(text)) // 1_000
    except ValueError as error:
        raise ValueError(f"{error}, or {FOREVER}") from None
    if seconds == 0:
        raise ValueError("must be at least 1s")
    return seconds


def parse_names(text: str | Sequence[str]) -> Sequence[str]:
    return [name.strip() for name in text.split(",") if name.strip()] if isinstance(text, str) else text


def parse_views(text: str | Sequence[str]) -> Sequence[str]:
    names = parse_names(text)
    unknown = [name for name in names if name not in VIEWS]
    if unknown or not names:
        raise ValueError(f"must be one or more of {', '.join(VIEWS)}")
    return names


def parse_attributes(text: str | Sequence[str]) -> Sequence[str]:
    names = parse_names(text)
    for name in names:
        if "#" in name or names.count(name) > 1:
            raise ValueError(f"must name attributes, each once and without #, and {name} is not such a one")
        if excess := LIMITS.attribute_name.excess(name):
            raise ValueError(f"must name attributes that events can have, and one {excess}")
    return names


def parse_sizes(text: str | Mapping[str, int]) -> Mapping[str, int]:
    """Label to milliseconds, of a calendar those that its longest window can have: see `schemas.windows`."""
    if not isinstance(text, str):
        return text
    sizes = {name.replace(" ", ""): _parse_size(name.replace(" ", "")) for name in parse_names(text)}
    if not sizes:
        raise ValueError("must name at least one window size, such as 1m")
    lengths = [length for label, length in sizes.items() if calendar_of(label) is None]
    if len(set(lengths)) < len(lengths):
        raise ValueError("must name each window size once, and two of these are the same length")
    return sizes


def _parse_size(label: str) -> int:
    if "@" in label:
        calendar = calendar_of(label)
        if calendar is None:
            raise ValueError(
                "must hold windows of a time zone as 1d, 1w, 1mo or 1y, an @ and the zone, such as 1d@Europe/Berlin,"
                f" and {label} is none"
            )
        if not _is_time_zone(calendar.zone):
            raise ValueError(f"must name time zones of the tz database, such as Europe/Berlin, and {label} names none")
        return calendar.longest_ms
    length = parse_duration(label)
    if length == 0 or length % UNIT_MS["s"] or _DAY_MS % length:
        raise ValueError(f"must hold whole seconds that divide a day evenly, and {label} does not")
    return length


def _is_time_zone(name: str) -> bool:
    """Whether the database has it under this name; what begins so is no name, but another form of the database."""
    return not name.startswith(("posix/", "right/")) and name in available_timezones()


def parse_timestamp(text: object) -> datetime:
    try:
        parsed = datetime.fromisoformat(str(text))
    except ValueError:
        raise ValueError("must be an ISO 8601 time such as 2026-01-31T12:00:00Z") from None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


Duration = Annotated[int, BeforeValidator(parse_duration), AfterValidator(_check_duration)]
DurationOrNone = Annotated[int, BeforeValidator(parse_duration)]
"""A duration that may be 0."""
Retention = Annotated[int | None, BeforeValidator(_parse_retention)]


def at_least(shortest: str) -> AfterValidator:
    def check(length: int) -> int:
        if length < parse_duration(shortest):
            raise ValueError(f"must be at least {shortest}")
        return length

    return AfterValidator(check)


def at_most(longest: str) -> AfterValidator:
    def check(length: int) -> int:
        if length > parse_duration(longest):
            raise ValueError(f"must be at most {longest}")
        return length

    return AfterValidator(check)


class StreamArn(NamedTuple):
    """The parts of a Kinesis stream ARN that the connector asks for one by one."""

    region: str
    name: str


def parse_stream_arn(arn: str) -> StreamArn:
    match = re.fullmatch(r"arn:[\w-]+:kinesis:([\w-]+):\d{12}:stream/([\w.-]+)", arn)
    if not match:
        raise ValueError("must look like arn:aws:kinesis:REGION:ACCOUNT:stream/NAME")
    return StreamArn(*match.groups())


def check_arn(arn: str) -> str:
    parse_stream_arn(arn)
    return arn


_REGION = r"^[a-z]{2}(-[a-z]+)+-\d$"
_ENDPOINT = r"^https?://"
NAMED_PATTERNS = {_REGION: "an AWS region such as us-east-1", _ENDPOINT: "a URL such as http://127.0.0.1:4566"}
Region = Annotated[str, Field(pattern=_REGION)]
Endpoint = Annotated[str, Field(pattern=_ENDPOINT)]
