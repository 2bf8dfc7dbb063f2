"""The archive folded again: into stores that lost everything, in part, and as a device was at a time."""

import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis

from telefold.connectors import aws
from telefold.connectors.archive import Archive
from telefold.deploy.local import tables
from telefold.deploy.local.stack import LocalStack
from telefold.jobs import settings
from telefold.jobs.settings import Settings
from telefold.simulator.generator import Spec, device_id
from tests.support.fleet import send_fleet
from tests.support.processes import Command, Job
from tests.support.properties import set_properties

FLEET = Spec(
    events=6_000,
    devices=30,
    seed=9,
    duplicates=0.03,
    out_of_order=0.1,
    poison=0.01,
    schema="mixed",
    corrections=0.02,
)
SPAN_MS = 3_600_000
"""Longer than two blocks of minutes, so that some hold nothing of the later half of the events."""
SHORT = {"checkpoint.interval": "1s", "rollup.lateness": "400ms"}


@pytest.fixture(scope="module")
def archived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The properties of a stack whose job has folded and archived a fleet that sends all versions of the schema."""
    with LocalStack(tmp_path_factory.mktemp("replay") / "telefold") as stack:
        properties = Path(stack.status.properties)
        set_properties(properties, {"telefold.job": SHORT})
        loaded, job = settings.load(properties), Job(properties)
        sent = send_fleet(loaded, FLEET, SPAN_MS)
        job.start()
        try:
            job.await_events(len(sent))
            job.await_caught_up()
            job.await_checkpoint(time.time())
            assert job.stop() == 0
        finally:
            job.end()
        assert len(list(Archive(loaded.archive.path or "").read())) == len(sent)
        yield properties


@pytest.fixture
def properties(archived: Path) -> Path:
    return archived


@pytest.fixture
def loaded(properties: Path) -> Settings:
    """Stores that have lost every row."""
    loaded = settings.load(properties)
    _lose_all_rows(loaded)
    return loaded


def _lose_all_rows(loaded: Settings) -> None:
    views = loaded.views
    with closing(aws.client("dynamodb", loaded.views_region, views.dynamodb_endpoint)) as dynamodb:
        dynamodb.delete_table(TableName=views.dynamodb_table)
        tables.create_views_table(dynamodb, views.dynamodb_table)
    with redis.Redis.from_url(views.redis_url) as cache:
        cache.flushall()


def _last_line(verify: Command) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(verify.output().strip().splitlines()[-1])
    return found


def _problems(found: dict[str, Any]) -> set[str]:
    return {one["problem"] for store in found["stores"] for one in store["differences"]}


def test_a_part_writes_no_row_that_the_whole_would_not_have(properties: Path, loaded: Settings) -> None:
    verify, replay = Command(properties, "verify"), Command(properties, "replay")
    arrivals = sorted(record.arrival for record in Archive(loaded.archive.path or "").read())
    middle = datetime.fromtimestamp(arrivals[len(arrivals) // 2] / 1_000, UTC).isoformat()
    replay.said("--since", middle)
    assert verify.run("--json") == 1
    found = _last_line(verify)
    assert _problems(found) == {"missing"}
    assert all(store["rows"] for store in found["stores"])
    replay.said()
    replay.said("--until", middle)
    replay.said("--since", middle, "--device", device_id(3))
    assert verify.said()["right"]


def test_a_replay_brings_every_row_back_and_changes_none_that_is_there(properties: Path, loaded: Settings) -> None:
    verify, replay = Command(properties, "verify"), Command(properties, "replay")
    assert verify.run() == 1, "nothing was lost"

    device = device_id(3)
    assert replay.said("--device", device)["records"] > 100
    assert verify.said("--device", device)["right"]
    assert verify.run() == 1, "a replay of one device brought all back"

    replayed = replay.said()
    everything = verify.said()
    assert everything["right"]
    assert replayed["records"] == everything["records"]
    assert everything["duplicates"] > 0
    assert everything["corrections"] > 0
    assert "too_late" in everything["rejected"]

    assert replay.said("--until", "1h")["records"] == 0
    assert replay.said("--since", "1h", "--device", device)["records"] > 100
    assert verify.said()["right"]


def test_a_file_that_is_missing_stops_whatever_reads_the_archive_unless_told_to_go_on(
    properties: Path, loaded: Settings, job: Job
) -> None:
    more = send_fleet(loaded, msgspec.structs.replace(FLEET, events=300, seed=10))
    job.start()
    job.await_events(len(more))
    job.await_caught_up()
    assert job.stop() == 0
    archive = Archive(loaded.archive.path or "")
    whole = len(list(archive.read()))
    oldest = min(archive.files(), key=lambda file: Path(file.path).stat().st_mtime)
    gone, shard = Path(oldest.path), oldest.shard
    aside = gone.rename(properties.parent / "aside")
    (hole,) = archive.holes()
    lost = whole - len(list(archive.read()))
    for words in (["archive", "describe"], ["verify"], ["replay"], ["rebuild"], ["run", "--resume", "none"]):
        command = Command(properties, *words)
        assert command.run() == 1, command.output()
        assert f"{shard}: from its first record up to {hole.last}" in command.output(), command.output()
    assert Command(properties, "replay").said("--despite-holes")["records"] == whole - lost
    rebuild = Command(properties, "rebuild")
    assert rebuild.run("--despite-holes") == 0, rebuild.output()
    assert f"lacks records of {shard}" in rebuild.output()
    assert rebuild.run("--abandon") == 0, rebuild.output()
    verify = Command(properties, "verify")
    verify.run("--despite-holes")
    assert f"The archive lacks records of {shard}: from its first record" in verify.output()

    aside.rename(gone)
    assert Command(properties, "replay").said()["records"] == whole
    verify.run("--json")  # what is too late after the records of that file was not to the replay without them
    assert _problems(_last_line(verify)) <= {"unexpected"}
    assert verify.run("--mend") == 0, verify.output()
    assert verify.said()["right"]
