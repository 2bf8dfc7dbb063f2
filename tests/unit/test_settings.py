"""What the properties file may hold: defaults, every property, every problem, and all problems at once."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticUndefined

from jobs import settings
from jobs.setting_values import FOREVER, StreamArn, parse_duration, parse_stream_arn
from jobs.settings import Settings, check_folds, parse
from schemas.errors import SettingsError

README = Path(__file__).parents[2] / "README.md"
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


def test_the_smallest_file_has_a_default_for_everything_else() -> None:
    source, job, views, dead_letter, archive, alerts = parse(SMALLEST)
    assert archive.path is None
    assert (alerts.rules_stream, alerts.stream) == (None, None)
    assert (source.name, source.region, source.endpoint) == ("events", "us-east-1", None)
    assert (source.init_position, source.init_timestamp) == ("TRIM_HORIZON", None)
    assert (source.consumer, source.consumer_name) == ("POLLING", None)
    assert (source.max_out_of_orderness, source.shard_idle) == (10 * SECOND, 10 * SECOND)
    assert job.views == ("latest", "rollups")
    assert job.rollup_sizes == {"1m": MINUTE, "1h": HOUR}
    assert (job.rollup_lateness, job.dedup_horizon, job.state_retention) == (HOUR, HOUR, DAY)
    assert job.device_retention == 90 * DAY
    assert (job.flush_interval, job.flush_size, job.checkpoint_interval) == (SECOND, 100_000, 10 * SECOND)
    assert (job.parallelism, job.python_execution_mode) == (1, "thread")
    assert (views.dynamodb_endpoint, views.redis_secret) == (None, None)
    assert views.retention == {"latest": None, "rollups": 90 * 86_400}
    assert dead_letter.name == "dead-letters"


DAILY: Values = {"rollup.sizes": "1h, 5 m,1d", "state.retention": "2d"}
GOOD: list[tuple[str, Values, str, Any]] = [
    (SOURCE, {"stream.name": "clicks"}, "name", "clicks"),
    (SOURCE, {"stream.name": None, "stream.arn": ARN, "aws.region": None}, "name", "events"),
    (SOURCE, {"stream.name": None, "stream.arn": ARN, "aws.region": None}, "region", "eu-west-1"),
    (SOURCE, {"aws.region": "us-gov-west-1"}, "region", "us-gov-west-1"),
    (SOURCE, {"aws.endpoint": "https://kinesis.example"}, "endpoint", "https://kinesis.example"),
    (SOURCE, {"init.position": "LATEST"}, "init_position", "LATEST"),
    (
        SOURCE,
        {"init.position": "AT_TIMESTAMP", "init.timestamp": "2026-01-31T12:00:00"},
        "init_timestamp",
        datetime(2026, 1, 31, 12, tzinfo=UTC),
    ),
    (SOURCE, {"consumer": "EFO", "consumer.name": "telefold"}, "consumer", "EFO"),
    (SOURCE, {"consumer": "EFO", "consumer.name": "telefold"}, "consumer_name", "telefold"),
    (SOURCE, {"max.out.of.orderness": "1h"}, "max_out_of_orderness", HOUR),
    (SOURCE, {"shard.idle": "200ms"}, "shard_idle", 200),
    (JOB, {"views": "latest"}, "views", ("latest",)),
    (JOB, {"name": "telefold-prod"}, "name", "telefold-prod"),
    (JOB, DAILY, "rollup_sizes", {"1h": HOUR, "5m": 5 * MINUTE, "1d": DAY}),
    (JOB, DAILY, "largest_window", DAY),
    (JOB, {"folds": "device, presence"}, "folds", ("device", "presence")),
    (JOB, {"folds": ""}, "folds", ()),
    (JOB, {"group.rollups": "site, model"}, "group_rollups", ("site", "model")),
    (JOB, {"rollup.lateness": "10m"}, "rollup_lateness", 10 * MINUTE),
    (JOB, {"dedup.horizon": "2h"}, "dedup_horizon", 2 * HOUR),
    (JOB, {"state.retention": "7d"}, "state_retention", 7 * DAY),
    (JOB, {"device.retention": "365d"}, "device_retention", 365 * DAY),
    (JOB, {"flush.interval": "20ms"}, "flush_interval", 20),
    (JOB, {"flush.size": "1000000"}, "flush_size", 1_000_000),
    (JOB, {"parallelism": "256"}, "parallelism", 256),
    (JOB, {"checkpoint.interval": "100ms"}, "checkpoint_interval", 100),
    (JOB, {"python.execution-mode": "process"}, "python_execution_mode", "process"),
    (VIEWS, {"dynamodb.table": "a.b_c-1"}, "dynamodb_table", "a.b_c-1"),
    (VIEWS, {"dynamodb.endpoint": "http://127.0.0.1:18000"}, "dynamodb_endpoint", "http://127.0.0.1:18000"),
    (VIEWS, {"aws.region": "eu-west-1"}, "aws_region", "eu-west-1"),
    (VIEWS, {"redis.url": "rediss://cache:6379/1"}, "redis_url", "rediss://cache:6379/1"),
    (VIEWS, {"redis.secret": "redis-password"}, "redis_secret", "redis-password"),
    (VIEWS, {"retention.latest": "30d"}, "retention_latest", 30 * 86_400),
    (VIEWS, {"retention.rollups": "forever"}, "retention_rollups", None),
    (DEAD_LETTER, {"stream.name": "letters"}, "name", "letters"),
    (DEAD_LETTER, {"stream.name": None, "stream.arn": DEAD_LETTER_ARN}, "name", "dead-letters"),
    (ARCHIVE, {"path": "s3://bucket/telemetry"}, "path", "s3://bucket/telemetry"),
    (ARCHIVE, {"path": "/var/telefold/archive"}, "path", "/var/telefold/archive"),
    (ARCHIVE, {"despite.holes": "true"}, "despite_holes", True),
    (ALERTS, {"rules.stream.name": "rules"}, "rules_stream", "rules"),
    (ALERTS, {"stream.name": "alerts"}, "stream", "alerts"),
]


@pytest.mark.parametrize(("group", "values", "attribute", "meaning"), GOOD)
def test_properties_are_read(group: str, values: Values, attribute: str, meaning: Any) -> None:
    held = dict(zip((SOURCE, JOB, VIEWS, DEAD_LETTER, ARCHIVE, ALERTS), read(group, values), strict=True))
    assert getattr(held[group], attribute) == meaning


def test_no_property_is_left_out_above() -> None:
    assert {(group, key) for group, values, _, _ in GOOD for key in values} == {
        (group, key) for group, keys in known_properties().items() for key in keys
    }


def test_the_views_are_in_the_region_of_the_source_unless_one_is_named() -> None:
    assert parse(SMALLEST).views_region == "us-east-1"
    assert read(VIEWS, {"aws.region": "eu-west-1"}).views_region == "eu-west-1"


DURATION = "must be a whole number with a unit: ms, s, m, h or d, such as 200ms, 10s or 1h."
BAD: list[tuple[str, str, str, str]] = [
    (
        JOB,
        "group.rollups",
        "n" * 129,
        "must name attributes that events can have, and one has 129 characters, at most 128 are allowed.",
    ),
    (ARCHIVE, "path", "archive", "must be an absolute path, or a URL such as s3://bucket/telemetry."),
    (SOURCE, "stream.name", "", "must not be empty."),
    (SOURCE, "aws.region", "Ireland", "must be an AWS region such as us-east-1."),
    (SOURCE, "aws.endpoint", "localhost:4566", "must be a URL such as http://127.0.0.1:4566."),
    (SOURCE, "init.position", "latest", "must be 'TRIM_HORIZON', 'LATEST' or 'AT_TIMESTAMP'."),
    (SOURCE, "init.timestamp", "yesterday", "must be an ISO 8601 time such as 2026-01-31T12:00:00Z."),
    (SOURCE, "consumer", "efo", "must be 'POLLING' or 'EFO'."),
    (SOURCE, "consumer.name", " ", "must not be empty."),
    (SOURCE, "max.out.of.orderness", "10", DURATION),
    (SOURCE, "shard.idle", "0s", "must be longer than 0 and at most 36500d."),
    (JOB, "views", "latest, newest", "must be one or more of latest, rollups."),
    (JOB, "views", ",", "must be one or more of latest, rollups."),
    (
        JOB,
        "folds",
        "presense",
        "must name folds: presense is none of device, presence, alert, fleet, and no package.module:ClassName.",
    ),
    (JOB, "folds", "device,device", "must name folds, each once, and device is there twice."),
    (JOB, "rollup.lateness", "1 week", DURATION),
    (JOB, "dedup.horizon", "-1h", DURATION),
    (JOB, "state.retention", "36501d", "must be longer than 0 and at most 36500d."),
    (JOB, "flush.interval", "19ms", "must be at least 20ms."),
    (JOB, "flush.size", "0", "must be at least 1."),
    (JOB, "flush.size", "1000001", "must be at most 1000000."),
    (JOB, "parallelism", "two", "must be a whole number."),
    (ARCHIVE, "despite.holes", "perhaps", "must be true or false."),
    (JOB, "parallelism", "257", "must be at most 256."),
    (JOB, "checkpoint.interval", "99ms", "must be at least 100ms."),
    (JOB, "python.execution-mode", "threads", "must be 'thread' or 'process'."),
    (VIEWS, "dynamodb.table", "a b", "must be a table name: 3 to 255 letters, digits, dots, dashes or underscores."),
    (VIEWS, "redis.url", "127.0.0.1:6379", "must be a URL such as redis://host:6379 or rediss://host:6379."),
    (VIEWS, "redis.secret", "", "must not be empty."),
    (VIEWS, "retention.latest", "500ms", "must be at least 1s."),
    (VIEWS, "retention.latest", "0s", "must be longer than 0 and at most 36500d, or forever."),
    (VIEWS, "retention.rollups", "for ever", DURATION.removesuffix(".") + ", or forever."),
    (DEAD_LETTER, "stream.name", "", "must not be empty."),
]


@pytest.mark.parametrize(("group", "key", "value", "requirement"), BAD)
def test_a_bad_value_is_shown_with_what_is_allowed(group: str, key: str, value: str, requirement: str) -> None:
    assert the_problem(group, {key: value}) == f"{group}/{key} = {value!r}: {requirement}"


@pytest.mark.parametrize(
    ("sizes", "requirement"),
    [
        ("", "must name at least one window size, such as 1m."),
        ("7m", "must hold whole seconds that divide a day evenly, and 7m does not."),
        ("1m, 2d", "must hold whole seconds that divide a day evenly, and 2d does not."),
        ("0s", "must hold whole seconds that divide a day evenly, and 0s does not."),
        ("1500ms", "must hold whole seconds that divide a day evenly, and 1500ms does not."),
        ("1m, 90s", "must hold multiples of the smallest size, and 90s is none."),
        ("1m, 60s", "must name each window size once, and two of these are the same length."),
        ("1m, hourly", DURATION),
    ],
)
def test_rollup_sizes_divide_a_day_and_are_made_of_the_smallest(sizes: str, requirement: str) -> None:
    assert the_problem(JOB, {"rollup.sizes": sizes}) == f"telefold.job/rollup.sizes = {sizes!r}: {requirement}"


STATE_RETENTION = "state.retention must be at least the largest of rollup.sizes and rollup.lateness together, which is"
TOO_LATE = "or events in order would be too late for windows that their own device has begun"
CONFLICTS: list[tuple[str, Values, str]] = [
    (SOURCE, {"stream.name": None}, "exactly one of stream.name and stream.arn must be set"),
    (
        SOURCE,
        {"stream.arn": ARN.replace("eu-west-1", "us-east-1")},
        "exactly one of stream.name and stream.arn must be set",
    ),
    (DEAD_LETTER, {"stream.name": None}, "exactly one of stream.name and stream.arn must be set"),
    (DEAD_LETTER, {"stream.arn": DEAD_LETTER_ARN}, "exactly one of stream.name and stream.arn must be set"),
    (SOURCE, {"aws.region": None}, "aws.region is missing: set it to the region of the stream, such as us-east-1"),
    (
        SOURCE,
        {"stream.name": None, "stream.arn": ARN},
        "aws.region is us-east-1 and stream.arn names another region: remove aws.region",
    ),
    (
        SOURCE,
        {"init.position": "AT_TIMESTAMP"},
        "init.timestamp goes with init.position = AT_TIMESTAMP, and only with it",
    ),
    (
        SOURCE,
        {"init.timestamp": "2026-01-31T12:00:00Z"},
        "init.timestamp goes with init.position = AT_TIMESTAMP, and only with it",
    ),
    (SOURCE, {"consumer": "EFO"}, "consumer.name goes with consumer = EFO, and only with it"),
    (SOURCE, {"consumer.name": "telefold"}, "consumer.name goes with consumer = EFO, and only with it"),
    (
        JOB,
        {"dedup.horizon": "59m"},
        "dedup.horizon must be at least rollup.lateness, or late duplicates would be counted twice",
    ),
    (JOB, {"state.retention": "119m"}, f"{STATE_RETENTION} 2h, {TOO_LATE}"),
    (JOB, {"state.retention": "90m", "rollup.lateness": "31m"}, f"{STATE_RETENTION} 91m, {TOO_LATE}"),
    (JOB, {"rollup.sizes": "1h,1d"}, f"{STATE_RETENTION} 25h, {TOO_LATE}"),
    (
        JOB,
        {"device.retention": "24h"},
        "device.retention must be at least state.retention and the largest of rollup.sizes together,"
        " or windows that a device has filled would begin anew",
    ),
]


@pytest.mark.parametrize(("group", "values", "sentence"), CONFLICTS)
def test_good_values_that_do_not_go_together_are_refused(group: str, values: Values, sentence: str) -> None:
    assert the_problem(group, values) == f"{group}: {sentence}."


def test_what_must_be_at_least_as_long_as_something_else_may_be_just_as_long() -> None:
    job = read(JOB, {"rollup.lateness": "2h", "dedup.horizon": "2h", "state.retention": "3h"}).job
    assert job.rollup_lateness == job.dedup_horizon == 2 * HOUR
    assert job.state_retention == 3 * HOUR
    daily = read(JOB, {"rollup.sizes": "1d", "state.retention": "25h"}).job
    assert daily.state_retention == daily.largest_window + daily.rollup_lateness


def test_a_device_may_be_forgotten_once_its_last_windows_are_over() -> None:
    assert read(JOB, {"device.retention": "25h"}).job.device_retention == 25 * HOUR


@pytest.mark.parametrize(
    ("group", "values", "sentence"), [case for case in CONFLICTS if case[0] in (SOURCE, JOB)], ids=str
)
def test_a_conflict_shows_beside_a_bad_property_of_the_group(group: str, values: Values, sentence: str) -> None:
    key = {SOURCE: "shard.idle", JOB: "flush.size"}[group]
    bad, conflict = problems(with_(group, {**values, key: "x"}))
    assert bad.startswith(f"{group}/{key} = 'x'")
    assert conflict == f"{group}: {sentence}."


def test_of_a_conflict_with_a_bad_value_only_the_value_is_told() -> None:
    assert the_problem(JOB, {"dedup.horizon": "short"}).startswith("telefold.job/dedup.horizon = 'short'")


def test_the_dead_letters_have_a_stream_of_their_own() -> None:
    assert the_problem(DEAD_LETTER, {"stream.name": "events"}) == (
        "telefold.dead-letter: the stream events is the one that events come from,"
        " and its dead letters would be read as events: name another."
    )


def test_the_dead_letters_are_in_the_region_of_the_source() -> None:
    arn = DEAD_LETTER_ARN.replace("us-east-1", "eu-west-1")
    assert the_problem(DEAD_LETTER, {"stream.name": None, "stream.arn": arn}) == (
        "telefold.dead-letter/stream.arn: the stream must be in the region of the source, us-east-1."
    )


def test_a_misspelt_property_is_one_problem_even_if_it_was_needed() -> None:
    assert the_problem(VIEWS, {"redis.url": None, "redis.uri": "redis://127.0.0.1"}) == (
        "telefold.views/redis.uri: there is no such property; did you mean redis.url?"
        " (the properties are aws.region, dynamodb.endpoint, dynamodb.table, redis.secret, redis.url,"
        " retention.latest, retention.rollups)."
    )
    assert "did you mean stream.name?" in the_problem(SOURCE, {"stream.name": None, "stream.nane": "events"})


def test_a_property_like_no_other_gets_no_suggestion() -> None:
    assert the_problem(DEAD_LETTER, {"colour": "red"}) == (
        "telefold.dead-letter/colour: there is no such property (the properties are stream.arn, stream.name)."
    )


def test_a_misspelt_group_is_refused_with_the_nearest() -> None:
    assert the_problem("telefold.jobs", {"parallelism": "2"}) == (
        "telefold.jobs: there is no such group; did you mean telefold.job?"
        " (the groups are telefold.source, telefold.job, telefold.views, telefold.dead-letter,"
        " telefold.archive, telefold.alerts)."
    )


def test_groups_of_others_are_left_alone() -> None:
    assert parse(SMALLEST | {"kinesis.analytics.flink.run.options": {"python": "main.py"}}) == parse(SMALLEST)


def test_all_problems_are_told_at_once() -> None:
    told = problems(
        {
            SOURCE: {"stream.name": "events", "init.position": "EARLIEST", "consumer": "EFO"},
            JOB: {"paralellism": "2", "flush.size": "0", "dedup.horizon": "1m"},
            VIEWS: {"dynamodb.table": "?"},
            "telefold.archives": {},
        }
    )
    assert [re.split(r"[:=]", line)[0].strip() for line in told] == [
        "telefold.archives",
        "telefold.source/init.position",
        "telefold.source",
        "telefold.source",
        "telefold.job/flush.size",
        "telefold.job/paralellism",
        "telefold.job",
        "telefold.views/dynamodb.table",
        "telefold.views/redis.url is missing",
        "telefold.dead-letter",
    ]
    assert all(line.endswith(".") and "\n" not in line for line in told)


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("200ms", 200), ("10s", 10_000), ("10 s", 10_000), (" 5m ", 300_000), ("1h", HOUR), ("90d", 90 * DAY)],
)
def test_durations_are_numbers_with_a_unit(text: str, milliseconds: int) -> None:
    assert parse_duration(text) == milliseconds


@given(st.text())
def test_any_other_text_is_no_duration(text: str) -> None:
    if not re.fullmatch(r"\s*\d+\s*(ms|s|m|h|d)\s*", text):
        with pytest.raises(ValueError, match="must be a whole number with a unit"):
            parse_duration(text)


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov"])
def test_stream_arns_of_every_partition_are_read(partition: str) -> None:
    assert parse_stream_arn(f"arn:{partition}:kinesis:us-east-1:123456789012:stream/a.b-c_d") == StreamArn(
        "us-east-1", "a.b-c_d"
    )


@pytest.mark.parametrize(
    "arn",
    [
        "events",
        "arn:aws:firehose:us-east-1:123456789012:stream/events",
        "arn:aws:kinesis:us-east-1:12345:stream/events",
        "arn:aws:kinesis::123456789012:stream/events",
        "arn:aws:kinesis:us-east-1:123456789012:stream/",
        "arn:aws:kinesis:us-east-1:123456789012:stream/events/consumer/telefold:1",
    ],
)
def test_other_arns_are_refused(arn: str) -> None:
    assert the_problem(SOURCE, {"stream.name": None, "stream.arn": arn, "aws.region": None}).endswith(
        f"/stream.arn = {arn!r}: must look like arn:aws:kinesis:REGION:ACCOUNT:stream/NAME."
    )


def test_alerts_need_the_stream_of_their_rules() -> None:
    assert the_problem(JOB, {"folds": "alert"}).startswith("telefold.alerts/rules.stream.name is missing: set it to")
    assert read(ALERTS, {"rules.stream.name": "rules"}).judges_by_rules is False


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"rules.stream.name": "events"}, "rules.stream.name: the stream events is that of telefold.source"),
        ({"stream.name": "dead-letters"}, "stream.name: the stream dead-letters is that of telefold.dead-letter"),
        ({"rules.stream.name": "a", "stream.name": "a"}, "stream.name: the stream a is that of the rules"),
    ],
)  # fmt: skip
def test_alerts_go_by_streams_of_their_own(values: Values, problem: str) -> None:
    assert the_problem(ALERTS, values) == f"telefold.alerts/{problem}: name another."


def known_properties() -> dict[str, dict[str, Any]]:
    """Group -> property -> default, as settings.py has them."""
    return {
        group: {field.alias or name: field.default for name, field in model.model_fields.items()}
        for group, model in settings._GROUPS.items()
    }


def documented_properties() -> dict[str, dict[str, str]]:
    """Group -> property -> what README.md's tables say is its default."""
    groups: dict[str, dict[str, str]] = {}
    for section in re.split(r"^#+ ", README.read_text("utf-8"), flags=re.MULTILINE):
        heading, _, body = section.partition("\n")
        if heading.startswith("telefold."):
            groups[heading.strip()] = dict(re.findall(r"^\| *([\w.-]*\w) *\| *([^|]*?) *\|", body, flags=re.MULTILINE))
            assert groups[heading.strip()].pop("property") == "default"
    return groups


def test_the_readme_names_every_property() -> None:
    documented = {group: set(keys) for group, keys in documented_properties().items()}
    assert documented == {group: set(keys) for group, keys in known_properties().items()}


@pytest.mark.parametrize("group", [SOURCE, JOB, VIEWS, DEAD_LETTER])
def test_the_readme_tells_every_default_as_it_is_written_in_the_file(group: str) -> None:
    """Where there is none, the cell is empty or says where the value comes from: "the source's", "from the ARN"."""
    known = known_properties()[group]
    told = {key: cell for key, cell in documented_properties()[group].items() if not re.match(r"$|the |from ", cell)}
    assert {key for key, cell in told.items() if cell != FOREVER} == {
        key for key, default in known.items() if default not in (None, (), PydanticUndefined)
    }
    assert read(group, told) == parse(SMALLEST)


def test_views_are_read_without_the_code_of_a_teams_folds_and_a_job_is_told_where_it_is_looked_for() -> None:
    settings = read(JOB, {"folds": "device,battery.level:Level"})
    assert settings.job.folds == ("device", "battery.level:Level")
    with pytest.raises(SettingsError) as refused:
        check_folds(settings)
    assert refused.value.problems == (
        "telefold.job/folds: must name folds: battery.level:Level cannot be imported: no folder that Python looks in"
        " holds battery, so put the one that does into PYTHONPATH, as in `PYTHONPATH=FOLDER telefold run telemetry`.",
    )


@pytest.mark.parametrize("folds", ["operators.folds.device:Device,device", "operators.folds.fold:Fold"])
def test_folds_that_no_job_can_run_are_refused_before_it_starts(folds: str) -> None:
    with pytest.raises(SettingsError, match=r"telefold\.job/folds: must name folds: "):
        check_folds(read(JOB, {"folds": folds}))
