"""One job at a time over one set of views, and where it begins, also where there is no checkpoint or a damaged one."""

import shutil
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from telefold.connectors import aws
from telefold.deploy.minicluster import checkpoints
from telefold.jobs import settings, stores
from telefold.simulator import produce
from telefold.simulator.generator import Spec, generate
from telefold.verify.checker import verify
from tests.support.processes import Job
from tests.support.properties import set_properties

SPAN_MS = 60_000


@pytest.fixture
def elsewhere(properties: Path, tmp_path: Path) -> Iterator[Job]:
    """The same job with the same settings from another folder, as on another machine."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    job = Job(Path(shutil.copy(properties, folder)))
    yield job
    job.end()


def send(loaded: settings.Settings, events: int, seed: int) -> None:
    records = generate(Spec(events=events, devices=3, seed=seed), time.time_ns() // 1_000_000 - SPAN_MS, SPAN_MS)
    with closing(aws.client("kinesis", loaded.source.region, loaded.source.endpoint)) as kinesis:
        produce.send(kinesis, loaded.source.name, records)


def await_rows(job: Job) -> None:
    """Until its last task runs, without which there is no checkpoint."""
    job.await_that(lambda: job.status()["rows_written"] > 0, "rows")


def await_renewed(loaded: settings.Settings, job: Job, times: int) -> None:
    """Until the running job's lease was renewed so often."""
    with closing(stores.open_lease(loaded)) as record:
        first = record.load()
        assert first is not None
        job.await_that(lambda: (held := record.load()) is not None and held.version >= first.version + times, "renewal")


def test_a_job_from_the_latest_that_is_killed_before_its_first_checkpoint_loses_nothing(
    properties: Path, job: Job
) -> None:
    groups = {
        "telefold.job": {"checkpoint.interval": "60s", "flush.interval": "100ms"},
        "telefold.source": {"init.position": "LATEST"},
    }
    set_properties(properties, groups)
    loaded = settings.load(properties)
    send(loaded, 4, seed=1)
    time.sleep(2)  # Kinesis tells its time in seconds
    job.start()
    job.await_output("lag 0.0 s")
    send(loaded, 3, seed=2)
    job.await_events(3)
    job.kill()
    send(loaded, 15, seed=3)
    job.start()
    job.await_events(18)
    await_rows(job)
    assert job.stop() == 0
    assert job.status()["events_in"] == 18
    found = verify(loaded, settle_s=0)
    assert found.right, found.stores
    assert found.records == 18
    send(loaded, 15, seed=4)  # of four shards three devices leave one empty: the checkpoint knows no record of it
    job.start()
    job.await_events(15)
    await_rows(job)
    assert job.stop() == 0
    assert "from checkpoint" in job.output()


def test_a_second_job_over_the_same_views_is_refused_until_the_first_has_ended(
    properties: Path, job: Job, elsewhere: Job
) -> None:
    loaded = settings.load(properties)
    job.start()
    job.await_checkpoint(0)
    await_renewed(loaded, job, times=1)  # with nothing to write
    began = time.monotonic()
    assert elsewhere.run() == 1
    assert "The job already runs over these views: `telefold run` with the pid" in elsewhere.output()
    assert "Running" not in elsewhere.output()
    assert time.monotonic() - began < 20
    job.kill()
    elsewhere.start()
    elsewhere.await_checkpoint(0)
    assert "Looking for" not in elsewhere.output()
    assert elsewhere.stop() == 0
    job.start()
    job.await_checkpoint(0)
    assert job.stop() == 0


def test_a_damaged_newest_checkpoint_is_named_with_the_older_one_that_works(properties: Path, job: Job) -> None:
    set_properties(properties, {"telefold.job": {"checkpoint.interval": "500ms"}})
    loaded = settings.load(properties)
    send(loaded, 10, seed=1)
    job.start()
    job.await_events(10)
    job.await_checkpoint(time.time())
    job.kill()
    known = checkpoints.newest_first((properties.parent / "checkpoints" / "telemetry").glob("*/chk-*"))
    metadata = known[0] / "_metadata"
    metadata.write_bytes(metadata.read_bytes()[:100])
    assert job.run() == 1
    *_, said = job.output().strip().splitlines()
    assert str(known[0]) in said
    assert f"`telefold run telemetry --resume {known[1]}` goes on from the one before it" in said
    job.start("--resume", str(known[1]))
    job.await_checkpoint(0)
    assert job.stop() == 0
    assert verify(loaded, settle_s=0).right
