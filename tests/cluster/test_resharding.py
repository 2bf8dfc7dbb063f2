"""Shards are split and merged while events flow; every row is as plain Python folds the log, parents first."""

import time
from contextlib import closing
from pathlib import Path

from telefold.jobs import settings
from telefold.simulator.generator import Spec
from telefold.verify.account import reckon
from tests.support.archived import check_archive
from tests.support.fleet import send_fleet
from tests.support.processes import Job
from tests.support.producer import Producer
from tests.support.properties import set_properties
from tests.support.shards import merge_two, split_one

BACKLOG = Spec(events=12_000, devices=40, seed=7, duplicates=0.05, out_of_order=0.1)
FLEET = Spec(events=60_000, devices=40, seed=11, duplicates=0.05, out_of_order=0.1, poison=0.01, schema="mixed")
JOB = {
    "parallelism": "2",
    "checkpoint.interval": "1s",
    "flush.interval": "300ms",
    "rollup.lateness": "400ms",
    "folds": "device,presence",
}


def test_views_are_right_after_shards_were_split_and_merged(properties: Path, job: Job) -> None:
    """First while the job has much to catch up with, then at the tip: what is late must be what is late in the log."""
    set_properties(properties, {"telefold.job": JOB})
    loaded = settings.load(properties)
    sent = send_fleet(loaded, BACKLOG)
    split_one(loaded, 0.0)
    merge_two(loaded, 0.9)
    with closing(Producer(loaded, FLEET)) as producer:
        producer.start()
        job.start()
        job.await_events(len(sent))
        split_one(loaded, 0.6)
        time.sleep(1.0)
        merge_two(loaded, 0.0)
        time.sleep(1.0)
    job.await_caught_up()
    assert job.stop() == 0, job.output()
    sent += producer.sent
    account = reckon(loaded, sent)
    assert account.log_problems == []
    assert account.dead_letter_problems == []
    assert account.right, account
    assert check_archive(loaded) == len(sent)
