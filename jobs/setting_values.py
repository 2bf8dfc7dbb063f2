"""How values are written in the properties file: durations, window sizes, times and ARNs, and what is allowed."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BeforeValidator, Field

from operators.folds.registry import BUILT_IN
from schemas.limits import LIMITS
from schemas.view_rows import VIEWS

UNIT_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DAY_MS = UNIT_MS["d"]
_LONGEST_MS = 36_500 * _DAY_MS
FOREVER = "forever"


def parse_duration(text: Any) -> Any:
    """Milliseconds of "200ms", "10 s", "1h"; ValueError says what is allowed."""
    if isinstance(text, int):
        return text
    match = re.fullmatch(r"\s*(\d+)\s*(ms|s|m|h|d)\s*", str(text))
    if not match:
        raise ValueError("must be a whole number with a unit: ms, s, m, h or d, such as 200ms, 10s or 1h")
    return int(match[1]) * UNIT_MS[match[2]]


def duration_text(length_ms: int) -> str:
    """As `parse_duration` reads it, in the largest unit that leaves nothing over."""
    unit = next(unit for unit in reversed(UNIT_MS) if length_ms % UNIT_MS[unit] == 0)
    return f"{length_ms // UNIT_MS[unit]}{unit}"


def _check_duration(length: int) -> int:
    if not 0 < length <= _LONGEST_MS:
        raise ValueError(f"must be longer than 0 and at most {_LONGEST_MS // _DAY_MS}d")
    return length


def _parse_retention(text: Any) -> Any:
    if str(text).strip() == FOREVER:
        return None
    try:
        seconds = _check_duration(parse_duration(text)) // 1_000
    except ValueError as error:
        raise ValueError(f"{error}, or {FOREVER}") from None
    if seconds == 0:
        raise ValueError("must be at least 1s")
    return seconds


def _parse_names(text: Any) -> Any:
    return [name.strip() for name in str(text).split(",") if name.strip()] if isinstance(text, str) else text


def parse_views(text: Any) -> Any:
    names = _parse_names(text)
    unknown = [name for name in names if name not in VIEWS]
    if unknown or not names:
        raise ValueError(f"must be one or more of {', '.join(VIEWS)}")
    return names


def parse_folds(text: Any) -> Any:
    """The names alone: what looks at views need not have the code of a team's folds."""
    names = _parse_names(text)
    for name in names:
        if name not in BUILT_IN and not re.fullmatch(r"[\w.]+:\w+", name):
            raise ValueError(
                f"must name folds: {name} is none of {', '.join(BUILT_IN)}, and no package.module:ClassName"
            )
        if names.count(name) > 1:
            raise ValueError(f"must name folds, each once, and {name} is there twice")
    return names


def parse_attributes(text: Any) -> Any:
    names = _parse_names(text)
    for name in names:
        if "#" in name or names.count(name) > 1:
            raise ValueError(f"must name attributes, each once and without #, and {name} is not such a one")
        if excess := LIMITS.attribute_name.excess(name):
            raise ValueError(f"must name attributes that events can have, and one {excess}")
    return names


def parse_sizes(text: Any) -> Any:
    """Label to milliseconds. Windows are aligned to UTC days, and the smallest is what the others are made of."""
    sizes = {name.replace(" ", ""): parse_duration(name) for name in _parse_names(text)}
    if not sizes:
        raise ValueError("must name at least one window size, such as 1m")
    for label, length in sizes.items():
        if length == 0 or length % UNIT_MS["s"] or _DAY_MS % length:
            raise ValueError(f"must hold whole seconds that divide a day evenly, and {label} does not")
        if length % min(sizes.values()):
            raise ValueError(f"must hold multiples of the smallest size, and {label} is none")
    if len(set(sizes.values())) < len(sizes):
        raise ValueError("must name each window size once, and two of these are the same length")
    return sizes


def parse_timestamp(text: Any) -> Any:
    try:
        parsed = datetime.fromisoformat(str(text))
    except ValueError:
        raise ValueError("must be an ISO 8601 time such as 2026-01-31T12:00:00Z") from None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


Duration = Annotated[int, BeforeValidator(parse_duration), AfterValidator(_check_duration)]
Retention = Annotated[int | None, BeforeValidator(_parse_retention)]


def at_least(shortest: str) -> AfterValidator:
    def check(length: int) -> int:
        if length < parse_duration(shortest):
            raise ValueError(f"must be at least {shortest}")
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
