"""What is told to the outside of alerts: every transition, once, however often its row is written."""

from collections.abc import Callable, Sequence

import msgspec
import pytest

from telefold.connectors.alerts import PublishedMarks, PublishingWriter
from telefold.connectors.memory import MemoryViews
from telefold.operators.alerts.rules import RuleSet
from telefold.operators.folds.alert import ACKNOWLEDGED, Alerts
from telefold.operators.folds.fold_run import FoldRun
from telefold.schemas.alerts import AlertTransition
from telefold.schemas.errors import StoreUnavailable
from telefold.schemas.events import DeviceEvent
from telefold.schemas.rules import RULES_SETTLE_MS, RuleChange
from telefold.schemas.view_rows import ViewUpdate

S = 1_000


class Outlet:
    """Keeps what it is told, once it has failed so often."""

    name = "the outside"

    def __init__(self, fails: int = 0) -> None:
        self.told: list[AlertTransition] = []
        self._fails = fails

    def tell(self, told: Sequence[AlertTransition]) -> None:
        if self._fails:
            self._fails -= 1
            raise StoreUnavailable("away")
        self.told += told

    def close(self) -> None:
        """Nothing to let go of."""


def day() -> list[list[ViewUpdate]]:
    """The rows of a device's day, a batch an event: hot, acknowledged, well again, and hot for a moment."""
    rule = RuleChange("hot", -RULES_SETTLE_MS, "t > 80 for 5s", "critical")
    steps = FoldRun(Alerts(RuleSet([rule])), "pump#1", None)
    sent = [(0, 90.0), (5, 90.0), (6, None), (10, 70.0), (20, 90.0), (21, 70.0)]
    batches: list[list[ViewUpdate]] = []
    for at, value in sent:
        steps = FoldRun(Alerts(RuleSet([rule])), "pump#1", steps.held if batches else None)
        metrics = {} if value is None else {"t": value}
        attributes = {"rule": "hot", "by": "ada"} if value is None else {}
        kind = ACKNOWLEDGED if value is None else "telemetry"
        steps.fold(DeviceEvent(f"e{at}", "pump#1", kind, at * S, at, metrics, attributes))
        batches.append(list(steps.updates()))
    return batches


def publishing(store: MemoryViews, *outlets: Outlet, clock: Callable[[], float] = lambda: 0) -> PublishingWriter:
    return PublishingWriter(MemoryViews(), PublishedMarks(store, store, clock), outlets)


COURSE = [("pending", 0), ("firing", 5), ("acknowledged", 6), ("resolved", 10), ("pending", 20), ("resolved", 21)]


@pytest.mark.parametrize("batch_size", [1, 2, 6])
def test_every_transition_is_told_in_its_order_even_of_one_batch(batch_size: int) -> None:
    outlet = Outlet()
    writer = publishing(MemoryViews(clock=lambda: 0), outlet)
    batches = day()
    told = 0
    for start in range(0, len(batches), batch_size):
        told += writer.write([row for batch in batches[start : start + batch_size] for row in batch]).told
    assert told == len(COURSE)
    assert [(one.state, one.at // S) for one in outlet.told] == COURSE
    assert {(one.device_id, one.rule, one.severity, one.rule_version_at) for one in outlet.told} == {
        ("pump#1", "hot", "critical", -RULES_SETTLE_MS)
    }
    assert [one.acknowledged_by for one in outlet.told][2:4] == ["ada", "ada"]


def test_a_replay_in_another_process_tells_nothing_twice() -> None:
    marks, first, second = MemoryViews(clock=lambda: 0), Outlet(), Outlet()
    batches = day()
    before = publishing(marks, first)
    for batch in batches[:3]:
        before.write(batch)
    after = publishing(marks, second)
    for batch in batches[1:]:
        after.write(batch)
    told = [*first.told, *second.told]
    assert [(one.state, one.at // S) for one in told] == COURSE
    assert len({one.id for one in told}) == len(told)


def test_an_outage_of_one_outlet_is_waited_out_and_the_other_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    stream, channel = Outlet(), Outlet(fails=2)
    publishing(MemoryViews(clock=lambda: 0), stream, channel).write([row for batch in day() for row in batch])
    assert stream.told == channel.told
    assert len(stream.told) == len(COURSE)
    assert caplog.records[0].getMessage() == "the outside is unavailable, trying again until it is back: away"


DAY_S = 86_400


@pytest.mark.parametrize("days", [0, 20, 89, 91, 364, 399, 401, 5_000])
def test_a_job_that_begins_anew_on_views_of_its_own_tells_nothing_again_however_long_after(days: int) -> None:
    now = 0.0
    marks, first, second = MemoryViews(clock=lambda: now), Outlet(), Outlet()
    publishing(marks, first, clock=lambda: now).write([row for batch in day() for row in batch])
    assert len(first.told) == len(COURSE)
    now = days * DAY_S
    publishing(marks, second, clock=lambda: now).write([row for batch in day() for row in batch])
    assert second.told == []


@pytest.mark.parametrize("days", [20, 389, 391, 401, 5_000])
def test_an_alert_that_is_resolved_long_after_it_fired_tells_that_alone(days: int) -> None:
    now = 0.0
    marks, outlet = MemoryViews(clock=lambda: now), Outlet()
    publishing(marks, outlet, clock=lambda: now).write(day()[0] + day()[1])
    now = days * DAY_S
    (alert,) = [row for row in day()[1] if "fired_at" in row.data]
    resolved = msgspec.structs.replace(alert, data={**alert.data, "resolved_at": days * DAY_S * S})
    publishing(marks, outlet, clock=lambda: now).write([resolved])
    assert [one.state for one in outlet.told] == ["pending", "firing", "resolved"]


def test_of_a_row_that_is_refused_nothing_is_told() -> None:
    outlet = Outlet()
    (alert,) = [row for row in day()[1] if "fired_at" in row.data]
    refused = msgspec.structs.replace(alert, data={**alert.data, "text": "x" * 500_000})
    result = publishing(MemoryViews(clock=lambda: 0), outlet).write([refused])
    assert (len(result.refused), result.told, outlet.told) == (1, 0, [])


def test_what_alerts_of_several_rules_came_to_in_one_batch_is_told_in_its_order() -> None:
    rules = [
        RuleChange("hot", -RULES_SETTLE_MS, "t > 80"),
        RuleChange("low", -RULES_SETTLE_MS, "p < 1"),
    ]
    steps = FoldRun(Alerts(RuleSet(rules)), "pump#1", None)
    for at, metrics in ((0, {"t": 90.0}), (1, {"p": 0.0}), (2, {"t": 70.0}), (3, {"t": 95.0}), (4, {"p": 2.0})):
        steps.fold(DeviceEvent(f"e{at}", "pump#1", "telemetry", at * S, at, metrics, {}))
    outlet = Outlet()
    publishing(MemoryViews(clock=lambda: 0), outlet).write(list(steps.updates()))
    told = [(one.rule, one.state, one.at // S) for one in outlet.told]
    assert told == [
        ("hot", "firing", 0),
        ("low", "firing", 1),
        ("hot", "resolved", 2),
        ("hot", "firing", 3),
        ("low", "resolved", 4),
    ]
