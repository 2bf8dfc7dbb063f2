"""Stores that go away are waited for; a store that refuses a row ends the job, which names the row."""

import signal
import time
from contextlib import closing
from pathlib import Path

import msgspec
import redis

from telefold.deploy.local import servers
from telefold.deploy.processes import Process, stop
from telefold.jobs import settings
from telefold.simulator.generator import Spec
from telefold.verify.account import reckon
from tests.support.fleet import send_fleet
from tests.support.processes import Job
from tests.support.properties import set_properties

FLEET = Spec(events=400, devices=10, seed=3, duplicates=0.05, poison=0.02)
OUTAGE_S = 5.0


def _server(properties: Path, name: str) -> Process:
    """A server of the stack that `properties` belongs to."""
    state = (properties.parent / "local" / "stack.json").read_bytes()
    return msgspec.json.decode(state, type=dict[str, Process])[name]


def test_a_store_that_went_away_is_waited_for(properties: Path, job: Job) -> None:
    set_properties(properties, {"telefold.job": {"checkpoint.interval": "500ms"}})
    loaded = settings.load(properties)
    job.start()
    job.await_checkpoint(0)
    cache = _server(properties, "redis")
    stop(cache)
    sent = send_fleet(loaded, FLEET)
    job.await_events(len(sent))
    time.sleep(OUTAGE_S)
    assert job.status()["store_retries"] > 0
    back = servers.start(servers.redis(cache.port), properties.parent / "local")
    try:
        job.await_caught_up()
        account = reckon(loaded, sent)
        assert account.right, account
        assert "redis is unavailable, trying again" in _log(properties)
        assert "redis is back after" in _log(properties)
        assert job.stop(signal.SIGINT) == 0
    finally:
        stop(back)


def test_a_row_that_is_refused_ends_the_job_by_name(properties: Path, job: Job) -> None:
    loaded = settings.load(properties)
    with closing(redis.Redis.from_url(loaded.views.redis_url)) as cache:
        cache.set("tf:{device#device-1}:latest", "somebody else's")
    send_fleet(loaded, FLEET)
    job.start()
    assert job.wait() == 1
    last = job.output().strip().splitlines()[-1]
    assert "device#device-1" in last
    assert "telefold.views/redis.url" in last
    assert "Traceback" not in job.output()


def _log(properties: Path) -> str:
    return (properties.parent / "logs" / "telemetry.log").read_text()
