"""`telefold verify` over a real stream, an archive on disk, and both real stores."""

import json
import time
from contextlib import closing
from threading import Timer
from typing import Any

import msgspec
import pytest
import redis

from telefold.connectors import archive, aws
from telefold.deploy.local.tables import REGION
from telefold.jobs import stores
from telefold.schemas.codec import encode
from telefold.schemas.errors import Reason, SettingsError
from telefold.schemas.events import DeviceEvent
from telefold.schemas.view_rows import ViewUpdate
from telefold.simulator.generator import Spec, generate
from telefold.verify import checker
from telefold.verify.folding import ViewsInUse
from telefold.verify.oracle import fold
from telefold.verify.store_check import Look
from tests.support.live_job import Sent
from tests.support.verified_log import HOUR, Scene, young


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


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checker, "_PATIENCE_S", 0.5)


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
    looked = Look.at

    def write_first(*arguments: Any) -> Any:
        settled.send([young(len(settled.log()))])
        settled.write(settled.rows(settled.log()).values())
        return looked(*arguments)

    monkeypatch.setattr(Look, "at", write_first)
    assert settled.verified("--settle", "60")["right"]


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
    forgiven = fold(log, job.rollup_sizes, job.rollup_lateness_ms, loaded.views.retention, cut)
    with closing(stores.open_writer(loaded, lambda store: None, 2)) as writer:
        writer.write(list(forgiven.rows.values()))
    one, two = (checker.verify(loaded, ViewsInUse(number, to), settle_s=0) for number, to in ((1, {}), (2, cut)))
    assert one.right
    assert two.right
    assert one.expected.rejected[Reason.TOO_LATE] == 1
    assert Reason.TOO_LATE not in two.expected.rejected
    assert two.expected.accepted == one.expected.accepted + 1
    assert checker.verify(loaded, ViewsInUse(2, cut), settle_s=0, until=cut).right
    assert not checker.verify(loaded, ViewsInUse(2, {}), settle_s=0).right


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
