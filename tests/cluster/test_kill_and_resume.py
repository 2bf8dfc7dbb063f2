"""The job is killed at random points while events flow; afterwards every row is as plain Python folds the log."""

import itertools
import random
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from connectors import aws
from jobs import produce, settings
from jobs.generator import Spec
from jobs.reckoning import reckon
from tests.support.processes import Job
from tests.support.properties import set_properties
from tests.support.version_watcher import VersionWatcher

RATE = 150
FLEET = Spec(events=60_000, devices=40, seed=11, duplicates=0.05, out_of_order=0.1, poison=0.01, schema="mixed")


class Producer(threading.Thread):
    """Sends the fleet's events at a steady rate until told that they are enough, so they flow through every kill."""

    def __init__(self, loaded: settings.Settings) -> None:
        super().__init__()
        self._loaded = loaded
        self._enough = threading.Event()
        self.sent: list[bytes] = []

    def close(self) -> None:
        self._enough.set()
        self.join()

    def run(self) -> None:
        source = self._loaded.source
        records = produce.records_to_send(FLEET, RATE, None, lambda: time.time_ns() // 1_000_000)
        with closing(aws.client("kinesis", source.region, source.endpoint)) as client:
            produce.send(client, source.name, self._noted(records), RATE)

    def _noted(self, records: Any) -> Iterator[Any]:
        for record in itertools.takewhile(lambda _: not self._enough.is_set(), records):
            self.sent.append(record.data)
            yield record


@pytest.mark.parametrize("parallelisms", [(1, 1, 1, 1), (1, 2, 1)], ids=["same parallelism", "1 to 2 and back"])
def test_views_are_right_after_kills(properties: Path, job: Job, parallelisms: tuple[int, ...]) -> None:
    """Some events are late on purpose: which ones must not depend on where the job was killed."""
    set_properties(
        properties,
        {
            "telefold.job": {
                "checkpoint.interval": "1s",
                "flush.interval": "300ms",
                "rollup.lateness": "400ms",
                "rollup.sizes": "10s,1m,1h",
            }
        },
    )
    loaded = settings.load(properties)
    chance = random.Random(5)
    producer = Producer(loaded)
    with VersionWatcher(loaded) as watcher, closing(producer):
        producer.start()
        for parallelism in parallelisms:
            set_properties(properties, {"telefold.job": {"parallelism": str(parallelism)}})
            job.start()
            job.await_events(1)
            if chance.random() < 0.7:
                job.await_checkpoint(0)
            time.sleep(chance.uniform(0.0, 2.0))
            job.kill()
        _kill_right_after_an_acknowledgement(job, properties, watcher)
        set_properties(properties, {"telefold.job": {"checkpoint.interval": "1s"}})
        job.start()
        job.await_events(1)
        producer.close()
        job.await_caught_up()
        assert job.stop() == 0
    assert job.output().count("from checkpoint") >= 2
    account = reckon(loaded, producer.sent)
    assert account.log_problems == []
    assert account.dead_letter_problems == []
    assert {check.store: list(check.differences) for check in account.stores} == {"dynamodb": [], "redis": []}
    assert account.balanced
    assert account.dead_letters["too_late"] > 0
    assert account.expected.duplicates > 0
    assert watcher.falls == []
    assert watcher.looks > 30


def _kill_right_after_an_acknowledgement(job: Job, properties: Path, watcher: VersionWatcher) -> None:
    """With no checkpoint for a minute, whatever row DynamoDB shows first is written again by the replay."""
    set_properties(properties, {"telefold.job": {"checkpoint.interval": "60s"}})
    before = watcher.advances
    job.start()
    deadline = time.monotonic() + 60
    while watcher.advances == before:
        assert time.monotonic() < deadline, f"no row advanced within a minute:\n{job.output()}"
        time.sleep(0.005)
    job.kill()
