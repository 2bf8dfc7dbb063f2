"""The folds in Python and their judges over logs of every kind: clocks, backlogs, gaps, groups, rules, chunks."""

from collections.abc import Iterable
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from telefold.operators.folds.alert import Alerts
from telefold.operators.folds.device import Device
from telefold.operators.folds.fleet import Fleet
from telefold.operators.folds.fold import RuledFold
from telefold.operators.folds.presence import Presence
from telefold.operators.folds.registry import BUILT_IN
from telefold.schemas.alerts import transitions
from telefold.schemas.events import DeviceEvent
from telefold.schemas.rules import RuleChange
from telefold.schemas.view_rows import ViewRow
from telefold.verify.judges.rows import Row, problems
from telefold.verify.judges.whole import Asked, Judges
from tests.support.examples import examples
from tests.support.plain_job import Job, Log, Stores

BEGIN = 1_769_860_800_000  # 2026-01-31T12:00:00Z
HOUR = 3_600_000


def differences(stores: Stores, judges: Judges, at: int, devices: Iterable[str]) -> list[str]:
    wanted: dict[tuple[str, str], Row] = {}
    for device_id in devices:
        wanted |= judges.of_device(device_id, at)
    for rows in judges.shared(at).values():
        wanted |= rows
    found = {key: ViewRow(row.sort, row.version, row.data, row.expires_at) for key, row in stores.rows.items()}
    return [
        f"{key}: {problem}"
        for key in sorted(wanted.keys() | found.keys())
        for problem in problems(wanted.get(key), found.get(key))
    ]


@st.composite
def logs(draw: st.DrawFn, devices: int = 3, longest: int = 25) -> Log:
    """Devices whose clocks are ahead, behind or jump, that report, are silent, move, retire and come back."""
    log: Log = []
    for number in range(draw(st.integers(1, devices))):
        arrival = BEGIN + draw(st.integers(0, 5_000))
        offset = draw(st.sampled_from([0, 540_000, -300_000, -1_200_000]))
        newest = 0
        for turn in range(draw(st.integers(1, longest))):
            arrival += draw(
                st.sampled_from([0, 1, 400, 999, 1_000, 2_000, 2_000, 2_000, 7_000, 60_000, 400_000, 2 * HOUR])
            )
            if draw(st.integers(0, 9)) == 0:
                offset = draw(st.sampled_from([0, 540_000, -300_000, -1_200_000, 10_000]))
            at = arrival + offset + draw(st.sampled_from([0, 0, 0, 0, -1, -3_000, -HOUR // 2]))
            at = max(at, newest - HOUR)
            newest = max(newest, at)
            kind = draw(
                st.sampled_from(
                    ["telemetry"] * 9 + ["registered", "retired", "configured", "opened", "alert_acknowledged"]
                )
            )
            metrics = draw(
                st.dictionaries(st.sampled_from(["heat", "load"]), st.integers(70, 90).map(float), max_size=2)
            )
            attributes: dict[str, str] = {}
            if kind == "alert_acknowledged":
                attributes = {"rule": draw(st.sampled_from(["hot", "gone", "held"])), "by": "ann"}
            elif draw(st.integers(0, 3)) == 0 or kind != "telemetry":
                attributes = draw(
                    st.dictionaries(
                        st.sampled_from(["site", "firmware", "report_interval_s"]),
                        st.sampled_from(["1", "10", "60", "x"]),
                    )
                )
            sequence = draw(st.integers(0, 2))
            event = DeviceEvent(f"e{number}-{turn}", f"d{number}", kind, at, sequence, metrics, attributes)
            log.append((event, arrival))
    return sorted(log, key=lambda one: one[1])


CHUNKS = st.lists(st.integers(1, 7), min_size=25, max_size=25)
AFTER = st.sampled_from([0, 1, 2_500, 40_000, 750_000, 2_000_000, 3 * HOUR])
CHANCE = st.randoms(use_true_random=False)
SOME = settings(examples(50), suppress_health_check=list(HealthCheck))
MANY = settings(examples(200), suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize(("folds", "asked"), [([Device, Presence], ("device", "presence")), ([Fleet], ("fleet",))])
@pytest.mark.parametrize("retention_ms", [None, HOUR])
@given(log=logs(), chunks=CHUNKS, after=AFTER, live=st.booleans(), chance=CHANCE)
@SOME
def test_what_the_folds_write_is_what_their_judges_say(
    folds: list[Any],
    asked: tuple[str, ...],
    retention_ms: int | None,
    log: Log,
    chunks: list[int],
    after: int,
    live: bool,
    chance: Random,
) -> None:
    at = max(arrival for _, arrival in log) + after
    judges = Judges(Asked(asked, retention_ms=retention_ms))
    for event, arrival in log:
        judges.hear(event, arrival)
    stores = Stores()
    for fold in folds:
        Job(fold(), log, retention_ms, stores).run(at, chunks, live, chance)
    assert differences(stores, judges, at, {event.device_id for event, _ in log}) == []


CONDITIONS = [
    None,
    None,
    "temp > 80",
    "heat > 80",
    "heat > 80 until < 75",
    "heat > 75 for 3s",
    'heat > 75 where site = "1"',
    "heat > 80 until < 78 for 2s quiet for 4s",
    "heat > 75 quiet for 2s",
    "heat < 85 until > 87 quiet for 10s",
    "load > 75 for 2s",
    "rate(heat) > 30/m",
    "rate(load) < -30/m for 2s quiet for 3s",
    "stale() > 10s",
    "stale(heat) > 5s for 20s",
    "stale() > 30s",
    'stale(load) > 3s where site != "1"',
    "increase(load) > 20 over 1m",
    "increase(load) < 5 over 10s",
    "increase(load) > 5 over 1h until < 2 for 1s",
    "heat >",
]


@st.composite
def rule_changes(draw: st.DrawFn) -> list[RuleChange]:
    """A rule may become one of any kind, be taken away, and be put again."""
    changes = []
    for name in draw(st.lists(st.sampled_from(["hot", "gone", "held"]), unique=True, min_size=1)):
        version = BEGIN - 10_000
        for _ in range(draw(st.integers(1, 5))):
            condition = draw(st.sampled_from(CONDITIONS))
            changes.append(RuleChange(name, version, condition, draw(st.sampled_from(["warning", "critical"]))))
            version += draw(st.sampled_from([1, 3_000, 12_000, 70_000, HOUR]))
    return changes


@pytest.mark.parametrize("retention_ms", [None, HOUR])
@given(log=logs(devices=1), rules=rule_changes(), chunks=CHUNKS, after=AFTER, chance=CHANCE)
@MANY
def test_alerts_and_their_messages_are_what_the_judge_says(
    retention_ms: int | None, log: Log, rules: list[RuleChange], chunks: list[int], after: int, chance: Random
) -> None:
    at = max(arrival for _, arrival in log) + after
    judges = Judges(Asked(("alert",), rules=rules, retention_ms=retention_ms))
    for event, arrival in log:
        judges.hear(event, arrival)
    stores = Stores()
    Job(Alerts().under(rules), log, retention_ms, stores).run(at, chunks, False, chance, pokes=rules)
    assert differences(stores, judges, at, {event.device_id for event, _ in log}) == []
    told = {message.id: message for update in stores.rows.values() for message in transitions(update)}
    assert {message.id: message for message in judges.messages_at(at)} == told


def test_an_open_alert_ends_when_its_rule_comes_to_ask_for_what_another_has_not_counted_for_long_enough() -> None:
    little = "increase(load) < 5 over 10s"
    rules = [
        RuleChange("other", BEGIN - 60_000, little, "warning"),
        RuleChange("hot", BEGIN - 60_000, "heat > 75", "warning"),
        RuleChange("hot", BEGIN + 2_000, little, "warning"),
    ]
    log: Log = [
        (DeviceEvent(f"e{at}", "d", "telemetry", BEGIN + at, 0, {"heat": 76.0, "load": 70.0}, {}), BEGIN + at)
        for at in (0, 3_000, 7_000)
    ]
    judges = Judges(Asked(("alert",), rules=rules))
    for event, arrival in log:
        judges.hear(event, arrival)
    stores = Stores()
    Job(Alerts().under(rules), log, None, stores).run(BEGIN + 7_000, [], False, Random(0), pokes=rules)
    assert differences(stores, judges, BEGIN + 7_000, ["d"]) == []
    assert [row.data["reason"] for (_, sort), row in stores.rows.items() if sort == "alert#hot"] == ["rule changed"]


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_fold_that_a_job_has_by_name_has_a_judge_whose_turn_comes(name: str) -> None:
    rules = [RuleChange("hot", BEGIN - 60_000, "heat > 80", "warning")]
    event = DeviceEvent("e", "d", "telemetry", BEGIN, 0, {"heat": 90.0}, {"site": "berlin"})
    judges = Judges(Asked((name,), rules=rules))
    judges.hear(event, BEGIN)
    fold, stores = BUILT_IN[name](), Stores()
    job = Job(fold.under(rules) if isinstance(fold, RuledFold) else fold, [(event, BEGIN)], None, stores)
    job.run(BEGIN, [], False, Random(0))
    assert stores.rows
    assert differences(stores, judges, BEGIN, ["d"]) == []
