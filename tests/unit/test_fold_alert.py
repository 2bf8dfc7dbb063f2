"""When alerts of readings begin, fire and end: timelines, and an oracle that reads the whole list again."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telefold.operators.alerts.rules import RuleSet
from telefold.operators.folds.alert import ACKNOWLEDGED, Alerts, AlertState
from telefold.operators.folds.fold_run import FoldRun, Snapshot
from telefold.operators.folds.state_codec import StateCodec, StoredState
from telefold.schemas.events import ArrivedEvent, DeviceEvent, heard_at
from telefold.schemas.rules import RuleChange
from tests.support.alert_timeline import HOT, S, course, put, read, state, under
from tests.support.alerts import NaiveRule, told
from tests.support.examples import examples


def test_an_alert_pends_fires_is_acknowledged_and_ends() -> None:
    test = read(under(HOT), (0, 70), (10, 81), (69, 82))
    assert state(test) == "pending"
    test.advance_to(69 * S)
    read(test, (71, 83))
    assert test.rows["alert#hot"].data == {
        "state": "firing", "since_at": 71 * S, "severity": "critical", "rule_version_at": -2_000, "count": 1,
        "value": 81.0,
    }  # fmt: skip
    test.event(ACKNOWLEDGED, at=80 * S, attributes={"rule": "hot", "by": "ada"})
    assert state(test) == "acknowledged"
    read(test, (90, 76))
    assert state(test) == "acknowledged"
    read(test, (100, 74))
    assert course(test, "hot", "00:00:10.000") == {
        "state": "resolved", "since_at": 100 * S, "severity": "critical", "rule_version_at": -2_000, "count": 1,
        "value": 81.0, "began_at": 10 * S, "pending_at": 10 * S, "fired_at": 71 * S, "acknowledged_at": 80 * S,
        "acknowledged_by": "ada", "resolved_at": 100 * S,
    }  # fmt: skip
    assert test.rows["alert#hot#1970-01-01T00:00:10.000Z"].expires_at == 100 + 90 * 86_400


def test_of_a_condition_nobody_knows_that_it_holds_while_nothing_is_read() -> None:
    """By a timer it would fire at 70 s, before the reading that says when it was over."""
    test = read(under(HOT), (10, 81), (11, 82))
    test.advance_to(1_000 * S)
    assert state(test) == "pending"
    read(test, (20, 70))
    assert (state(test), course(test, "hot", "00:00:10.000")["resolved_at"]) == ("resolved", 20 * S)


def test_of_readings_of_one_time_the_newest_is_that_of_the_greater_sequence_and_event_id() -> None:
    """As of latest values, which say 95 then: the alert must fire."""
    alerts = Alerts().under([put("hot", "t > 80")])
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
    test = read(under(HOT), (0, 81), (50, 79), (55, 81), (100, 81))
    assert state(test) == "pending"
    read(test, (115, 81))
    assert course(test, "hot", "00:00:55.000")["fired_at"] == 115 * S


def test_a_value_that_crosses_the_threshold_again_and_again_is_one_alert_while_it_is_not_quiet() -> None:
    """300 crossings were 300 alerts and 599 messages."""
    test = under(put("hot", "t > 80 quiet for 10s"))
    for second in range(0, 600, 2):
        read(test, (second, 81 if second % 4 == 0 else 79))
    assert test.rows["alert#hot"].data["count"] == 1
    read(test, (600, 79), (607, 79))
    assert state(test) == "firing"
    read(test, (608, 70))
    assert (state(test), test.rows["alert#hot"].data["since_at"]) == ("resolved", 608 * S)
    assert [sort for sort in test.rows if sort.startswith("alert#hot#1970")] == ["alert#hot#1970-01-01T00:00:00.000Z"]


def test_a_counter_that_is_reset_has_not_fallen() -> None:
    test = read(under(put("much", "increase(t) > 10 over 60s until < 3")), (0, 990), (10, 998))
    assert state(test, "much") is None
    read(test, (20, 4))
    assert test.rows["alert#much"].data["value"] == 12.0
    read(test, (80, 5))
    assert state(test, "much") == "resolved"


def test_little_is_known_of_a_counter_once_it_was_counted_for_as_long_as_is_asked() -> None:
    test = read(under(put("stuck", "increase(t) < 1 over 60s")), (0, 5), (30, 5), (59, 5))
    assert state(test, "stuck") is None
    read(test, (60, 5))
    assert test.rows["alert#stuck"].data["value"] == 0.0
    read(test, (61, 7))
    assert state(test, "stuck") == "resolved"


def test_what_is_kept_of_a_counter_has_a_bound() -> None:
    test = under(put("much", "increase(t) > 1e9 over 30d"))
    for hour in range(2_000):
        test.event(at=hour * 3_600 * S, metrics={"t": float(hour)})
    counter = test.state.counters["t"][30 * 86_400 * S]
    assert len(counter.parts) == 64
    assert counter.total == pytest.approx(720, abs=12)


def test_an_acknowledgement_is_for_the_alert_it_names_and_no_other() -> None:
    test = read(under(put("hot", "t > 80")), (0, 90), (10, 70), (20, 90))
    test.event(ACKNOWLEDGED, at=25 * S, attributes={"rule": "hot", "began_at": "0"})
    assert state(test) == "firing"
    test.event(ACKNOWLEDGED, at=25 * S, attributes={"rule": "hot", "began_at": str(20 * S), "site": "z"})
    assert state(test) == "acknowledged"
    test.event(ACKNOWLEDGED, at=25 * S, attributes={"rule": "none"})
    assert test.state.life.values == {}


def test_a_late_reading_says_nothing() -> None:
    assert state(read(under(put("hot", "t > 80")), (10, 70), (5, 90))) is None


def test_alerts_that_begin_at_one_time_have_names_of_their_own() -> None:
    test = read(under(put("hot", "t > 80")), (10, 90), (10, 70), (10, 90))
    assert [course(test, "hot", f"00:00:10.00{n}")["state"] for n in (0, 1)] == ["resolved", "firing"]


RULES = st.builds(
    NaiveRule,
    kind=st.sampled_from(["above", "above", "below", "rising", "grown"]),
    limit=st.integers(-2, 2),
    until=st.none(),
    metric=st.just("t"),
    hold_s=st.sampled_from([0, 0, 2, 5]),
    quiet_s=st.sampled_from([0, 0, 2, 5]),
    over_s=st.sampled_from([3, 10]),
    site=st.sampled_from([None, None, "a"]),
) | st.builds(
    NaiveRule,
    kind=st.just("stale"),
    limit=st.integers(1, 6),
    until=st.none(),
    hold_s=st.sampled_from([0, 3]),
    quiet_s=st.just(0),
    over_s=st.just(0),
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
def events(draw: st.DrawFn) -> list[ArrivedEvent]:
    """Heard in whole seconds, with pauses, by clocks that are ahead, behind and jump; the device moves now and then."""
    heard, shift, made = 100, 0, []
    for number in range(draw(st.integers(1, 20))):
        heard += draw(st.sampled_from([1, 1, 1, 2, 3, 0, 8, 20]))
        shift = draw(st.sampled_from([shift, shift, shift, 0, 5, -5]))
        at = heard + shift + draw(st.sampled_from([0, 0, 0, -1, -2]))
        metrics = {
            name: float(draw(st.integers(-4, 4)))
            for name in draw(st.sets(st.sampled_from(["t", "t", "u"]), max_size=2))
        }
        site = draw(st.sampled_from([None, None, None, "a", "b"]))
        attributes = {"site": site} if site else {}
        made.append(
            ArrivedEvent(f"e{number}", "d", "telemetry", at * S, number, metrics, attributes, arrival=heard * S)
        )
    return made


@examples(600)
@given(rules(), events(), st.lists(st.integers(0, 6), max_size=5), st.integers(0, 30))
def test_the_rows_are_those_of_the_oracle(
    rule: NaiveRule, sent: list[ArrivedEvent], sizes: list[int], silence_s: int
) -> None:
    if rule.kind == "grown" and rule.site is not None:
        rule = rule._replace(site=None)  # what was counted elsewhere is not counted here: see the tests above
    end = max(heard_at(event) for event in sent) + silence_s * S
    rows = folded(put("r", rule.condition), sent, sizes, end)
    oracle = told(sent, rule, end)
    names = {"pending": "began_at", "fired": "fired_at", "resolved": "resolved_at"}
    expected = [{names[step]: at for step, at in episode.items()} for episode in oracle.episodes]
    found = [data for sort, data in rows.items() if sort.startswith("alert#r#1970")]
    assert [{name: data[name] for name in names.values() if name in data} for data in found] == expected
    if expected:
        assert rows["alert#r"]["count"] == sum("fired" in episode for episode in oracle.episodes)
        assert rows["alert#r"]["state"] == {"fired": "firing"}.get(oracle.states[-1], oracle.states[-1])


def folded(rule: RuleChange, sent: Sequence[DeviceEvent], sizes: list[int], end: int) -> dict[str, dict[str, object]]:
    """The data of the rows by sort key in the order in which they came, of batches between which a restart may be."""
    fold = Alerts(RuleSet([rule]))
    kept = StateCodec(fold)
    rows: dict[str, dict[str, object]] = {}
    versions: dict[str, int] = {}
    held: Snapshot[AlertState] | None = None
    rest = list(sent)
    for size in (*sizes, len(rest)):
        batch, rest = rest[:size], rest[size:]
        steps = FoldRun(fold, "d", held)
        for event in batch:
            steps.fold(event)
        if not rest:
            steps.advance(end)
        for update in steps.updates():
            assert versions.get(update.sort, 0) <= update.version
            versions[update.sort] = update.version
            rows[update.sort] = dict(update.data)
        held = kept.read(kept.text(StoredState(steps.held, None))).held
    return rows
