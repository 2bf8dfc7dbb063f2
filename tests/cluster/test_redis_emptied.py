"""Redis emptied beside a running job is whole again without a person, whether the job has anything to write or not."""

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from redis import Redis

from telefold.deploy.local.stack import LocalStack
from telefold.jobs import settings
from telefold.jobs.settings import Settings
from telefold.jobs.stores import open_marker
from telefold.simulator.generator import Spec
from telefold.verify.checker import verify
from tests.support.processes import Job
from tests.support.producer import Producer
from tests.support.properties import set_properties
from tests.support.waiting import until

_DURABLE_S = 15


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Settings, Job]]:
    """A job with short intervals, and its settings."""
    with LocalStack(tmp_path_factory.mktemp("emptied") / "telefold") as stack:
        properties = Path(stack.status.properties)
        short = {
            "checkpoint.interval": "1s",
            "flush.interval": "200ms",
            "rollup.sizes": "5s,1m",
            "durable.interval": f"{_DURABLE_S}s",
            "folds": "device,alert",
            "group.rollups": "site",
        }
        set_properties(properties, {"telefold.job": short})
        job = Job(properties)
        try:
            job.start()
            yield settings.load(properties), job
            assert job.stop() == 0, job.output()
        finally:
            job.end()


def await_whole(loaded: Settings) -> None:
    with closing(open_marker(loaded)) as marker:
        until(marker.whole_since)


@pytest.mark.parametrize("is_idle", [False, True], ids=["amid the fleet's reports", "once the fleet is silent"])
def test_hot_rows_are_back(running: tuple[Settings, Job], is_idle: bool) -> None:
    loaded, job = running
    await_whole(loaded)
    before = job.status()["events_in"]
    with closing(Producer(loaded, Spec(100_000, devices=30, seed=1 + is_idle))) as producer:
        producer.start()
        job.await_events(before + 1_500)
        if is_idle:
            producer.close()
            job.await_caught_up()
        with Redis.from_url(loaded.views.redis_url) as redis:
            redis.flushall()
        await_whole(loaded)
        if not is_idle:
            time.sleep(3)
    job.await_caught_up()
    # What was due when Redis was emptied has been written, and mirrored, by then.
    time.sleep(_DURABLE_S + 1)
    found = verify(loaded, settle_s=1)
    assert [(check.store, list(check.differences), list(check.in_flight)) for check in found.stores] == [
        ("dynamodb", [], []),
        ("redis", [], []),
    ]
