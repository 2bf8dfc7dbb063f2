"""The job is killed at random points while events flow; afterwards every row is as plain Python folds the log."""

import random
import time
from contextlib import closing
from pathlib import Path

from telefold.jobs import settings, stores
from telefold.simulator.generator import Spec
from telefold.verify.account import reckon
from tests.support.alerts import await_in_force
from tests.support.archived import check_archive
from tests.support.fold_rows import transitions_in_the_log, transitions_told
from tests.support.processes import Job
from tests.support.producer import Producer
from tests.support.properties import set_properties
from tests.support.version_watcher import VersionWatcher
from tests.support.waiting import until

PARALLELISMS = (1, 1, 2, 1, 1, 1, 2, 2, 1)
FLEET = Spec(events=60_000, devices=40, seed=11, duplicates=0.05, out_of_order=0.1, poison=0.01, schema="mixed")
# A threshold that many of the fleet cross all the time.
DAMP = "humidity > 55 until < 54"


def test_views_and_archive_are_right_after_ten_kills(properties: Path, job: Job) -> None:
    """Some events are late on purpose: which ones must not depend on where the job was killed."""
    set_properties(
        properties,
        {
            "telefold.job": {
                "checkpoint.interval": "1s",
                "flush.interval": "300ms",
                "rollup.lateness": "400ms",
                "rollup.sizes": "10s,1m,1h",
                "folds": "device,presence,alert,fleet",
            }
        },
    )
    loaded = settings.load(properties)
    with stores.open_rule_book(loaded) as book:
        await_in_force(book.put("damp", DAMP))
    chance = random.Random(5)
    producer = Producer(loaded, FLEET)
    with VersionWatcher(loaded) as watcher, closing(producer):
        producer.start()
        for number, parallelism in enumerate(PARALLELISMS):
            set_properties(properties, {"telefold.job": {"parallelism": str(parallelism)}})
            job.start()
            if number % 3 == 2:
                time.sleep(chance.uniform(1.0, 8.0))  # it has yet to recover from the kill before
            else:
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
    told, expected = transitions_told(loaded), transitions_in_the_log(loaded)
    assert set(told) == expected
    # One that was killed between the telling and the mark tells the last batch again.
    assert len(told) - len(expected) <= len(expected) // 10
    assert len(expected) > 100
    assert watcher.falls == []
    assert watcher.looks > 30
    assert check_archive(loaded) > 1_000


def _kill_right_after_an_acknowledgement(job: Job, properties: Path, watcher: VersionWatcher) -> None:
    """With no checkpoint for a minute, whatever row DynamoDB shows first is written again by the replay."""
    set_properties(properties, {"telefold.job": {"checkpoint.interval": "60s"}})
    before = watcher.advances
    job.start()
    until(lambda: watcher.advances > before, told=lambda: f"no row advanced:\n{job.output()}", every_s=0.005)
    job.kill()
