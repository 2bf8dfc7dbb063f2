"""Shards are split and merged while events flow; every row is as plain Python folds the log, parents first."""

import time
from contextlib import closing
from pathlib import Path

from jobs import settings
from jobs.generator import Spec
from jobs.reckoning import reckon
from tests.support.archived import check_archive
from tests.support.fold_rows import unlike_the_log
from tests.support.processes import Job
from tests.support.producer import Producer
from tests.support.properties import set_properties
from tests.support.shards import merge_two, split_one

FLEET = Spec(events=60_000, devices=40, seed=11, duplicates=0.05, out_of_order=0.1, poison=0.01, schema="mixed")
JOB = {
    "parallelism": "2",
    "checkpoint.interval": "1s",
    "flush.interval": "300ms",
    "rollup.lateness": "400ms",
    "folds": "device,presence",
}


def test_views_are_right_after_shards_were_split_and_merged(properties: Path, job: Job) -> None:
    """What is behind and what is at the tip: events that are late on purpose must be the same ones as in the log."""
    set_properties(properties, {"telefold.job": JOB})
    loaded = settings.load(properties)
    with closing(Producer(loaded, FLEET)) as producer:
        producer.start()
        time.sleep(2.0)
        split_one(loaded, 0.3)
        time.sleep(2.0)
        merge_two(loaded, 0.3)
        job.start()
        job.await_events(1)
        split_one(loaded, 0.6)
        time.sleep(1.0)
        merge_two(loaded, 0.0)
        time.sleep(2.0)
    job.await_caught_up()
    assert job.stop() == 0, job.output()
    account = reckon(loaded, producer.sent)
    assert account.right, account
    assert unlike_the_log(loaded) == []
    assert check_archive(loaded) == len(producer.sent)
