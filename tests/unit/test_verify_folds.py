"""An edited, a deleted, a ghost and a too new row of each view in each store is found, and what mends it is named."""

from collections.abc import Iterable
from pathlib import Path
from random import Random
from types import SimpleNamespace

import msgspec
import pytest

from telefold.connectors import archive
from telefold.connectors.memory import MemoryViews
from telefold.connectors.mending import Mend
from telefold.jobs import settings
from telefold.jobs.stores import STORES, StoreName
from telefold.operators.folds.alert import Alerts
from telefold.operators.folds.device import Device
from telefold.operators.folds.fleet import Fleet
from telefold.operators.folds.fold import Contribution, Fold, FoldRow
from telefold.operators.folds.presence import Presence
from telefold.operators.settings import JobSettings
from telefold.schemas.codec import decode, encode
from telefold.schemas.events import DeviceEvent
from telefold.schemas.log_records import LogRecord
from telefold.schemas.rules import RuleChange
from telefold.schemas.view_rows import ViewUpdate
from telefold.upkeep import mending
from telefold.upkeep.mending import commands, mend
from telefold.verify import checker, judged
from telefold.verify.checker import Verification, verify
from tests.chaos.verdict import what_is_wrong
from tests.support.plain_job import Job, Stores
from tests.unit.test_verify import MINUTE, NOON, World, rows


class Doors(msgspec.Struct, frozen=True):
    opened: int = 0
    last_at: int = 0


class Door(Fold[Doors]):
    """A team's own: how often a door was opened, of each device, each site and side by side."""

    name = "door"
    state = Doors

    def initial(self, key: str) -> Doors:
        return Doors()

    def evolve(self, state: Doors, event: DeviceEvent) -> Doors:
        return Doors(state.opened + (event.type == "opened"), event.event_time)

    def rows(self, state: Doors) -> Iterable[FoldRow]:
        yield FoldRow("door", {"opened": state.opened})
        yield FoldRow("door#all#d", {"opened": state.opened}, partition="doors")

    def contributes(self, before: Doors, after: Doors) -> Iterable[Contribution]:
        if after.opened > before.opened:
            yield Contribution("site#berlin", "door", {"opened": after.opened - before.opened})


RULES = [RuleChange("hot", NOON - MINUTE, "heat > 80 until < 70")]
FOLDS = f"device,presence,fleet,alert,{__name__}:Door"


def log() -> list[LogRecord]:
    """A device that registers, is too hot twice, opens its door, and falls silent for a while."""
    records = []
    told: list[tuple[str, int, float | None]] = [("registered", 0, None), ("telemetry", 1, 85.0)]
    told += [("telemetry", 11, 60.0), ("opened", 12, None), ("telemetry", 21, 90.0), ("telemetry", 31, 70.0)]
    told += [("telemetry", 300, 71.0), ("telemetry", 310, 72.0)]
    for number, (kind, second, heat) in enumerate(told):
        attributes = {"site": "berlin", "report_interval_s": "10"} if kind == "registered" else {}
        metrics = {} if heat is None else {"heat": heat}
        at = NOON + second * 1_000
        event = DeviceEvent(f"e{number}", "d", kind, at, number, metrics, attributes)
        records.append(LogRecord(encode(event), at, "d", "shard-0", str(number)))
    return records


class Two(World):
    """A store of each name, that hold what a job would have written until `now`."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(root, monkeypatch)
        self.now = NOON / 1_000 + 340
        self.stores = {name: MemoryViews(clock=lambda: self.now) for name in STORES}
        for module in (checker, mending):
            monkeypatch.setattr(module, "open_reader", lambda settings, store, generation: self.stores[store])
        monkeypatch.setattr(checker, "partitions", lambda settings, store, generation: self.stores[store].partitions())
        monkeypatch.setattr(mending, "open_mender", lambda settings, store, generation: Mender(self.stores[store]))
        monkeypatch.setattr(mending, "time", SimpleNamespace(time=lambda: self.now))
        monkeypatch.setattr(judged, "_rules", lambda settings: RULES)
        archive.write(str(root), log())
        written = Stores()
        events = [(decode(one.data, one.arrival), one.arrival) for one in log()]
        for fold in (Device(), Presence(), Fleet(), Alerts().under(RULES), Door()):
            Job(fold, events, None, written).run(round(self.now * 1_000), [3, 1, 2, 2], True, Random(1))
        self.right = {**rows(log()), **written.rows}
        for store in self.stores.values():
            store.write(list(self.right.values()))

    def settings(self, **views: str) -> settings.Settings:
        properties = super().settings(**views)
        job = JobSettings.model_validate({"folds": FOLDS, "durable.interval": "0s"})
        return properties._replace(job=job)

    def put(self, store: StoreName, row: ViewUpdate) -> None:
        self.stores[store]._partitions[row.partition][row.sort] = row

    def delete(self, store: StoreName, row: ViewUpdate) -> None:
        del self.stores[store]._partitions[row.partition][row.sort]

    def found(self) -> Verification:
        return verify(self.settings(retention_rollups="forever"), settle_s=10)


class Mender:
    """As those of the real stores."""

    def __init__(self, store: MemoryViews) -> None:
        self._store = store

    def mend(self, one: Mend) -> bool:
        partition = self._store._partitions[one.partition]
        held = partition.get(one.sort)
        if (None if held is None else held.version) != one.found:
            return False
        if one.wanted is not None:
            partition[one.sort] = one.wanted
        elif held is not None:
            del partition[one.sort]
        return True

    def close(self) -> None:
        """Nothing to let go of."""


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Two:
    return Two(tmp_path / "archive", monkeypatch)


ROWS = [
    ("device#d", "latest#heat"),
    ("device#d", "rollup#1m#heat#2026-01-31T12:00:00Z"),
    ("device#d", "device"),
    ("device#d", "presence"),
    ("device#d", "presence#metric#heat"),
    ("device#d", "presence#outage#2026-01-31T12:00:31.000Z"),
    ("device#d", "alert#hot"),
    ("device#d", "alert#hot#2026-01-31T12:00:01.000Z"),
    ("alerts", "alert#hot#d"),
    ("fleet#all", "fleet"),
    ("fleet#site#berlin", "fleet#active#1h#2026-01-31T12:00:00Z"),
    ("fleet#all", "fleet#top#heat#2026-01-31T12:00:00Z"),
    ("fleets", "fleet#site#berlin"),
    ("device#d", "door"),
    ("doors", "door#all#d"),
    ("fleet#site#berlin", "door"),
]


def test_every_row_of_every_view_is_explained(two: Two) -> None:
    assert set(ROWS) <= two.right.keys()
    found = two.found()
    assert [str(one) for check in found.stores for one in check.differences] == []
    assert found.right
    assert not any(check.in_flight for check in found.stores)
    for check in found.stores:
        assert check.by_view.keys() == {"latest", "rollups", "device", "presence", "alert", "fleet", "door"}
        assert check.rows == len(two.right)


def edited(row: ViewUpdate) -> ViewUpdate:
    field, value = next((field, value) for field, value in row.data.items() if not isinstance(value, str | bool))
    return msgspec.structs.replace(row, data={**row.data, field: value + 7})


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("key", ROWS, ids=lambda key: f"{key[0]} {key[1]}")
@pytest.mark.parametrize("how", ["edited", "deleted", "ghost", "too new"])
def test_what_is_wrong_with_a_row_is_found_named_and_mended(
    two: Two, store: StoreName, key: tuple[str, str], how: str
) -> None:
    row = two.right[key]
    expected = {"edited": "data.", "deleted": "missing", "ghost": "unexpected", "too new": "too new"}[how]
    match how:
        case "edited":
            two.put(store, edited(row))
        case "deleted":
            two.delete(store, row)
        case "ghost":
            row = msgspec.structs.replace(row, sort=f"{row.sort}#ghost")
            two.put(store, row)
        case _:
            two.put(store, msgspec.structs.replace(row, version=row.version + 2**40))
    found = two.found()
    problems = {
        (check.store, one.partition, one.sort): one.problem for check in found.stores for one in check.differences
    }
    assert problems.keys() == {(store, row.partition, row.sort)}
    assert expected in problems[store, row.partition, row.sort]
    is_writing_enough = store == "redis" and how in ("edited", "deleted")
    assert set(commands(found).values()) == {"telefold refill" if is_writing_enough else "telefold verify --mend"}
    assert mend(two.settings(retention_rollups="forever"), found).right == 1
    assert two.found().right


@pytest.mark.parametrize("partition", ["device#ghost", "fleet#site#atlantis", "fleets", "ghosts", "alerts"])
def test_a_row_in_a_place_that_nothing_explains_is_found_and_taken_away(two: Two, partition: str) -> None:
    two.put("dynamodb", ViewUpdate("fleet", partition, "fleet#ghost", 1, {"devices": 1}))
    found = two.found()
    assert {one.partition for check in found.stores for one in check.differences} == {partition}
    assert set(commands(found).values()) == {"telefold verify --mend"}
    mend(two.settings(retention_rollups="forever"), found)
    assert two.found().right


def test_a_row_that_differs_in_both_stores_tells_of_the_jobs_own_state(two: Two) -> None:
    for store in two.stores:
        two.put(store, edited(two.right["device#d", "presence"]))
    assert set(commands(two.found()).values()) == {"telefold rebuild"}


def test_a_row_that_was_written_meanwhile_is_left_as_it_is(two: Two) -> None:
    row = two.right["device#d", "device"]
    two.put("redis", edited(row))
    found = two.found()
    newer = msgspec.structs.replace(row, version=row.version + 1)
    two.put("redis", newer)
    assert mend(two.settings(retention_rollups="forever"), found) == (0, 1)
    assert two.stores["redis"].get(row.partition, row.sort) is not None


def test_what_is_due_by_time_alone_is_waited_for_as_long_as_the_job_may_take(two: Two) -> None:
    """The device is silent 25 s after its last report, at 335 s; offline at 345 s."""
    two.now += 7
    assert two.found().right
    two.now += 20
    found = two.found()
    assert {one.sort for check in found.stores for one in check.differences} >= {"presence", "presence#metric#heat"}


def test_a_job_that_ended_is_not_asked_for_what_became_due_since(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = two.now
    two.now += 3_600
    monkeypatch.setattr(checker, "taken_on", lambda settings, now: ended)
    assert two.found().right
    two.put("redis", edited(two.right["device#d", "presence"]))
    assert not two.found().right


def test_bookkeeping_is_of_no_view(two: Two) -> None:
    two.put("dynamodb", ViewUpdate("rules", "telefold#rules", "hot", 1, {"rule": "hot"}))
    assert two.found().right


def test_the_verdict_of_a_run_of_failures_names_what_is_wrong_in_views_of_every_kind(two: Two) -> None:
    for key in (("device#d", "presence"), ("fleet#all", "fleet"), ("fleet#site#berlin", "door")):
        assert list(what_is_wrong(two.found())) == []
        two.put("redis", edited(two.right[key]))
        (problem,) = what_is_wrong(two.found())
        assert problem.startswith(f"redis: {key[0]} {key[1]}: data.")
        two.put("redis", two.right[key])
    unjudged = two.found()._replace(unjudged=["door"], records=2, dropped=["shard-0 lacks something."])
    assert list(what_is_wrong(unjudged)) == [
        "the records of the archive and of the stream do not balance",
        "shard-0 lacks something.",
        "the view door was not judged",
    ]
