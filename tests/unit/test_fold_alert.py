"""When alerts begin, fire and end: timelines, and an oracle that lets the clock tick."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.alerts.rules import RuleSet
from operators.folds.alert import ACKNOWLEDGED, Alerts
from operators.folds.kept import Kept, KeptFold
from operators.folds.steps import Held, Steps
from operators.folds.testing import FoldTest
from schemas.events import DeviceEvent
from schemas.rules import RuleChange
from tests.support.alerts import NaiveRule, told

S = 1_000
HOT = RuleChange("hot", 1, "t > 80 until < 75 for 60s", "critical")


def under(*rules: RuleChange) -> FoldTest[object]:
    test: FoldTest[object] = FoldTest(Alerts())
    test.rules(*rules)
    return test


def read(test: FoldTest[object], *readings: tuple[int, float]) -> FoldTest[object]:
    for second, value in readings:
        test.event(at=second * S, metrics={"t": value})
    return test


def state(test: FoldTest[object], rule: str = "hot") -> object:
    return test.rows[f"alert#{rule}"].data["state"] if f"alert#{rule}" in test.rows else None


def test_an_alert_pends_fires_is_acknowledged_and_ends() -> None:
    test = read(under(HOT), (0, 70), (10, 81))
    assert state(test) == "pending"
    test.advance_to(69 * S)
    assert state(test) == "pending"
    test.advance_to(70 * S)
    assert test.rows["alert#hot"].data == {
        "state": "firing", "since_at": 70 * S, "severity": "critical", "rule_version_at": 1, "count": 1, "value": 81.0,
    }  # fmt: skip
    test.event(ACKNOWLEDGED, at=80 * S, attributes={"rule": "hot", "by": "ada"})
    assert state(test) == "acknowledged"
    read(test, (90, 76))
    assert state(test) == "acknowledged"
    read(test, (100, 74))
    history = test.rows["alert#hot#1970-01-01T00:00:10.000Z"]
    assert history.data == {
        "state": "resolved", "since_at": 100 * S, "severity": "critical", "rule_version_at": 1, "count": 1,
        "value": 81.0, "began_at": 10 * S, "pending_at": 10 * S, "fired_at": 70 * S, "acknowledged_at": 80 * S,
        "acknowledged_by": "ada", "resolved_at": 100 * S,
    }  # fmt: skip
    assert history.expires_at == 100 + 90 * 86_400


def test_of_readings_of_one_time_the_newest_is_that_of_the_greater_sequence_and_event_id() -> None:
    """As of latest values, which say 95 then: the alert must fire."""
    alerts = Alerts().under([RuleChange("hot", 1, "t > 80")])
    for lower, higher in [(("b", 1), ("a", 2)), (("a", 1), ("b", 1))]:
        state = alerts.initial("d")
        state = alerts.evolve(state, DeviceEvent(higher[0], "d", "telemetry", S, higher[1], {"t": 95.0}))
        assert alerts.evolve(state, DeviceEvent(lower[0], "d", "telemetry", S, lower[1], {"t": 20.0})) == state
        state = alerts.evolve(alerts.initial("d"), DeviceEvent(lower[0], "d", "telemetry", S, lower[1], {"t": 20.0}))
        state = alerts.evolve(state, DeviceEvent(higher[0], "d", "telemetry", S, higher[1], {"t": 95.0}))
        assert state.alerts["hot"].status == "firing"


def test_the_alerts_of_all_devices_are_side_by_side_while_they_are_open() -> None:
    test = read(under(HOT), (10, 81))
    row = test.rows["alert#hot#device-1"]
    assert (row.partition, row.data["state"], row.expires_at) == ("alerts", "pending", None)
    read(test, (20, 70))
    row = test.rows["alert#hot#device-1"]
    assert (row.data["state"], row.expires_at) == ("resolved", 20 + 86_400)


def test_a_reading_in_between_starts_the_duration_anew() -> None:
    test = read(under(HOT), (0, 81), (50, 79), (55, 81))
    test.advance_to(100 * S)
    assert state(test) == "pending"
    test.advance_to(115 * S)
    assert state(test) == "firing"


def test_staleness_fires_once_ends_with_a_report_and_is_armed_again() -> None:
    test = read(under(RuleChange("gone", 1, "stale(t) > 10s")), (0, 1))
    for _ in range(2):
        test.advance_to(9 * S)
        test.advance_to(60 * S)
    assert test.rows["alert#gone"].data["count"] == 1
    read(test, (60, 1))
    assert state(test, "gone") == "resolved"
    test.advance_to(70 * S)
    assert test.rows["alert#gone"].data["count"] == 2


def test_a_metric_can_be_stale_while_its_device_reports() -> None:
    test = read(under(RuleChange("gone", 1, "stale(t) > 10s"), RuleChange("dead", 1, "stale() > 10s")), (0, 1))
    test.event(at=9 * S, metrics={"u": 1.0})
    test.advance_to(15 * S)
    assert (state(test, "gone"), state(test, "dead")) == ("firing", None)


def test_a_retired_device_has_no_alerts_until_it_is_registered_again_and_reports() -> None:
    test = read(under(RuleChange("gone", 1, "stale() > 10s"), RuleChange("hot", 1, "t > 80")), (0, 90))
    test.event("retired", at=5 * S)
    assert test.rows["alert#hot"].data["reason"] == "retired"
    test.advance_to(100 * S)
    test.event("registered", at=100 * S)
    test.advance_to(200 * S)
    assert (state(test, "gone"), state(test)) == (None, "resolved")
    read(test, (200, 90))
    test.advance_to(210 * S)
    assert (state(test, "gone"), state(test)) == ("firing", "firing")


def test_an_acknowledgement_is_for_the_alert_it_names_and_no_other() -> None:
    test = read(under(RuleChange("hot", 1, "t > 80")), (0, 90), (10, 70), (20, 90))
    test.event(ACKNOWLEDGED, at=25 * S, attributes={"rule": "hot", "began_at": "0"})
    assert state(test) == "firing"
    test.event(ACKNOWLEDGED, at=25 * S, attributes={"rule": "hot", "began_at": str(20 * S)})
    assert state(test) == "acknowledged"
    test.event(ACKNOWLEDGED, at=25 * S, attributes={"rule": "none"})


def test_a_late_reading_says_nothing() -> None:
    assert state(read(under(RuleChange("hot", 1, "t > 80")), (10, 70), (5, 90))) is None


@pytest.mark.parametrize(
    ("condition", "expected"), [("t > 80", "firing"), ("t > 95", "resolved"), ("t > 85 until < 50", "firing")]
)
def test_a_rule_that_changes_judges_what_is_there_by_what_was_read_last(condition: str, expected: str) -> None:
    test = read(under(RuleChange("hot", 1, "t > 70")), (0, 90))
    test.rules(RuleChange("hot", 5 * S, condition))
    assert state(test) == expected
    assert test.rows["alert#hot"].data["rule_version_at"] == 5 * S


def test_a_rule_that_comes_judges_a_device_that_says_nothing_more_from_then_on() -> None:
    test = read(under(), (0, 90))
    test.rules(RuleChange("hot", 30 * S, "t > 80 for 10s"), RuleChange("gone", 30 * S, "stale() > 20s"))
    assert state(test) == "pending"
    test.advance_to(35 * S)
    assert (state(test), state(test, "gone")) == ("pending", "firing")
    test.advance_to(40 * S)
    assert state(test) == "firing"


def test_a_rule_that_goes_takes_its_alerts_with_it() -> None:
    test = read(under(HOT), (0, 90))
    test.rules(RuleChange("hot", 30 * S, None))
    assert test.rows["alert#hot"].data["reason"] == "rule deleted"
    assert test.rows["alert#hot"].data["since_at"] == 30 * S
    test.rules(RuleChange("hot", 30 * S, None), RuleChange("cold", 40 * S, "t < 0"))
    assert "hot" not in test.state.alerts  # type: ignore[attr-defined]


def test_a_device_that_moves_is_judged_by_the_rules_of_where_it_is() -> None:
    test = under(RuleChange("hot", 1, 't > 80 where site = "a"'), RuleChange("b", 1, 't > 80 where site = "b"'))
    test.event(at=0, metrics={"t": 90.0}, attributes={"site": "a"})
    assert (state(test), state(test, "b")) == ("firing", None)
    test.event("configured", at=10 * S, attributes={"site": "b"})
    assert (state(test), state(test, "b")) == ("resolved", "firing")
    assert test.rows["alert#hot"].data["reason"] == "out of scope"


RULES = st.builds(
    NaiveRule,
    kind=st.sampled_from(["above", "above", "below", "rising"]),
    limit=st.integers(-2, 2),
    until=st.none(),
    metric=st.just("t"),
    hold_s=st.sampled_from([0, 0, 2, 5]),
    site=st.sampled_from([None, None, "a"]),
) | st.builds(
    NaiveRule,
    kind=st.just("stale"),
    limit=st.integers(1, 6),
    until=st.none(),
    hold_s=st.sampled_from([0, 3]),
    site=st.sampled_from([None, "a"]),
    metric=st.sampled_from(["t", None]),
)


@st.composite
def rules(draw: st.DrawFn) -> NaiveRule:
    rule = draw(RULES)
    if rule.kind == "stale" or draw(st.booleans()):
        return rule
    quiet = draw(st.integers(0, 2))
    return rule._replace(until=rule.limit + (quiet if rule.kind == "below" else -quiet))


@st.composite
def events(draw: st.DrawFn) -> list[DeviceEvent]:
    """Whole seconds, mostly forwards, with pauses, and the device moved now and then."""
    now, made = 0, []
    for number in range(draw(st.integers(1, 20))):
        now = max(0, now + draw(st.sampled_from([1, 1, 1, 2, 3, 0, -2, 8, 20])))
        metrics = {
            name: float(draw(st.integers(-4, 4)))
            for name in draw(st.sets(st.sampled_from(["t", "t", "u"]), max_size=2))
        }
        site = draw(st.sampled_from([None, None, None, "a", "b"]))
        made.append(
            DeviceEvent(f"e{number}", "d", "telemetry", now * S, number, metrics, {"site": site} if site else {})
        )
    return made


@settings(max_examples=400)
@given(rules(), events(), st.lists(st.integers(0, 6), max_size=5), st.integers(0, 30))
def test_the_rows_are_those_of_the_oracle(
    rule: NaiveRule, sent: list[DeviceEvent], sizes: list[int], silence_s: int
) -> None:
    end = max(event.event_time for event in sent) + silence_s * S
    rows = folded(RuleChange("r", 0, rule.condition), sent, sizes, end)
    oracle = told(sent, rule, end)
    names = {"pending": "began_at", "fired": "fired_at", "resolved": "resolved_at"}
    expected = [{names[step]: at for step, at in episode.items()} for episode in oracle.episodes]
    found = [data for sort, data in rows.items() if sort.startswith("alert#r#1970")]
    assert [{name: data[name] for name in names.values() if name in data} for data in found] == _by_began(expected)
    if expected:
        assert rows["alert#r"]["count"] == sum("fired" in episode for episode in oracle.episodes)
        assert rows["alert#r"]["state"] == {"fired": "firing"}.get(oracle.states[-1], oracle.states[-1])


def _by_began(episodes: list[dict[str, int]]) -> list[dict[str, int]]:
    """Of two alerts that began at the same time the later one has the row."""
    return list({episode["began_at"]: episode for episode in episodes}.values())


def folded(rule: RuleChange, sent: list[DeviceEvent], sizes: list[int], end: int) -> dict[str, dict[str, object]]:
    """The data of the rows by sort key in the order in which they came, of batches between which a restart may be."""
    fold = Alerts(RuleSet([rule]))
    kept = KeptFold(fold)
    rows: dict[str, dict[str, object]] = {}
    versions: dict[str, int] = {}
    held: Held[object] | None = None
    rest = list(sent)
    for size in (*sizes, len(rest)):
        batch, rest = rest[:size], rest[size:]
        steps = Steps(fold, "d", held)
        for event in batch:
            steps.fold(event)
        if not rest:
            steps.advance(end)
        for update in steps.updates():
            assert versions.get(update.sort, 0) <= update.version
            versions[update.sort] = update.version
            rows[update.sort] = dict(update.data)
        held = kept.read(kept.text(Kept(steps.held, None))).held
    return rows


CONDITIONS = [None, "t > 0", "t > 2 until < -1", "t < 0 for 3s", "rate(t) > 1/s", "stale() > 4s", "t >"]


@settings(max_examples=200)
@given(
    events(), st.lists(st.tuples(st.integers(0, 19), st.sampled_from("ab"), st.sampled_from(CONDITIONS)), max_size=6)
)
def test_changing_rules_leave_a_fold_that_is_as_if_it_had_never_restarted(
    sent: list[DeviceEvent], changes: list[tuple[int, str, str | None]]
) -> None:
    """And open alerts are of rules that are there, and in their newest version."""
    test, known = under(), dict[str, RuleChange]()
    for number, event in enumerate(sent):
        for version, (place, name, condition) in enumerate(changes, 1):
            if place == number:
                known[name] = RuleChange(name, version * S, condition)
                test.rules(*known.values())
        test.event(at=event.event_time, metrics=event.metrics, attributes=event.attributes)
        readable = {name: one.version for name, one in known.items() if one.condition not in (None, "t >")}
        alerts = test.state.alerts  # type: ignore[attr-defined]
        assert all(readable[name] == alert.version for name, alert in alerts.items() if alert.is_open)
        for name, alert in alerts.items():
            assert test.rows[f"alert#{name}"].data["state"] == alert.status
            steps = [alert.began, alert.fired, alert.acknowledged, alert.resolved]
            times = [at for at in steps if at is not None]
            assert times == sorted(times)
