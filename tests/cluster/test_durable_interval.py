"""What is due for DynamoDB survives kills, and a job that is stopped leaves nothing due."""

from contextlib import closing
from pathlib import Path

import pytest

from telefold.jobs import settings
from telefold.jobs.settings import Settings
from telefold.jobs.stores import open_views_reader
from telefold.schemas.view_rows import device_partition
from telefold.simulator.generator import Spec
from telefold.verify.checker import Verification, verify
from tests.support.processes import Job
from tests.support.producer import Producer
from tests.support.properties import set_properties

_JOB = {
    "checkpoint.interval": "500ms",
    "flush.interval": "200ms",
    "rollup.sizes": "5s,1m",
    "durable.interval": "1h",
    "folds": "device,presence,alert,fleet",
    "group.rollups": "site",
}


def all_is_right(found: Verification) -> list[object]:
    return [(check.store, list(check.differences)[:5], list(check.in_flight)[:5]) for check in found.stores]


RIGHT: list[object] = [("dynamodb", [], []), ("redis", [], [])]


def settled(loaded: Settings) -> Verification:
    """Held against the whole log, of which no store may be behind."""
    return verify(loaded, settle_s=-loaded.job.durable_interval_ms / 1_000)


@pytest.mark.parametrize("mode", ["thread", "process"])
def test_a_kill_loses_nothing_that_is_due_and_a_stop_writes_it(properties: Path, job: Job, mode: str) -> None:
    set_properties(properties, {"telefold.job": _JOB | {"python.execution-mode": mode}})
    loaded = settings.load(properties)
    job.start()
    with closing(Producer(loaded, Spec(100_000, devices=20, seed=3))) as producer:
        producer.start()
        job.await_events(1_500)
        job.kill()
        job.start()
        job.await_events(500)
    job.await_caught_up()
    _, redis = verify(loaded).stores
    assert not redis.differences
    assert not redis.in_flight
    with closing(open_views_reader(loaded)) as views:
        assert views.range(device_partition("device-1"), "rollup#")
    assert job.stop() == 0
    assert all_is_right(settled(loaded)) == RIGHT
