"""A team's own fold, from a folder of its own, and its next version, which reads the state of the first."""

import re
import time
from contextlib import closing
from pathlib import Path

import pytest

from telefold.connectors import aws
from telefold.connectors.event_log import append
from telefold.jobs import settings
from telefold.jobs.settings import Settings
from telefold.jobs.stores import open_reader
from telefold.schemas.codec import encode
from telefold.schemas.events import DeviceEvent
from telefold.schemas.view_rows import Data, device_partition
from tests.support.live_job import Sent
from tests.support.processes import Job
from tests.support.properties import set_properties

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "your-own-fold.md"
FIRST, _, CHANGE = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
NEXT = (
    FIRST.replace("km: float = 0.0", "metres: float = 0.0")
    .replace("    state = Mileage\n", "")
    .replace("class Odometer(Fold[Mileage]):\n", CHANGE + "    state = Mileage\n")
    .replace('km=state.km + event.metrics["km"]', 'metres=state.metres + event.metrics["km"] * 1_000')
    .replace('{"km": state.km,', '{"metres": state.metres,')
)


def test_a_savepoint_of_the_first_version_goes_on_with_the_next(
    properties: Path, tmp_path: Path, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that is stopped takes a last checkpoint, and starts from it; one fold is left out then, and one added."""
    folder = tmp_path / "ours"
    folder.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(folder))
    short = {"checkpoint.interval": "500ms", "flush.interval": "200ms"}
    set_properties(properties, {"telefold.job": {**short, "views": "latest"}})
    loaded = settings.load(properties)
    set_properties(properties, {"telefold.job": {"folds": "odometer:Odometer,presence"}})

    (folder / "odometer.py").write_text(FIRST, "utf-8")
    job.start()
    job.await_checkpoint(0)
    # It stands still a minute after the last event, which a slow start would take for itself.
    drive(loaded, 1, 1.5)
    drive(loaded, 2, 2.0)
    job.await_events(2)
    job.await_checkpoint(time.time())
    assert row(loaded) == {"km": 3.5, "trips": 1, "moving": True}
    assert job.stop() == 0, job.output()

    (folder / "odometer.py").write_text(NEXT, "utf-8")
    set_properties(properties, {"telefold.job": {"folds": "device,odometer:Odometer"}})
    job.start()
    job.await_checkpoint(0)
    drive(loaded, 3, 0.5)
    job.await_events(1)
    job.await_checkpoint(time.time())
    assert row(loaded) == {"metres": 4_000.0, "trips": 2, "moving": True}
    assert "from checkpoint" in job.output()
    assert row(loaded, "device")["events"] == 1, "a fold that is added begins with what comes then"
    assert row(loaded, "presence")["status"] == "online"
    assert job.stop() == 0, job.output()


def drive(loaded: Settings, number: int, km: float) -> None:
    event = DeviceEvent(f"e-{number}", "lorry", "telemetry", time.time_ns() // 1_000_000, number, {"km": km})
    with closing(aws.client("kinesis", loaded.source.region, loaded.source.endpoint)) as kinesis:
        append(kinesis, loaded.source.name, [Sent(encode(event), event.device_id)])


def row(loaded: Settings, sort: str = "odometer") -> Data:
    with closing(open_reader(loaded, "dynamodb")) as reader:
        found = reader.get(device_partition("lorry"), sort)
    assert found
    return found.data
