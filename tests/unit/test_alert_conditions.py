"""How rules are written, and what is said of those that cannot be read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telefold.operators.alerts.condition import BadRule, Bound, Match, parse

MINUTE = 60_000


def test_a_threshold_with_hysteresis_a_duration_and_a_scope() -> None:
    read = parse('temperature > 80 until <= 75.5 for 5m where site = "berlin" and device != "pump-*"')
    assert (read.kind, read.metric, read.hold_ms) == ("value", "temperature", 5 * MINUTE)
    assert (read.bound, read.until) == (Bound(">", 80), Bound("<=", 75.5))
    assert read.scope == (Match("site", "berlin", negated=False), Match("device", "pump-*", negated=True))


def test_a_rate_is_that_of_a_millisecond() -> None:
    read = parse("rate(pressure) < -6/m until > -3/m")
    assert read.kind == "rate"
    assert read.bound.limit * MINUTE == pytest.approx(-6)
    assert read.until is not None
    assert read.until.limit * MINUTE == pytest.approx(-3)


def test_an_increase_is_that_over_a_duration() -> None:
    read = parse("increase(energy) > 500 over 1h until < 300 for 5m quiet for 10m")
    assert (read.kind, read.metric, read.bound, read.until) == ("increase", "energy", Bound(">", 500), Bound("<", 300))
    assert (read.over_ms, read.hold_ms, read.quiet_ms) == (60 * MINUTE, 5 * MINUTE, 10 * MINUTE)
    assert parse("increase > 5").metric == "increase"


@pytest.mark.parametrize(("text", "metric"), [("stale(t) > 2h", "t"), ("stale() > 2h", None)])
def test_staleness_of_a_metric_and_of_a_device(text: str, metric: str | None) -> None:
    read = parse(text)
    assert (read.kind, read.metric, read.bound) == ("stale", metric, Bound(">", 120 * MINUTE))


def test_any_name_goes_in_quotes_and_words_of_the_language_too() -> None:
    assert parse('"ü/% for" > 1').metric == "ü/% for"
    assert parse('"rate" > 1').metric == "rate"


@pytest.mark.parametrize(
    ("text", "column", "reason"),
    [
        ("", 1, "the condition ends where a name"),
        ("temperature >", 14, "the condition ends where a number, such as 80 is expected"),
        ("temperature > eighty", 15, "'eighty' stands where a number, such as 80 is expected"),
        ("temperature = 5", 13, "'=' stands where >, >=, < or <= is expected"),
        ("temperature > 80 fo 5m", 18, "'fo' stands where"),
        ("temperature > 80 for 5", 22, "'5' stands where a duration, such as 30s, 5m, 2h or 1d is expected"),
        ("temperature > 80 where site = berlin", 31, "'berlin' stands where a text in quotes"),
        ("temperature > 80 until > 75", 24, "until must look the other way than >"),
        ("temperature > 80 until < 85", 26, "until must lie on the quiet side of the threshold"),
        ("temperature < 10 until > 5", 26, "until must lie on the quiet side of the threshold"),
        ("temperature > 1e999", 15, "the number is too large"),
        ("stale() > 0s", 11, "a duration must be longer than 0"),
        ("stale() > 999d", 11, "a duration must be longer than 0 and at most 365d"),
        ("rate(a) > 5", 12, "the condition ends where / is expected"),
        ('"" > 5', 1, "the name of a metric is empty"),
        (
            "t > 80 for 5m until < 3",
            15,
            "'until' stands where quiet for, the end or where is expected; the order is over",
        ),
        ("t > 80 quiet for 5m for 3m", 21, "'for' stands where the end or where is expected; the order is over"),
        ('t > 80 where a = "b" quiet for 3m', 22, "'quiet' stands where and or the end is expected; the order is"),
        ("t > 80 quiet 5m", 14, "'5' stands where for is expected"),
        ("stale() > 5m quiet for 3m", 14, "staleness ends with the next report"),
        ("increase(e) > 5", 16, "the condition ends where over is expected"),
        ("increase(e[1h]) > 5", 11, "'[' stands where ) or >, >=, < or <= is expected; a duration is said as in incr"),
        ("a > 1\nand b", 1, "'and' stands where"),
        ("x" * 1_001, 1_001, "the condition is longer than 1000 characters"),
    ],
)
def test_a_bad_rule_is_refused_with_the_reason_and_the_position(text: str, column: int, reason: str) -> None:
    with pytest.raises(BadRule) as refused:
        parse(text)
    assert refused.value.column == column
    assert refused.value.reason.startswith(reason)


@given(st.text(max_size=40) | st.lists(st.sampled_from(["t", ">", "8", "for", "5m", "where", '"x"', "=", "rate", "("])))
def test_whatever_is_written_is_read_or_refused(written: str | list[str]) -> None:
    text = written if isinstance(written, str) else " ".join(written)
    column = 1
    try:
        parse(text)
    except BadRule as refused:
        column = refused.column
    assert 1 <= column <= len(text) + 1


@pytest.mark.parametrize(
    ("pattern", "value", "held"),
    [("berlin", "berlin", True), ("berlin", "Berlin", False), ("b*n", "berlin", True), ("b*n", "bern-1", False),
     ("p?", "p1", True), ("b*", None, False)],
)  # fmt: skip
def test_a_scope_is_matched_as_a_whole(pattern: str, value: str | None, held: bool) -> None:
    assert Match("site", pattern, negated=False).holds(value) is held
    assert Match("site", pattern, negated=True).holds(value) is not held
