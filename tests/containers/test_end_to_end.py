"""The job on servers in containers, from a fleet's records to rows that plain Python agrees with."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from telefold.connectors import aws
from telefold.deploy.local import properties_file, tables
from telefold.deploy.local.servers import DYNAMODB, KINESIS, REDIS
from telefold.deploy.local.tables import REGION
from telefold.jobs import settings
from telefold.simulator.generator import Spec
from telefold.verify.account import reckon
from tests.support.fleet import send_fleet
from tests.support.processes import Job
from tests.support.properties import set_properties

pytestmark = pytest.mark.containers

FLEET = Spec(events=2_000, devices=30, seed=7, duplicates=0.05, out_of_order=0.1, poison=0.01, schema="mixed")


@pytest.fixture
def properties(tmp_path: Path, kinesis_endpoint: str, dynamodb_endpoint: str, redis_url: str, views_table: str) -> Path:
    with closing(aws.client(KINESIS, REGION, kinesis_endpoint)) as kinesis:
        tables.create_streams(kinesis)
    path = tmp_path / "application_properties.json"
    urls = {KINESIS: kinesis_endpoint, DYNAMODB: dynamodb_endpoint, REDIS: redis_url}
    properties_file.write(path, urls, parallelism=1)
    job = {"folds": "device,presence", "checkpoint.interval": "1s"}
    set_properties(path, {"telefold.views": {"dynamodb.table": views_table}, "telefold.job": job})
    return path


@pytest.fixture
def job(properties: Path) -> Iterator[Job]:
    job = Job(properties)
    yield job
    job.end()


def test_the_job_folds_what_kinesis_holds_into_dynamodb_and_redis(properties: Path, job: Job) -> None:
    loaded = settings.load(properties)
    sent = send_fleet(loaded, FLEET)
    job.start()
    job.await_events(len(sent))
    job.await_caught_up()
    assert job.stop() == 0
    account = reckon(loaded, sent)
    assert account.right, account
