"""Groups of the properties file that can be used, with something changed, and what is said of them."""

from collections.abc import Mapping
from typing import Any

import pytest

from telefold.jobs import settings
from telefold.jobs.settings import Settings, parse
from telefold.schemas.errors import SettingsError

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
ARN = "arn:aws:kinesis:eu-west-1:123456789012:stream/events"
DEAD_LETTER_ARN = "arn:aws:kinesis:us-east-1:123456789012:stream/dead-letters"
SOURCE, JOB, VIEWS, DEAD_LETTER = "telefold.source", "telefold.job", "telefold.views", "telefold.dead-letter"
ARCHIVE, ALERTS = "telefold.archive", "telefold.alerts"
Values = Mapping[str, str | None]

SMALLEST = {
    SOURCE: {"stream.name": "events", "aws.region": "us-east-1"},
    VIEWS: {"dynamodb.table": "views", "redis.url": "redis://127.0.0.1"},
    DEAD_LETTER: {"stream.name": "dead-letters"},
}


def with_(group: str, values: Values) -> dict[str, dict[str, str]]:
    """The smallest good settings with `values` on top; None takes a property away."""
    groups = {name: dict(held) for name, held in SMALLEST.items()}
    changed = groups.get(group, {}) | dict(values)
    return groups | {group: {key: value for key, value in changed.items() if value is not None}}


def read(group: str, values: Values) -> Settings:
    return parse(with_(group, values))


def problems(groups: Mapping[str, Mapping[str, str]]) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as refused:
        parse(groups)
    return refused.value.problems


def the_problem(group: str, values: Values) -> str:
    (only,) = problems(with_(group, values))
    return only


def known_properties() -> dict[str, dict[str, Any]]:
    """Group -> property -> default, as settings.py has them."""
    return {
        group: {field.alias or name: field.default for name, field in model.model_fields.items()}
        for group, model in settings._GROUPS.items()
    }
