"""What becomes of alerts when rules come, change and go, and when a device moves to where others are in force."""

from collections.abc import Mapping

import pytest

from telefold.operators.alerts import rules as of_alerts
from telefold.operators.alerts.rules import Rule, RuleSet
from telefold.operators.folds.alert import Alerts
from telefold.operators.folds.fold_run import FoldRun
from telefold.schemas.alerts import transitions
from telefold.schemas.events import ArrivedEvent
from telefold.schemas.rules import RuleChange
from tests.support.alert_timeline import HOT, S, course, put, read, state, under


def reading(second: int, value: float) -> ArrivedEvent:
    at = second * S
    return ArrivedEvent(f"e{second}", "d", "telemetry", at, second, {"t": float(value)}, {}, arrival=at)


@pytest.mark.parametrize(
    ("condition", "expected"), [("t > 80", "firing"), ("t > 95", "resolved"), ("t > 85 until < 50", "firing")]
)
def test_a_rule_that_changes_judges_what_is_there_by_what_was_read_last(condition: str, expected: str) -> None:
    test = read(under(put("hot", "t > 70")), (0, 90))
    test.rules(put("hot", "t > 70"), put("hot", condition, 5))
    test.advance_to(5 * S - 1)
    assert (state(test), test.rows["alert#hot"].data["rule_version_at"]) == ("firing", -2_000)
    test.advance_to(5 * S)
    assert (state(test), test.rows["alert#hot"].data["rule_version_at"]) == (expected, 3 * S)


def test_a_rule_that_changes_while_an_alert_is_open_changes_nothing_of_what_came_before() -> None:
    test = read(under(put("hot", "t > 70 for 5s")), (0, 90))
    pending = [*transitions(test.rows["alert#hot#1970-01-01T00:00:00.000Z"])]
    louder = RuleChange("hot", 3 * S, "t > 75 for 5s", "critical")
    test.rules(put("hot", "t > 70 for 5s"), louder)
    read(test, (6, 91))
    told = [*transitions(test.rows["alert#hot#1970-01-01T00:00:00.000Z"])]
    assert (told[0], told[0].severity, told[0].count) == (pending[0], "warning", 0)
    assert (told[1].state, told[1].severity, told[1].rule_version_at, told[1].count) == ("firing", "critical", 3 * S, 1)


def test_a_rule_that_comes_judges_a_device_that_says_nothing_more_from_then_on() -> None:
    test = read(under(), (0, 90))
    test.rules(put("hot", "t > 80", 30), put("gone", "stale() > 20s", 30), put("long", "stale() > 35s", 30))
    test.advance_to(29 * S)
    assert not test.rows
    test.advance_to(35 * S)
    assert [test.rows[f"alert#{name}"].data["since_at"] for name in ("hot", "gone", "long")] == [28 * S, 30 * S, 35 * S]


def test_an_event_is_judged_by_the_rules_of_its_time_and_not_by_those_that_are_known() -> None:
    test = under(put("hot", "t > 80", 10), put("hot", None, 20))
    read(test, (5, 90))
    assert state(test) is None
    read(test, (11, 90), (12, 91), (30, 92))
    assert (state(test), test.rows["alert#hot"].data["reason"]) == ("resolved", "rule deleted")
    assert course(test, "hot", "00:00:08.000")["resolved_at"] == 18 * S


def test_a_change_that_comes_later_than_it_is_in_force_judges_what_is_there_then() -> None:
    test = read(under(), (0, 90), (100, 91))
    test.rules(put("hot", "t > 80", 30))
    assert (state(test), test.rows["alert#hot"].data["since_at"]) == ("firing", 100 * S)


def test_a_change_that_comes_late_ends_an_alert_that_the_next_event_begins_anew() -> None:
    first, late = put("hot", "t > 80", -10), put("hot", "t > 100", 3)
    steps = FoldRun(Alerts(RuleSet([first])), "d", None)
    steps.fold(reading(0, 90))
    steps.fold(reading(5, 91))
    later = FoldRun(Alerts(RuleSet([first, late])), "d", steps.held)
    later.fold(reading(6, 110))
    told = [(one.began_at // S, one.state, one.reason) for row in later.updates() for one in transitions(row)]
    assert told == [(0, "firing", None), (0, "resolved", "rule changed"), (6, "firing", None)]


def test_a_change_that_comes_late_and_changes_no_row_counts_for_nothing() -> None:
    first, late = put("hot", "t > 80", -10), put("cold", "t < 0", 3)
    steps = FoldRun(Alerts(RuleSet([first, put("other", "u > 0", 4)])), "d", None)
    steps.fold(reading(0, 90))
    steps.judge(10 * S)
    later = FoldRun(Alerts(RuleSet([first, late, put("other", "u > 0", 4)])), "d", steps.held)
    later.judge(10 * S)
    assert later.held.version == steps.held.version


def test_rules_judge_no_device_past_the_time_at_which_it_is_forgotten() -> None:
    steps = FoldRun(Alerts(RuleSet([put("gone", "stale() > 10s", 60)])), "d", None, 30 * S)
    steps.fold(reading(0, 90))
    steps.judge(100 * S)
    assert not list(steps.updates())


def test_what_a_thousand_later_changes_cost_a_device_is_a_look_at_each_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked_at: list[str] = []

    def holds(rule: Rule, told: Mapping[str, str]) -> bool:
        looked_at.append(rule.name)
        return False

    monkeypatch.setattr(of_alerts, "_holds", holds)
    known = RuleSet([put(f"r{number}", f't > 80 where site = "s{number}*"', 10 + number) for number in range(1_000)])
    for second in range(10):
        assert known.next_concerning("d", {"site": "a"}, second * S, ()) is None
    assert len(looked_at) == 1_000


def test_a_rule_that_goes_ends_its_alerts_and_the_count_goes_on_when_it_is_put_again() -> None:
    test = read(under(HOT), (0, 90))
    rules = [HOT, put("hot", None, 30), put("cold", "t < 0", 40), put("hot", "t > 80", 50)]
    test.rules(*rules)
    test.advance_to(30 * S)
    assert test.rows["alert#hot"].data["reason"] == "rule deleted"
    assert test.rows["alert#hot"].data["since_at"] == 28 * S
    test.advance_to(50 * S)
    assert (state(test), test.rows["alert#hot"].data["count"]) == ("firing", 1)
    rules += [put("hot", None, 60), put("cold", None, 70), put("hot", "t > 80", 80)]
    test.rules(*rules)
    test.advance_to(80 * S)
    assert test.rows["alert#hot"].data["count"] == 2


def test_of_a_rule_that_nobody_knows_any_more_nothing_is_kept() -> None:
    test = read(under(HOT), (0, 90), (60, 90), (61, 70))
    test.rules(put("cold", "t < 0", 70))
    test.advance_to(70 * S)
    assert "hot" not in test.state.alerts


def test_an_alert_is_quiet_since_its_rule_changed() -> None:
    quiet = "t > 80 quiet for 60s"
    test = read(under(put("hot", quiet), put("hot", quiet, 42)), (0, 90), (10, 70), (80, 70))
    assert state(test) == "firing"
    read(test, (99, 70))
    assert state(test) == "firing"
    read(test, (100, 70))
    assert state(test) == "resolved"


def test_a_device_that_moves_is_judged_by_the_rules_of_where_it_is() -> None:
    test = under(put("hot", 't > 80 where site = "a"'), put("b", 't > 80 where site = "b"'))
    test.event(at=0, metrics={"t": 90.0}, attributes={"site": "a"})
    assert (state(test), state(test, "b")) == ("firing", None)
    test.event("configured", at=10 * S, attributes={"site": "b"})
    assert (state(test), state(test, "b")) == ("resolved", "firing")
    assert test.rows["alert#hot"].data["reason"] == "out of scope"
    test.event("configured", at=5 * S, attributes={"site": "a"})
    assert state(test, "b") == "firing"


def test_an_event_that_moves_a_device_and_reads_is_judged_once() -> None:
    test = under(put("b", 't > 80 where site = "b"'), put("gone", 'stale() > 10s where site = "b"'))
    test.event(at=0, metrics={"t": 90.0}, attributes={"site": "a"})
    test.event(at=20 * S, metrics={"t": 20.0}, attributes={"site": "b"})
    assert not test.rows
