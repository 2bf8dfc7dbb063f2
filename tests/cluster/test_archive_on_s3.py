"""The archive in S3: written by a job that is killed and goes on, described, and replayed."""

import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import msgspec
import pytest

from telefold.deploy.local.tables import REGION
from telefold.jobs import settings
from telefold.jobs.settings import Settings
from telefold.simulator.generator import Spec
from tests.support.archived import check_archive
from tests.support.fleet import send_fleet
from tests.support.processes import Command, Job
from tests.support.properties import set_properties

FLEET = Spec(events=400, devices=10, seed=3, duplicates=0.03, out_of_order=0.1, poison=0.01, schema="mixed")
BUCKET = "telemetry-archive"
SHORT = {"checkpoint.interval": "1s", "rollup.lateness": "400ms"}


@pytest.fixture
def s3_archive(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The path of an archive that is not there yet, in a bucket that is."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3_endpoint)
    made = boto3.resource(
        "s3", REGION, endpoint_url=s3_endpoint, aws_access_key_id="local", aws_secret_access_key="local"
    ).Bucket(BUCKET)
    made.create()
    yield f"s3://{BUCKET}/events"
    made.objects.delete()
    made.delete()


@pytest.fixture
def loaded(properties: Path, s3_archive: str) -> Settings:
    set_properties(properties, {"telefold.job": SHORT, "telefold.archive": {"path": s3_archive}})
    return settings.load(properties)


def test_what_a_killed_job_archived_in_s3_is_there_once_and_replayed(
    properties: Path, loaded: Settings, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once with the made-up credentials of emulators, once with those that the environment has."""
    send_fleet(loaded, FLEET)
    job.start()
    job.await_events(1)
    job.await_checkpoint(time.time())
    send_fleet(loaded, msgspec.structs.replace(FLEET, seed=4))
    job.await_events(FLEET.events + 1)
    job.kill()
    job.start()
    job.await_caught_up()
    assert job.stop() == 0, job.output()
    assert "from checkpoint" in job.output()

    records = check_archive(loaded)
    assert records > 2 * FLEET.events
    assert Command(properties, "archive", "describe").said()["records"] == records
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "configured")
    assert Command(properties, "replay").said()["records"] == records
