"""Rows that no store takes, in the running job: they are dead letters, and nobody else's rows are harmed."""

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest

from telefold.connectors import aws
from telefold.connectors.dead_letters import DeadLetter, read_dead_letters
from telefold.deploy.local.stack import LocalStack
from telefold.jobs.stores import STORES, open_reader
from telefold.schemas.codec import encode
from telefold.schemas.errors import Reason
from telefold.schemas.events import DeviceEvent
from telefold.schemas.view_rows import device_partition
from tests.support.live_job import LiveJob, Sent
from tests.support.waiting import until

ASKED = [
    {"characters": "450000"},
    {"nan": "yes"},
    {"partition": "telefold#rules"},
    {"partition": "g2/device#calm"},
    {"partition": "device#calm", "sort": "latest#t"},
    {"partition": "alerts", "sort": "alert#hot#calm"},
    {"longer": "1020"},
]


@pytest.fixture(scope="module")
def careless_job(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveJob]:
    with LocalStack(tmp_path_factory.mktemp("careless") / "telefold", parallelism=2) as stack:
        live = LiveJob(Path(stack.status.properties))
        try:
            live.start(folds="device,tests.support.careless:Careless")
            yield live
            assert live.job.stop() == 0, live.job.output()
        finally:
            live.job.end()


def test_rows_that_no_store_takes_are_dead_letters_and_the_calm_devices_are_right(careless_job: LiveJob) -> None:
    run, now = uuid4().hex, time.time_ns() // 1_000_000
    careless = [
        DeviceEvent(f"{run}-{n}", f"{run}-{n}", "telemetry", now + n, n, {"t": 1.0}, asked)
        for n, asked in enumerate(ASKED)
    ]
    calm = [DeviceEvent(f"{run}-calm-{n}", "calm", "telemetry", now + n, n, {"t": float(n)}) for n in range(9)]
    log = careless_job.fold(
        [Sent(encode(one), one.device_id) for pair in zip(careless, calm, strict=False) for one in pair]
        + [Sent(encode(one), one.device_id) for one in calm[len(careless) :]]
    )
    devices = [device_partition(one.device_id) for one in [*careless, calm[0]]]
    assert careless_job.differences(careless_job.reckoning(log), devices) == []
    for store in STORES:
        with closing(open_reader(careless_job.settings, store)) as reader:
            assert reader.get("device#calm", "careless") is not None
            assert reader.range("telefold#rules") == reader.range("alerts") == []
    letters = refused(careless_job, len(ASKED))
    assert len(letters) == len(ASKED)
    assert {one.fold for one in letters} == {"careless", None}
    counted = careless_job.metrics()
    assert (counted["rowsRefused"], counted["rowsNotInRedis"]) == (len(ASKED), 0)
    assert any("row refused: " in line["message"] and "view=careless" in line["message"] for line in careless_job.log())


def refused(live_job: LiveJob, wanted: int) -> list[DeadLetter]:
    source = live_job.settings.source
    with closing(aws.client("kinesis", source.region, source.endpoint)) as kinesis:

        def letters() -> list[DeadLetter]:
            found = read_dead_letters(kinesis, live_job.settings.dead_letter.name)
            return [one for one in found if one.reason == Reason.ROW_REFUSED]

        return until(letters, lambda found: len(found) >= wanted)
