"""The job's settings: what `application_properties.json` may hold, and every problem with it at once.

Each group is defined where it is used, with its properties' names and defaults; this module puts them together.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from telefold.connectors.settings import (
    AlertSettings,
    ArchiveSettings,
    DeadLetterSettings,
    SourceSettings,
    ViewSettings,
)
from telefold.jobs.properties_file import read_groups
from telefold.operators.folds.registry import find_all
from telefold.operators.settings import JobSettings
from telefold.schemas.alerts import ALERT
from telefold.schemas.errors import SettingsError
from telefold.schemas.generations import FoldSettings, Generations
from telefold.schemas.setting_values import NAMED_PATTERNS, Group, parse_stream_arn


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
        """Return these settings, folding what generation `number` folds: a rebuild recorded what that is."""
        return self.folding(generations.folds.get(number))

    def folding(self, fold: FoldSettings | None) -> "Settings":
        """Return these settings with the parts of `fold`; None leaves what the properties say."""
        if fold is None:
            return self
        changes = {"views": fold.views, "rollup_sizes": dict(fold.rollup_sizes)}
        return self._replace(job=self.job.model_copy(update=changes))

    def despite_holes(self, wanted: bool = True) -> "Settings":
        """Return settings that go on where the archive lacks records, if that is `wanted`; else these."""
        if not wanted:
            return self
        return self._replace(archive=self.archive.model_copy(update={"despite_holes": True}))

    def with_batch_flush(self) -> "Settings":
        """Return these settings for work that nobody watches row by row.

        A longer wait makes fewer writes of more events each.
        """
        return self._replace(
            job=self.job.model_copy(update={"flush_interval_ms": max(self.job.flush_interval_ms, 5_000)})
        )


_GROUPS: dict[str, type[Group]] = {
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


def _parse_group(name: str, model: type[Group], values: Mapping[str, str], problems: list[str]) -> Group | None:
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


def _blamed(model: type[Group], error: ValidationError) -> set[str]:
    """The bad properties, and those that a misspelt one was probably meant to be: nothing more is said of these."""
    keys = {str(one["loc"][0]) for one in error.errors() if one["type"] != "missing"}
    unknown = [str(one["loc"][0]) for one in error.errors() if one["type"] == "extra_forbidden"]
    return keys | {near for key in unknown if (near := _nearest(key, _fields(model)))}


def _is_told(error: Any, blamed: set[str]) -> bool:
    return error["type"] != "missing" or str(error["loc"][0]) not in blamed


def _fields(model: type[Group]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _unknown_group(name: str) -> str:
    return f"{name}: there is no such group{_suggestion(name, _GROUPS)} (the groups are {', '.join(_GROUPS)})."


def _problem(group: str, model: type[Group], error: Any) -> str:
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
