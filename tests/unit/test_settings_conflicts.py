"""Which good values of the properties file do not go together."""

import pytest

from tests.support.settings_groups import (
    ALERTS,
    ARN,
    DEAD_LETTER,
    DEAD_LETTER_ARN,
    HOUR,
    JOB,
    SOURCE,
    Values,
    problems,
    read,
    the_problem,
    with_,
)

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
    (JOB, {"rollup.sizes": "1d@Asia/Kolkata", "state.retention": "27h"}, f"{STATE_RETENTION} 28h, {TOO_LATE}"),
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
    assert job.rollup_lateness_ms == job.dedup_horizon_ms == 2 * HOUR
    assert job.state_retention_ms == 3 * HOUR
    daily = read(JOB, {"rollup.sizes": "1d", "state.retention": "25h"}).job
    assert daily.state_retention_ms == daily.largest_window_ms + daily.rollup_lateness_ms


def test_a_device_may_be_forgotten_once_its_last_windows_are_over() -> None:
    assert read(JOB, {"device.retention": "25h"}).job.device_retention_ms == 25 * HOUR


@pytest.mark.parametrize(
    ("group", "values", "sentence"), [case for case in CONFLICTS if case[0] in (SOURCE, JOB)], ids=str
)
def test_a_conflict_shows_beside_a_bad_property_of_the_group(group: str, values: Values, sentence: str) -> None:
    key = {SOURCE: "aws.endpoint", JOB: "flush.size"}[group]
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
