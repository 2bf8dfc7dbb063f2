"""What verification makes of rows that move, expire or lie beyond the positions it is given; no server needed."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from telefold.cli.verify import _notes
from telefold.connectors import archive
from telefold.connectors.memory import MemoryViews
from telefold.jobs import settings
from telefold.schemas.codec import encode
from telefold.schemas.events import DeviceEvent
from telefold.schemas.log_records import LogRecord
from telefold.schemas.view_rows import ViewUpdate
from telefold.verify import checker, event_log, store_check
from telefold.verify.checker import Verification, verify
from telefold.verify.event_log import of_device, of_sample, selection
from telefold.verify.folding import ViewsInUse
from telefold.verify.oracle import Key, fold

NOON = 1_769_860_800_000  # 2026-01-31T12:00:00Z
MINUTE = 60_000
SIZES = {"1m": MINUTE, "1h": 60 * MINUTE}


def record(number: int, arrival: int | None = None, device: str = "d", **fields: Any) -> LogRecord:
    at = NOON + number * 1000
    event = DeviceEvent(f"e{number}", device, "telemetry", at, number, {"heat": float(number)})
    data = encode(msgspec.structs.replace(event, **fields))
    return LogRecord(data, at if arrival is None else arrival, device, "shard-0", str(number))


def rows(records: list[LogRecord], retention: dict[str, int | None] | None = None) -> dict[Key, ViewUpdate]:
    return dict(fold(records, SIZES, 60 * MINUTE, retention or {}).rows)


class World:
    """An archive on disk, a stream that `stream` stands for, and one store in memory that stands for both."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.now = NOON / 1000 + 60
        self.views = MemoryViews(clock=lambda: self.now)
        self.stream: list[LogRecord] = []
        self.arrivals: list[list[LogRecord]] = []
        """What the stream takes in after each of its reads."""
        self.durable_interval = "0s"
        monkeypatch.setattr(event_log, "read_behind", self._read_behind)
        monkeypatch.setattr(event_log, "dropped", lambda client, stream, positions: iter(self.dropped))
        self.dropped: list[LogRecord] = []
        monkeypatch.setattr(checker, "open_reader", lambda *which: self.views)
        monkeypatch.setattr(checker, "partitions", lambda *which: self.views.partitions())
        monkeypatch.setattr(checker, "current_views", lambda settings: ViewsInUse(1, {}))
        monkeypatch.setattr(checker, "taken_on", lambda settings, now: now)
        clock = SimpleNamespace(time=lambda: self.now, monotonic=time.monotonic, sleep=time.sleep)
        monkeypatch.setattr(checker, "time", clock)
        monkeypatch.setattr(store_check, "time", clock)
        monkeypatch.setattr(checker, "_PATIENCE_S", 0.0)

    def _read_behind(self, client: object, stream: str, positions: dict[str, str]) -> Iterator[LogRecord]:
        found = [record for record in self.stream if not record.is_within(positions)]
        self.stream = self.stream + (self.arrivals.pop(0) if self.arrivals else [])
        return iter(found)

    def settings(self, **views: str) -> settings.Settings:
        return settings.parse(
            {
                "telefold.source": {
                    "stream.name": "s",
                    "aws.region": "us-east-1",
                    "aws.endpoint": "http://127.0.0.1:9",
                },
                "telefold.views": {"dynamodb.table": "views", "redis.url": "redis://127.0.0.1"}
                | {key.replace("_", "."): value for key, value in views.items()},
                "telefold.dead-letter": {"stream.name": "dead-letters"},
                "telefold.archive": {"path": str(self.root)},
                "telefold.job": {"durable.interval": self.durable_interval},
            }
        )

    def verify(self, **options: Any) -> Verification:
        return verify(self.settings(retention_rollups="forever"), **options)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path / "archive", monkeypatch)


def problems(found: Verification) -> set[tuple[str, str]]:
    return {(one.sort, one.problem) for one in found.stores[0].differences}


def in_flight(found: Verification) -> set[str]:
    return {sort for _, sort in found.stores[0].in_flight}


MINUTE_ROW, HOUR_ROW = "rollup#1m#heat#2026-01-31T12:00:00Z", "rollup#1h#heat#2026-01-31T12:00:00Z"


def test_the_archive_and_the_stream_behind_it_are_one_log(world: World) -> None:
    records = [record(n) for n in range(1, 31)]
    archive.write(str(world.root), records[:20], records_a_file=7)
    world.stream = records[10:]
    world.views.write(list(rows(records).values()))
    found = world.verify()
    assert found.right
    assert found.records == 30
    assert found.positions == {"shard-0": "30"}


def test_up_to_positions_the_archive_alone_is_the_log(world: World) -> None:
    records = [record(n) for n in range(1, 31)]
    archive.write(str(world.root), records)
    world.stream = [record(31)]
    world.views.write(list(rows(records[:12]).values()))
    found = world.verify(views=ViewsInUse(1, {}), until={"shard-0": "12"})
    assert found.right
    assert found.records == 12
    assert not world.verify().right


def test_rows_wait_for_young_records_and_for_no_others(world: World) -> None:
    old, young = record(1), record(2, arrival=NOON + 55_000)
    world.stream = [old, young]
    archive.write(str(world.root), [old])
    world.views.write(list(rows([old]).values()))
    found = world.verify()
    assert found.right
    assert in_flight(found) == {"latest#heat", MINUTE_ROW, HOUR_ROW}
    late = world.verify(settle_s=1)
    assert not late.right
    assert (MINUTE_ROW, "version is 1, expected 2") in problems(late)


def test_the_table_may_be_behind_by_the_interval_in_which_it_is_written_and_redis_may_not(world: World) -> None:
    old, young = record(1), record(2, arrival=NOON + 20_000)
    world.stream = [old, young]
    archive.write(str(world.root), [old])
    world.views.write(list(rows([old]).values()))
    world.durable_interval = "30s"
    table, redis = world.verify().stores
    assert (table.store, redis.store) == ("dynamodb", "redis")
    assert {sort for _, sort in table.in_flight} == {"latest#heat", MINUTE_ROW, HOUR_ROW}
    assert not table.differences
    assert redis.differences
    world.durable_interval = "29s"
    assert world.verify().stores[0].differences


def test_a_row_that_lacks_more_than_young_records_is_wrong(world: World) -> None:
    old, young = [record(1), record(3)], record(2, arrival=NOON + 55_000)
    archive.write(str(world.root), [old[0]])
    world.stream = [*old, young]
    world.views.write(list(rows(old[:1]).values()))
    found = world.verify()
    assert (MINUTE_ROW, "version is 1, expected 3") in problems(found)
    assert ("latest#heat", f"data.at is {NOON + 1000}, expected {NOON + 3000}") in problems(found)
    assert not in_flight(found)


def test_a_young_row_of_the_expected_version_has_no_excuse(world: World) -> None:
    archive.write(str(world.root), [record(1)])
    world.stream = [record(1), record(2, arrival=NOON + 55_000)]
    right = rows(world.stream)
    wrong = right["device#d", MINUTE_ROW]
    world.views.write([*right.values(), msgspec.structs.replace(wrong, data={**wrong.data, "min": 0.5})])
    assert problems(world.verify()) == {(MINUTE_ROW, "data.min is 0.5, expected 1.0")}


def test_records_that_come_while_the_stores_are_read_explain_what_is_there(world: World) -> None:
    archive.write(str(world.root), [record(1)])
    world.views.write(list(rows([record(1), record(2)]).values()))
    world.arrivals = [[record(2, arrival=NOON + 70_000)]]
    found = world.verify()
    assert found.right
    assert found.records == 2


def stopped(at: float) -> Callable[[], float]:
    """A clock that shows `at` for ever."""
    return lambda: at


def test_rows_that_expire_between_two_looks_are_neither_missed_nor_unexpected(world: World) -> None:
    archive.write(str(world.root), [record(1)])
    loaded = world.settings(retention_rollups="1d", retention_latest="1m")
    world.views.write(list(rows([record(1)], dict(loaded.views.retention)).values()))
    end = NOON / 1000 + 1 + 60  # of the latest value
    for read_at, compared_at in ((end - 1, end - 1), (end - 1, end + 1), (end + 1, end + 1)):
        world.now = compared_at
        world.views._clock = stopped(read_at)
        assert verify(loaded).right


def test_what_the_stream_may_have_dropped_before_it_was_archived_is_told(world: World) -> None:
    archive.write(str(world.root), [record(1)])
    world.stream = world.dropped = [record(7)]
    world.views.write(list(rows([record(1), record(7)]).values()))
    found = world.verify()
    assert found.right
    assert list(found.dropped) == [
        "The archive of shard-0 ends at 1, which the stream has dropped: its oldest record 7 arrived at"
        " 2026-01-31 12:00:07.000Z, and what lay between the two, if anything, is lost."
    ]


def test_a_device_is_told_from_those_whose_names_hold_its_own() -> None:
    is_its = of_device("device-1")
    assert is_its(record(1, device="device-1"))
    assert not is_its(record(1, device="device-10"))
    assert not is_its(record(1, device="other", type="device-1"))
    assert not is_its(LogRecord(b"device-1", NOON, "device-1", "s", "1"))


def test_a_sample_is_about_its_share_of_the_devices() -> None:
    devices = [record(n, device=f"device-{n}") for n in range(1000)]
    fifth, half = (set(filter(of_sample(share), devices)) for share in (0.2, 0.5))
    assert 150 < len(fifth) < 250
    assert fifth < half
    assert not of_sample(1.0)(LogRecord(b"", NOON, "device-1", "s", "1"))
    assert all(map(of_sample(1.0), devices))
    assert all(map(selection(), devices))


def ghost(device: str = "ghost", view: str = "latest", sort: str = "latest#heat") -> ViewUpdate:
    return ViewUpdate(view, f"device#{device}", sort, NOON, {"value": 1.0, "at": NOON})


@pytest.mark.parametrize("row", [ghost(), ghost(view="presence", sort="presence")], ids=["latest", "a fold's"])
def test_rows_of_a_device_that_the_log_does_not_have_are_found(world: World, row: ViewUpdate) -> None:
    records = [record(n) for n in range(1, 4)]
    archive.write(str(world.root), records)
    world.views.write([*rows(records).values(), row])
    found = world.verify()
    assert problems(found) == {("", store_check.NO_SUCH_DEVICE)}
    assert {one.partition for one in found.stores[0].differences} == {"device#ghost"}
    assert world.verify(device="d").right
    assert world.verify(sample=1.0).right


def test_rows_that_are_too_new_or_of_a_metric_that_was_never_sent_are_found(world: World) -> None:
    records = [record(n) for n in range(1, 4)]
    archive.write(str(world.root), records)
    expected = rows(records)
    newest = expected["device#d", "latest#heat"]
    too_new = msgspec.structs.replace(newest, version=newest.version + 1)
    world.views.write([*expected.values(), too_new, ghost("d", sort="latest#cold")])
    assert problems(world.verify()) == {
        ("latest#heat", f"version is {newest.version + 1}, too new: expected {newest.version}"),
        ("latest#cold", "unexpected"),
    }


def test_a_device_that_begins_to_report_meanwhile_is_no_ghost(world: World) -> None:
    records = [record(n) for n in range(1, 4)]
    archive.write(str(world.root), records)
    first = record(4, device="new", metrics={})
    world.arrivals = [[first]]
    world.views.write([*rows(records).values(), ghost("new", "presence", "presence")])
    assert world.verify().right


def test_records_whose_key_is_not_their_device_are_counted_and_one_is_named(world: World) -> None:
    records = [record(1), msgspec.structs.replace(record(2, device="x"), partition_key="random"), record(3)]
    archive.write(str(world.root), records)
    world.views.write(list(rows(records).values()))
    found = world.verify()
    assert (found.expected.other_keys, found.expected.other_keyed) == (1, "x")
    (note,) = _notes(found, "")
    assert note.startswith("1 records have a partition key that is not their device_id, such as those of x:")
