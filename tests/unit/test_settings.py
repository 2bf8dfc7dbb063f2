"""What the properties file may hold: defaults, every property, every bad value, and all problems at once."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telefold.jobs.settings import check_folds, parse
from telefold.schemas.errors import SettingsError
from telefold.schemas.setting_values import StreamArn, parse_duration, parse_stream_arn
from tests.support.settings_groups import (
    ALERTS,
    ARCHIVE,
    ARN,
    DAY,
    DEAD_LETTER,
    DEAD_LETTER_ARN,
    HOUR,
    JOB,
    MINUTE,
    SECOND,
    SMALLEST,
    SOURCE,
    VIEWS,
    Values,
    known_properties,
    problems,
    read,
    the_problem,
)


def test_the_smallest_file_has_a_default_for_everything_else() -> None:
    source, job, views, dead_letter, archive, alerts = parse(SMALLEST)
    assert archive.path is None
    assert (alerts.rules_stream, alerts.stream) == (None, None)
    assert (source.name, source.region, source.endpoint) == ("events", "us-east-1", None)
    assert (source.init_position, source.init_timestamp) == ("TRIM_HORIZON", None)
    assert (source.consumer, source.consumer_name) == ("POLLING", None)
    assert job.views == ("latest", "rollups")
    assert job.rollup_sizes == {"1m": MINUTE, "1h": HOUR}
    assert (job.rollup_lateness_ms, job.dedup_horizon_ms, job.state_retention_ms) == (HOUR, HOUR, DAY)
    assert job.device_retention_ms == 90 * DAY
    assert (job.flush_interval_ms, job.flush_size, job.checkpoint_interval_ms) == (SECOND, 100_000, 10 * SECOND)
    assert (job.parallelism, job.python_execution_mode) == (1, "thread")
    assert (views.dynamodb_endpoint, views.redis_secret) == (None, None)
    assert views.retention == {"latest": None, "rollups": 90 * 86_400}
    assert dead_letter.name == "dead-letters"


DAILY: Values = {"rollup.sizes": "1h, 5 m,1d", "state.retention": "2d"}
ZONED_SIZES: Values = {"rollup.sizes": "90s, 1m, 1w@America/New_York", "state.retention": "8d"}
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
    (JOB, {"views": "latest"}, "views", ("latest",)),
    (JOB, {"name": "telefold-prod"}, "name", "telefold-prod"),
    (JOB, DAILY, "rollup_sizes", {"1h": HOUR, "5m": 5 * MINUTE, "1d": DAY}),
    (JOB, DAILY, "largest_window_ms", DAY),
    (JOB, ZONED_SIZES, "rollup_sizes", {"90s": 90 * SECOND, "1m": MINUTE, "1w@America/New_York": 7 * DAY + 3 * HOUR}),
    (JOB, ZONED_SIZES, "largest_window_ms", 7 * DAY + 3 * HOUR),
    (JOB, {"folds": "device, presence"}, "folds", ("device", "presence")),
    (JOB, {"folds": ""}, "folds", ()),
    (JOB, {"group.rollups": "site, model"}, "group_rollups", ("site", "model")),
    (JOB, {"rollup.lateness": "10m"}, "rollup_lateness_ms", 10 * MINUTE),
    (JOB, {"dedup.horizon": "2h"}, "dedup_horizon_ms", 2 * HOUR),
    (JOB, {"state.retention": "7d"}, "state_retention_ms", 7 * DAY),
    (JOB, {"device.retention": "365d"}, "device_retention_ms", 365 * DAY),
    (JOB, {"flush.interval": "20ms"}, "flush_interval_ms", 20),
    (JOB, {"durable.interval": "0s"}, "durable_interval_ms", 0),
    (JOB, {"durable.interval": "10m"}, "durable_interval_ms", 10 * MINUTE),
    (JOB, {"flush.size": "1000000"}, "flush_size", 1_000_000),
    (JOB, {"parallelism": "256"}, "parallelism", 256),
    (JOB, {"checkpoint.interval": "100ms"}, "checkpoint_interval_ms", 100),
    (JOB, {"python.execution-mode": "process"}, "python_execution_mode", "process"),
    (VIEWS, {"dynamodb.table": "a.b_c-1"}, "dynamodb_table", "a.b_c-1"),
    (VIEWS, {"dynamodb.endpoint": "http://127.0.0.1:18000"}, "dynamodb_endpoint", "http://127.0.0.1:18000"),
    (VIEWS, {"aws.region": "eu-west-1"}, "aws_region", "eu-west-1"),
    (VIEWS, {"redis.url": "rediss://cache:6379/1"}, "redis_url", "rediss://cache:6379/1"),
    (VIEWS, {"redis.secret": "redis-password"}, "redis_secret", "redis-password"),
    (VIEWS, {"retention.latest": "30d"}, "retention_latest_s", 30 * 86_400),
    (VIEWS, {"retention.rollups": "forever"}, "retention_rollups_s", None),
    (VIEWS, {"retention.fast": "2h"}, "retention_fast_s", 7_200),
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
    (JOB, "device.retention", "10", DURATION),
    (JOB, "state.retention", "0s", "must be longer than 0 and at most 36500d."),
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
    (JOB, "durable.interval", "25h", "must be at most 1d."),
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


ZONE = "must name time zones of the tz database, such as Europe/Berlin"
ZONED = "must hold windows of a time zone as 1d, 1w, 1mo or 1y, an @ and the zone, such as 1d@Europe/Berlin"


@pytest.mark.parametrize(
    ("sizes", "requirement"),
    [
        ("", "must name at least one window size, such as 1m."),
        ("7m", "must hold whole seconds that divide a day evenly, and 7m does not."),
        ("1m, 2d", "must hold whole seconds that divide a day evenly, and 2d does not."),
        ("0s", "must hold whole seconds that divide a day evenly, and 0s does not."),
        ("1500ms", "must hold whole seconds that divide a day evenly, and 1500ms does not."),
        ("1m, 60s", "must name each window size once, and two of these are the same length."),
        ("1m, hourly", DURATION),
        ("1m, 1w", DURATION),
        ("1d@Europe/Atlantis", f"{ZONE}, and 1d@Europe/Atlantis names none."),
        ("1d@right/Europe/Berlin", f"{ZONE}, and 1d@right/Europe/Berlin names none."),
        ("1d@europe/berlin", f"{ZONE}, and 1d@europe/berlin names none."),
        ("1h@Europe/Berlin", f"{ZONED}, and 1h@Europe/Berlin is none."),
        ("2d@Europe/Berlin", f"{ZONED}, and 2d@Europe/Berlin is none."),
        ("1d@", f"{ZONED}, and 1d@ is none."),
    ],
)
def test_rollup_sizes_divide_a_day_or_are_of_a_time_zone(sizes: str, requirement: str) -> None:
    assert the_problem(JOB, {"rollup.sizes": sizes}) == f"telefold.job/rollup.sizes = {sizes!r}: {requirement}"


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


def test_views_are_read_without_the_code_of_a_teams_folds_and_a_job_is_told_where_it_is_looked_for() -> None:
    settings = read(JOB, {"folds": "device,battery.level:Level"})
    assert settings.job.folds == ("device", "battery.level:Level")
    with pytest.raises(SettingsError) as refused:
        check_folds(settings)
    assert refused.value.problems == (
        "telefold.job/folds: must name folds: battery.level:Level cannot be imported: neither this folder nor"
        " PYTHONPATH holds battery, so stand in the folder that does, or put it into PYTHONPATH.",
    )


@pytest.mark.parametrize("folds", ["telefold.operators.folds.device:Device,device", "telefold:Fold"])
def test_folds_that_no_job_can_run_are_refused_before_it_starts(folds: str) -> None:
    with pytest.raises(SettingsError, match=r"telefold\.job/folds: must name folds: "):
        check_folds(read(JOB, {"folds": folds}))
