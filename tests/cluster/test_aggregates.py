"""What a producer aggregated is folded, archived, rejected and verified record by record, though the job is killed."""

import hashlib
import time
from contextlib import closing
from pathlib import Path

from telefold.connectors import aws
from telefold.connectors.dead_letters import read_dead_letters
from telefold.connectors.event_log import NewRecord, append
from telefold.jobs import settings
from telefold.simulator.generator import Spec, generate
from tests.support.aggregates import aggregate
from tests.support.archived import check_archive
from tests.support.processes import Command, Job
from tests.support.properties import set_properties

FLEET = Spec(events=4_000, devices=1, seed=3, poison=0.05)
A_RECORD = 70
HOUR = 3_600_000
DEVICE = "device-1"
HASH_KEY = int.from_bytes(hashlib.md5(DEVICE.encode(), usedforsecurity=False).digest())
"""All records of an aggregate go to the shard of the aggregate."""


def test_an_aggregate_is_its_records_everywhere(properties: Path, job: Job) -> None:
    set_properties(properties, {"telefold.job": {"checkpoint.interval": "300ms"}})
    loaded = settings.load(properties)
    sent = list(generate(FLEET, time.time_ns() // 1_000_000 - HOUR))
    aggregates = [
        NewRecord(aggregate([(one.partition_key, one.data) for one in sent[at : at + A_RECORD]], HASH_KEY), DEVICE)
        for at in range(0, len(sent), A_RECORD)
    ]
    half = len(aggregates) // 2
    source = loaded.source
    job.start()
    with closing(aws.client("kinesis", source.region, source.endpoint)) as kinesis:
        append(kinesis, source.name, aggregates[:half])
        job.await_checkpoint(time.time())
        job.kill()
        append(kinesis, source.name, aggregates[half:])
        job.start()
        job.await_caught_up()
        job.await_checkpoint(time.time())
        assert job.stop() == 0
        letters = list(read_dead_letters(kinesis, loaded.dead_letter.name))
    assert check_archive(loaded) == len(sent)
    assert len({letter.identity for letter in letters}) == len(letters) > 100
    assert all(letter.sub_sequence_number is not None for letter in letters)
    said = Command(properties, "verify").said("--settle", "0")
    assert said["right"]
    assert said["records"] == len(sent)
    assert sum(said["rejected"].values()) == len(letters)
