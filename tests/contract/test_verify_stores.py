"""`telefold verify` and `query device --as-of` over a real stream, an archive on disk, and both real stores."""

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from threading import Timer
from typing import Any, NamedTuple
from uuid import uuid4

import msgspec
import pytest
import redis
import typer
from typer.testing import CliRunner, Result

from connectors import archive, aws
from connectors.event_log import append, batches, read_stream
from deploy.local.tables import REGION
from jobs import reckoning, settings, stores
from jobs.commands import query
from jobs.commands.verify import verify
from jobs.generator import Spec, generate
from jobs.reckoning import ViewsInUse
from schemas.codec import encode
from schemas.errors import Reason, SettingsError, TelefoldError
from schemas.events import DeviceEvent
from schemas.log_records import LogRecord
from schemas.view_rows import ViewUpdate
from tests.support.live_job import Sent
from tests.support.properties import set_properties
from views.oracle import Key, fold

HOUR = 3_600_000
verifier = typer.Typer()
verifier.command()(verify)


class Scene(NamedTuple):
    """A log whose first part is archived, and stores that hold what the job would have written."""

    properties: Path
    kinesis: Any
    stream: str

    @property
    def settings(self) -> settings.Settings:
        return settings.load(self.properties)

    def send(self, records: Iterable[Any]) -> None:
        for batch in batches(records):
            append(self.kinesis, self.stream, batch)

    def log(self) -> list[LogRecord]:
        return list(read_stream(self.kinesis, self.stream))

    def archive(self, records: Sequence[LogRecord]) -> None:
        path = self.settings.archive.path
        assert path
        archive.write(path, records, records_a_file=70, behind=archive.Archive(path).ends())

    def rows(self, records: Iterable[LogRecord]) -> dict[Key, ViewUpdate]:
        job = self.settings.job
        return dict(fold(records, job.rollup_sizes, job.rollup_lateness, self.settings.views.retention).rows)

    def write(self, rows: Iterable[ViewUpdate]) -> None:
        with closing(stores.open_writer(self.settings, lambda store: None)) as writer:
            writer.write(list(rows))

    def run(self, *arguments: str) -> Result:
        return run(verifier, self.properties, *arguments)

    def verified(self, *arguments: str) -> dict[str, Any]:
        result = self.run("--json", *arguments)
        found: dict[str, Any] = json.loads(result.stdout)
        assert result.exit_code == (0 if found["right"] else 1)
        return found


def run(app: typer.Typer, properties: Path, *arguments: str) -> Result:
    result = CliRunner().invoke(app, [*arguments, "--properties", str(properties)], env={"COLUMNS": "200"})
    if isinstance(result.exception, Exception):
        raise result.exception
    return result


@pytest.fixture
def stream(client: Any) -> Iterator[str]:
    name = f"events-{uuid4().hex[:8]}"
    client.create_stream(StreamName=name, ShardCount=2)
    client.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig={"Delay": 1})
    yield name
    client.delete_stream(StreamName=name)


@pytest.fixture
def scene(
    tmp_path: Path,
    client: Any,
    stream: str,
    kinesis_endpoint: str,
    dynamodb_endpoint: str,
    views_table: str,
    redis_url: str,
) -> Scene:
    path = tmp_path / "application_properties.json"
    path.write_text("[]")
    groups = {
        "telefold.source": {"stream.name": stream, "aws.region": REGION, "aws.endpoint": kinesis_endpoint},
        "telefold.views": {
            "dynamodb.table": views_table,
            "dynamodb.endpoint": dynamodb_endpoint,
            "redis.url": redis_url,
        },
        "telefold.dead-letter": {"stream.name": "dead-letters"},
        "telefold.archive": {"path": str(tmp_path / "archive")},
    }
    set_properties(path, groups)
    return Scene(path, client, stream)


@pytest.fixture
def settled(scene: Scene) -> Scene:
    """600 events of 12 devices, two thirds of each shard archived, everything written."""
    spec = Spec(events=600, devices=12, seed=1, duplicates=0.1, out_of_order=0.2, poison=0.05, schema="mixed")
    scene.send(generate(spec, time.time_ns() // 1_000_000 - HOUR))
    log = scene.log()
    for shard in {record.shard for record in log}:
        some = [record for record in log if record.shard == shard]
        scene.archive(some[: 2 * len(some) // 3])
    scene.write(scene.rows(log).values())
    return scene


OLD = ["--settle", "0"]


def differences(found: dict[str, Any]) -> set[tuple[str, str, str, str]]:
    return {
        (check["store"], one["partition"], one["sort"], one["problem"])
        for check in found["stores"]
        for one in check["differences"]
    }


def some_row(scene: Scene, prefix: str, device: str = "device-3") -> ViewUpdate:
    rows = scene.rows(scene.log())
    return next(row for (at, sort), row in sorted(rows.items()) if at == f"device#{device}" and sort.startswith(prefix))


def test_views_that_agree_with_the_log_are_right_and_everything_is_accounted_for(settled: Scene) -> None:
    log = settled.log()
    expected = fold(log, {"1m": 60_000, "1h": HOUR}, HOUR, {})
    found = settled.verified(*OLD)
    assert found["right"]
    assert found["whole"]
    assert found["archive"]
    assert found["records"] == len(log)
    assert (found["folded"], found["duplicates"]) == (expected.accepted, expected.duplicates)
    assert found["rejected"] == {str(reason): count for reason, count in expected.rejected.items()}
    accounted = found["folded"] + found["duplicates"] + found["corrections"] + sum(found["rejected"].values())
    assert accounted == len(log)
    assert [(check["store"], check["rows"]) for check in found["stores"]] == [
        ("dynamodb", len(expected.rows)),
        ("redis", len(expected.rows)),
    ]
    shown = settled.run(*OLD).stdout
    assert "Both stores say what the log says" in shown
    assert "Next: " in shown


def test_a_field_that_is_wrong_is_named_with_its_row(settled: Scene) -> None:
    row = some_row(settled, "rollup#1m#temperature")
    settled.write([msgspec.structs.replace(row, data={**row.data, "max": 99.5})])
    problem = f"data.max is 99.5, expected {row.data['max']}"
    found = settled.verified(*OLD)
    assert differences(found) == {(store, row.partition, row.sort, problem) for store in ("dynamodb", "redis")}
    result = settled.run(*OLD)
    assert result.exit_code == 1
    assert f"redis: {row.partition} {row.sort}: {problem}" in result.stdout
    assert "Next: " in result.stdout
    assert "--as-of 0m" in result.stdout


def test_a_wrong_row_is_wrong_however_young_its_records_are(settled: Scene) -> None:
    row = some_row(settled, "rollup#1h#humidity")
    settled.write([msgspec.structs.replace(row, data={**row.data, "sum": 0.0})])
    assert {one[:3] for one in differences(settled.verified("--settle", "3600"))} == {
        (store, row.partition, row.sort) for store in ("dynamodb", "redis")
    }


def test_a_row_that_one_store_lacks_is_missing_there(settled: Scene) -> None:
    row = some_row(settled, "latest#")
    views = settled.settings.views
    with closing(aws.client("dynamodb", REGION, views.dynamodb_endpoint)) as dynamodb:
        key = {"pk": {"S": row.partition}, "sk": {"S": row.sort}}
        dynamodb.delete_item(TableName=views.dynamodb_table, Key=key)
    assert differences(settled.verified(*OLD)) == {("dynamodb", row.partition, row.sort, "missing")}


def test_a_row_that_nothing_in_the_log_explains_is_unexpected(settled: Scene) -> None:
    settled.write([ViewUpdate("latest", "device#device-3", "latest#bogus", 1, {"value": 1.0, "at": 1})])
    assert differences(settled.verified("--settle", "3600")) == {
        (store, "device#device-3", "latest#bogus", "unexpected") for store in ("dynamodb", "redis")
    }


def test_one_device_is_folded_alone(settled: Scene) -> None:
    settled.write([ViewUpdate("latest", "device#device-3", "latest#bogus", 1, {"value": 1.0, "at": 1})])
    right, wrong = settled.verified(*OLD, "--device", "device-1"), settled.verified(*OLD, "--device", "device-3")
    assert right["right"]
    assert not right["whole"]
    rows = settled.rows(settled.log())
    assert right["stores"][0]["rows"] == sum(partition == "device#device-1" for partition, _ in rows)
    assert {sort for _, _, sort, _ in differences(wrong)} == {"latest#bogus"}
    assert "no account of the whole log" in settled.run(*OLD, "--device", "device-1").stdout


def test_rows_of_a_device_that_the_log_does_not_know_are_unexpected(settled: Scene) -> None:
    settled.write([ViewUpdate("latest", "device#ghost", "latest#heat", 1, {"value": 1.0, "at": 1})])
    assert len(differences(settled.verified(*OLD, "--device", "ghost"))) == 2
    result = settled.run("--device", "nobody")
    assert result.exit_code == 0
    assert "no such records in the log" in result.stdout


def test_a_sample_is_a_share_of_the_devices_and_the_same_every_time(settled: Scene) -> None:
    half = settled.verified(*OLD, "--sample", "0.5")
    assert half["right"]
    assert half == settled.verified(*OLD, "--sample", "0.5")
    whole = settled.verified(*OLD, "--sample", "1")
    assert 0 < half["stores"][0]["rows"] < whole["stores"][0]["rows"]
    assert whole["stores"][0]["rows"] == len(settled.rows(settled.log()))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--sample", "0"], "--sample is 0.0, but must be a fraction"),
        (["--sample", "1.1"], "--sample is 1.1, but must be a fraction"),
        (["--sample", "0.1", "--device", "d"], "exclude each other"),
    ],
)
def test_bad_options_are_refused(scene: Scene, options: list[str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        scene.run(*options)


def test_without_an_archive_the_stream_is_the_log(settled: Scene) -> None:
    path = settled.properties
    groups = [group for group in json.loads(path.read_text()) if group["PropertyGroupId"] != "telefold.archive"]
    path.write_text(json.dumps(groups))
    assert not settled.verified(*OLD)["archive"]
    assert "There is no archive" in settled.run(*OLD).stdout


# Rows that move while verify looks


def young(number: int) -> Sent:
    at = time.time_ns() // 1_000_000
    event = DeviceEvent(f"young-{number}", "device-3", "telemetry", at, 10_000 + number, {"temperature": float(number)})
    return Sent(encode(event), "device-3")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reckoning, "_PATIENCE_S", 0.5)


def test_rows_that_young_records_moved_and_no_store_has_yet_are_in_flight(settled: Scene, impatient: None) -> None:
    settled.send([young(1)])
    found = settled.verified("--settle", "3600")
    assert found["right"]
    for check in found["stores"]:
        assert {row["sort"].split("#")[0] for row in check["in_flight"]} == {"latest", "rollup"}
        assert {row["partition"] for row in check["in_flight"]} == {"device#device-3"}
    assert "they were not compared" in settled.run("--settle", "3600").stdout
    assert not settled.verified(*OLD)["right"]


def test_rows_that_arrive_while_verify_waits_are_right(settled: Scene) -> None:
    settled.send([young(1)])
    rows = settled.rows(settled.log()).values()
    timer = Timer(1.0, lambda: settled.write(rows))
    timer.start()
    found = settled.verified("--settle", "60")
    timer.join()
    assert found["right"]
    assert [check["in_flight"] for check in found["stores"]] == [[], []]


def test_a_store_that_lacks_more_than_the_young_records_is_wrong(settled: Scene, impatient: None) -> None:
    """The rollup of an hour has far more events than the one that may be missing."""
    row = some_row(settled, "rollup#1h#temperature")
    with redis.Redis.from_url(settled.settings.views.redis_url) as cache:
        cache.delete(f"tf:{{{row.partition}}}:{row.sort}")
    time.sleep(0.6)  # so that the fleet's records are older than what is young
    settled.send([young(1)])
    found = settled.verified("--settle", "0.5")
    assert ("redis", row.partition, row.sort, "missing") in differences(found)


def test_rows_written_between_the_fold_and_the_look_are_right(settled: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stores are ahead of what was folded first; the log is read on until it explains them."""
    looked = reckoning._Look.at

    def write_first(*arguments: Any) -> Any:
        settled.send([young(len(settled.log()))])
        settled.write(settled.rows(settled.log()).values())
        return looked(*arguments)

    monkeypatch.setattr(reckoning._Look, "at", write_first)
    assert settled.verified("--settle", "60")["right"]


# telefold query device --as-of


def as_of(scene: Scene, at: int, *arguments: str) -> list[dict[str, Any]]:
    result = run(query.app, scene.properties, "device", "device-3", "--as-of", str(at), "--json", *arguments)
    answer = json.loads(result.stdout)
    assert answer["partition"] == "device#device-3"
    rows: list[dict[str, Any]] = answer["rows"]
    assert result.exit_code == (0 if rows else 1)
    return rows


@pytest.fixture
def history(scene: Scene) -> Scene:
    """An event a minute, arriving as it happened, all but the last ten archived; no store has a row."""
    start = time.time_ns() // 1_000_000 - HOUR

    def event(n: int) -> LogRecord:
        made = DeviceEvent(f"e{n}", "device-3", "telemetry", start + n * 60_000, n, {"heat": float(n)})
        return LogRecord(encode(made), start + n * 60_000, "device-3", "shardId-of-old-0", str(n))

    other = LogRecord(b"about device-3 and junk", start, "device-3", "shardId-of-old-1", "1")
    scene.archive([*map(event, range(50)), other])
    return scene


def test_a_device_is_shown_as_it_was(history: Scene) -> None:
    start = next(archive.Archive(str(history.settings.archive.path)).read()).arrival
    rows = {row["sort"].split("#")[0] + row["sort"].split("#")[1]: row for row in as_of(history, start + 600_000)}
    assert set(rows) == {"latestheat", "rollup1m", "rollup1h"}
    assert rows["latestheat"]["data"] == {"value": 10.0, "at": start + 600_000}
    earlier = as_of(history, start + 600_000 - 1, "--metric", "heat")
    assert next(row for row in earlier if row["sort"] == "latest#heat")["data"]["value"] == 9.0


def test_what_is_not_archived_yet_is_read_from_the_stream(history: Scene) -> None:
    history.send([young(7)])
    now = time.time_ns() // 1_000_000 + 1_000
    latest = next(row for row in as_of(history, now) if row["sort"] == "latest#temperature")
    assert latest["data"]["value"] == 7.0


def test_people_see_tables_of_the_past_and_what_to_do_next(history: Scene) -> None:
    result = run(query.app, history.properties, "device", "device-3", "--as-of", "0m")
    assert result.exit_code == 0
    assert "heat" in result.stdout
    assert "folded from 50 records" in result.stderr
    assert "Next: `telefold query device device-3`" in result.stderr


def test_rows_that_had_expired_by_then_are_not_shown(history: Scene) -> None:
    set_properties(history.properties, {"telefold.views": {"retention.rollups": "1m", "retention.latest": "30d"}})
    now = time.time_ns() // 1_000_000
    assert {row["sort"] for row in as_of(history, now) if not row["sort"].startswith("rollup#1h")} == {"latest#heat"}


def test_a_device_without_events_by_then_is_a_sentence(history: Scene) -> None:
    assert as_of(history, 1_600_000_000_000) == []
    result = run(query.app, history.properties, "device", "device-3", "--as-of", "2020-09-13")
    assert result.exit_code == 1
    assert "device-3 had no rows yet at 2020-09-13" in result.stderr


def test_the_past_needs_an_archive(history: Scene) -> None:
    path = history.properties
    groups = [group for group in json.loads(path.read_text()) if group["PropertyGroupId"] != "telefold.archive"]
    path.write_text(json.dumps(groups))
    with pytest.raises(TelefoldError, match=r"telefold\.archive/path is not set"):
        run(query.app, path, "device", "device-3", "--as-of", "1h")


def test_a_generation_is_verified_with_its_own_cut(settled: Scene) -> None:
    """Within the cut nothing is late, so the second generation holds what the first refused."""
    at = time.time_ns() // 1_000_000 - 3 * HOUR
    settled.send([Sent(encode(DeviceEvent("late", "device-3", "telemetry", at, 1, {"temperature": 1.0})), "device-3")])
    log, loaded = settled.log(), settled.settings
    opened = archive.Archive(str(loaded.archive.path))
    ends = opened.ends()
    settled.archive([record for record in log if not record.is_within(ends)])
    cut = opened.ends()
    job = loaded.job
    forgiven = fold(log, job.rollup_sizes, job.rollup_lateness, loaded.views.retention, cut)
    with closing(stores.open_writer(loaded, lambda store: None, 2)) as writer:
        writer.write(list(forgiven.rows.values()))
    one, two = (reckoning.verify(loaded, ViewsInUse(number, to), settle_s=0) for number, to in ((1, {}), (2, cut)))
    assert one.right
    assert two.right
    assert one.expected.rejected[Reason.TOO_LATE] == 1
    assert Reason.TOO_LATE not in two.expected.rejected
    assert two.expected.accepted == one.expected.accepted + 1
    assert reckoning.verify(loaded, ViewsInUse(2, cut), settle_s=0, until=cut).right
    assert not reckoning.verify(loaded, ViewsInUse(2, {}), settle_s=0).right


@pytest.mark.parametrize("generation", [1, 2])
@pytest.mark.parametrize("store", stores.STORES)
def test_every_partition_of_a_generation_is_found_whatever_its_device_is_called(
    scene: Scene, store: stores.StoreName, generation: int
) -> None:
    names = {f"device#{device}" for device in ("a", "{b}", "c}:d", "g2/e", "ü")}
    for number, some in ((generation, names), (3 - generation, {"device#other"})):
        with closing(stores.open_writer(scene.settings, lambda store: None, number)) as writer:
            writer.write([ViewUpdate("latest", name, "latest#t", 1, {"value": 1.0, "at": 1}) for name in some])
    assert stores.partitions(scene.settings, store, generation) == names
