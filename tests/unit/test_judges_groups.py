"""The judge of rollups of groups: windows of the calendar, what rounding explains, and what a silent device leaves."""

import random
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from telefold.jobs import settings
from telefold.operators.device_views import group_views
from telefold.schemas.codec import encode
from telefold.schemas.events import DeviceEvent
from telefold.schemas.log_records import LogRecord
from telefold.schemas.view_rows import Value, ViewRow, rollup_sort
from telefold.verify.folding import ViewsInUse, open_oracle
from telefold.verify.judged import Judged, Span, judges_of
from telefold.verify.judges.group_rollups import GroupRollups
from telefold.verify.judges.rows import Row, problems
from telefold.verify.judges.whole import Asked, Judges

NOON = 1_769_860_800_000  # 2026-01-31T12:00:00Z
HOUR = 3_600_000
DAY = 24 * HOUR
HOUR_ROW = "rollup#1h#energy#2026-01-31T12:00:00Z"


def event(number: int, at: int = NOON, value: float = 1.0, device: str = "d", **attributes: str) -> DeviceEvent:
    return DeviceEvent(f"e{number}", device, "telemetry", at, number, {"energy": value}, attributes)


def loaded(job: Mapping[str, str], views: Mapping[str, str] | None = None) -> settings.Settings:
    return settings.parse(
        {
            "telefold.job": dict(job),
            "telefold.source": {"stream.name": "s", "aws.region": "us-east-1"},
            "telefold.views": {"dynamodb.table": "views", "redis.url": "redis://127.0.0.1", **(views or {})},
            "telefold.dead-letter": {"stream.name": "dead-letters"},
        }
    )


def by_group(judges: Judges, sort: str) -> dict[str, Row]:
    """By group, the rows of that sort key."""
    rows = judges.shared(NOON + 1_000 * DAY)
    return {name.removeprefix("fleet#"): held[name, sort] for name, held in rows.items() if (name, sort) in held}


def counts(judges: Judges, sort: str = HOUR_ROW) -> dict[str, tuple[Value, Value]]:
    return {group: (row.data["count"], row.data["increase"]) for group, row in by_group(judges, sort).items()}


def test_every_value_that_the_job_writes_of_a_group_is_judged() -> None:
    judges = judges_of(loaded({"group.rollups": "site"}), None)
    judges.hear(event(1), NOON)
    (described,) = group_views({"1h": HOUR}, None).rollups
    assert by_group(judges, HOUR_ROW)["all"].data.keys() == described.row.data.keys()


def test_windows_of_the_calendar_begin_where_the_calendar_says() -> None:
    """A day of Berlin begins at 23:00 UTC in winter; its row ends as if it had 27 hours."""
    judges = judges_of(loaded({"group.rollups": "site", "rollup.sizes": "1d@Europe/Berlin"} | KEPT_LONG), None)
    judges.hear(event(1), NOON)
    judges.hear(event(2, NOON + 11 * HOUR), NOON + 11 * HOUR)
    days = ["2026-01-30T23:00:00Z", "2026-01-31T23:00:00Z"]
    row, later = (by_group(judges, f"rollup#1d@Europe/Berlin#energy#{day}")["all"] for day in days)
    assert (row.data["count"], later.data["count"]) == (1, 1)
    assert row.expires_at == (NOON - 13 * HOUR + 27 * HOUR) // 1_000 + 90 * 86_400
    found = {key: ViewRow(key[1], 1, held.data, held.expires_at) for held in (row, later) for key in [held.key]}
    assert not Judged(judges).wrong("fleet#all", found, Span(NOON + DAY, NOON + DAY), NOON / 1_000)


KEPT_LONG = {"state.retention": "2d", "device.retention": "90d"}


class Totals:
    """What the job adds up by Youngs and Cramer in each task, and merges by Chan, Golub and LeVeque."""

    def __init__(self, readings: Iterable[tuple[float, float]]) -> None:
        self.count, self.sum, self.m2, self.increase = 0, 0.0, 0.0, 0.0
        for value, increase in readings:
            self.count += 1
            self.sum += value
            if self.count > 1:
                self.m2 += (self.count * value - self.sum) ** 2 / (self.count * (self.count - 1))
            self.increase += increase

    def merge(self, other: "Totals") -> None:
        if self.count and other.count:
            apart = other.sum / other.count - self.sum / self.count
            self.m2 += other.m2 + apart * apart * (self.count * other.count / (self.count + other.count))
        else:
            self.m2 += other.m2
        self.count += other.count
        self.sum += other.sum
        self.increase += other.increase


def meters(around: float, off: float, count: int = 1_000) -> list[DeviceEvent]:
    """A meter of ten devices each, whose readings lie within `off` of `around`."""
    chance = random.Random(7)
    return [event(n, NOON + n, around + chance.uniform(-off, off), f"d{n % 10}") for n in range(count)]


def judged_row(events: list[DeviceEvent]) -> Row:
    rollups = GroupRollups((), {"1h": HOUR}, None, None)
    for one in events:
        rollups.hear(one, NOON)
    return rollups.rows()[0]


def found(row: Row, **changed: Value) -> ViewRow:
    return ViewRow(row.sort, row.version, {**row.data, **changed}, row.expires_at)


@pytest.mark.parametrize(
    ("around", "off"), [(5e9, 300.0), (5e9, 0.0), (0.1, 0.05), (0.0, 5e9), (1e60, 1e50), (3e-60, 0)]
)
@pytest.mark.parametrize("tasks", [1, 3, 250])
@pytest.mark.parametrize("flush", [2, 40])
def test_another_order_of_addition_and_partials_that_were_merged_are_right(
    around: float, off: float, tasks: int, flush: int
) -> None:
    events = meters(around, off)
    row = judged_row(events)
    newest: dict[str, float] = {}
    readings = []
    for one in events:
        value = one.metrics["energy"]
        before = newest.get(one.device_id, value)
        newest[one.device_id] = value
        readings.append((value, value if value < before else value - before))
    merged = Totals([])
    parts = [readings[task::tasks] for task in range(tasks)]
    partials = [Totals(part[at : at + flush]) for part in parts for at in range(0, len(part), flush)]
    random.Random(1).shuffle(partials)
    for partial in partials:
        merged.merge(partial)
    assert merged.count == row.version
    assert not list(problems(row, found(row, sum=merged.sum, m2=merged.m2, increase=merged.increase)))


@pytest.mark.parametrize("off", [300.0, 3.0])
@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("m2", lambda held: 0.0),
        ("m2", lambda held: held * 1_000),
        ("m2", lambda held: held * 1.05),
        ("increase", lambda held: 0.0),
        ("increase", lambda held: held * (1 + 1e-10)),
        ("sum", lambda held: held + 4_000),
        ("sum", lambda held: held - 10),
        ("min", lambda held: held - 10),
    ],
)
def test_what_rounding_does_not_explain_is_wrong(off: float, field: str, wrong: Any) -> None:
    """Of a thousand readings of five billion that differ by hundreds, or by little."""
    row = judged_row(meters(5e9, off))
    (problem,) = problems(row, found(row, **{field: wrong(row.data[field])}))
    assert problem.startswith(f"data.{field} is ")


def judges(**asked: Any) -> Judges:
    return Judges(Asked(grouped_by=("site",), sizes={"1h": HOUR, "1d": DAY}, **asked))


@pytest.mark.parametrize("folds", [(), ("device",)])
def test_a_silent_device_is_forgotten_whether_or_not_there_are_folds(folds: tuple[str, ...]) -> None:
    """It is in the group of all alone until it says its site again, and its counter begins anew."""
    made = judges(folds=folds, retention_ms=2 * DAY)
    made.hear(event(1, NOON - 3 * DAY, 100.0, site="berlin"), NOON)
    made.hear(event(2, NOON, 150.0), NOON + 2 * DAY + 1)
    made.hear(event(3, NOON, 160.0, site="bonn"), NOON + 2 * DAY + 2)
    assert counts(made) == {"all": (2, 10.0), "site#bonn": (1, 10.0)}


def test_a_device_is_not_silent_as_long_as_it_was_heard() -> None:
    made = judges(retention_ms=2 * DAY, rollups_kept_s=90 * 86_400)
    made.hear(event(1, NOON - 3 * DAY, 100.0, site="berlin"), NOON)
    made.hear(event(2, NOON - DAY, 120.0), NOON + 2 * DAY - 1)
    made.hear(event(3, NOON, 150.0), NOON + 4 * DAY - 2)
    assert counts(made) == {"all": (1, 30.0), "site#berlin": (1, 30.0)}


def test_what_was_sent_twice_keeps_counters_and_tells_no_attributes() -> None:
    """The fold of the device hears it, which knows the counters; what is behind that has the attributes."""
    made = judges(retention_ms=30 * HOUR, rollups_kept_s=90 * 86_400)
    records = [
        (event(1, NOON - HOUR, 100.0, site="berlin"), NOON),
        (event(1, NOON - HOUR, 100.0, site="berlin"), NOON + 20 * HOUR),
        (event(2, NOON, 150.0), NOON + 31 * HOUR),
    ]
    properties = loaded({"rollup.sizes": "1h", "device.retention": "30h", "group.rollups": "site"})
    oracle = open_oracle(properties, ViewsInUse(1, {}), list, Judged(made))
    for number, (one, arrival) in enumerate(records):
        oracle.add(LogRecord(encode(one), arrival, "d", "shard-0", str(number)))
    assert oracle.reckoning().duplicates == 1
    assert counts(made) == {"all": (1, 50.0)}
    row = next(row for row in oracle.rows_of("d") if row.sort == HOUR_ROW)
    assert row.data["increase"] == 50.0


def test_rows_that_are_kept_for_ever_take_in_nothing_that_arrives_the_devices_retention_after_them() -> None:
    made = judges(retention_ms=10 * DAY, rollups_kept_s=None)
    in_time, late = NOON + HOUR + 10 * DAY - 1, NOON + HOUR + 10 * DAY
    for number, arrival in enumerate((in_time, late)):
        made.hear(event(number, NOON, 7.0, f"d{number}"), arrival)
    assert counts(made)["all"] == (1, 0.0)
    assert counts(made, "rollup#1d#energy#2026-01-31T00:00:00Z")["all"] == (2, 0.0)


def test_rows_with_an_end_take_in_what_arrives_before_it() -> None:
    made = judges(retention_ms=DAY, rollups_kept_s=20 * 86_400)
    for number, arrival in enumerate((NOON + HOUR + 20 * DAY - 1, NOON + HOUR + 20 * DAY)):
        made.hear(event(number, NOON, 7.0, f"d{number}"), arrival)
    assert counts(made)["all"] == (1, 0.0)


def test_what_is_left_out_of_a_group_still_moves_the_devices_counter_on() -> None:
    made = judges(retention_ms=10 * DAY)
    late = NOON + DAY + 12 * DAY
    made.hear(event(1, NOON, 100.0), late)
    made.hear(event(2, late, 130.0), late)
    assert counts(made) == {}
    assert counts(made, rollup_sort("1h", "energy", late))["all"] == (1, 30.0)
