"""A device sends events of a schema that is only known to the next release: nothing of it is lost meanwhile."""

import json
import shutil
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import msgspec

from telefold.connectors import aws
from telefold.connectors.event_log import append
from telefold.jobs import settings, stores
from telefold.jobs.settings import Settings
from telefold.schemas.codec import CURRENT_VERSION, SCHEMAS, Codec, schema_text
from telefold.schemas.events import DeviceEvent
from telefold.schemas.view_rows import device_partition, latest_sort
from tests.support.live_job import Sent
from tests.support.processes import Command, Job
from tests.support.properties import set_properties

ROOT = Path(__file__).parents[2]
NEXT = CURRENT_VERSION + 1
TELEFOLD = Path(sys.executable).with_name("telefold")


def next_schema() -> str:
    schema = json.loads(schema_text(CURRENT_VERSION))
    schema["fields"].append({"name": "battery_low", "type": "boolean", "default": False})
    return json.dumps(schema)


def next_release(folder: Path) -> Path:
    """A folder with our package, whose schemas are one version more."""
    package = folder / "telefold"
    package.mkdir(parents=True)
    for path in (ROOT / "telefold").iterdir():
        (package / path.name).symlink_to(path.resolve())
    (package / "schemas").unlink()
    shutil.copytree(ROOT / "schemas", package / "schemas")
    (package / "schemas" / "device_event" / f"v{NEXT}.avsc").write_text(next_schema())
    return folder


def send_from_the_future(loaded: Settings) -> None:
    event = DeviceEvent("e-1", "pioneer", "telemetry", time.time_ns() // 1_000_000, 1, {"temperature": 21.5})
    codec = Codec({**SCHEMAS, NEXT: json.loads(next_schema())})
    with closing(aws.client("kinesis", loaded.source.region, loaded.source.endpoint)) as kinesis:
        append(kinesis, loaded.source.name, [Sent(codec.encode(event, NEXT), event.device_id)])


def test_an_unknown_version_is_redriven_once_its_schema_is_known(properties: Path, tmp_path: Path, job: Job) -> None:
    set_properties(properties, {"telefold.job": {"checkpoint.interval": "500ms", "flush.interval": "200ms"}})
    loaded = settings.load(properties)
    assert subprocess.run([TELEFOLD, "schemas", "check", _proposal(tmp_path)], capture_output=True).returncode == 0

    send_from_the_future(loaded)
    job.start()
    job.await_events(1)
    job.await_checkpoint(time.time())
    redrive = Command(properties, "dead-letters", "redrive", "--json")
    assert redrive.run() == 0, redrive.output()
    assert _last(redrive) == {"sent": 0, "still_rejected": {"unknown_fingerprint": 1}}
    assert job.stop() == 0

    release = next_release(tmp_path / "release")
    upgraded = Job(properties, folder=release)
    try:
        upgraded.start()
        upgraded.await_checkpoint(0)
        redrive = Command(properties, "dead-letters", "redrive", "--json", folder=release)
        for _ in range(2):
            assert redrive.run() == 0, redrive.output()
            assert _last(redrive) == {"sent": 1, "still_rejected": {}}
        upgraded.await_events(2)
        upgraded.await_checkpoint(time.time())
        assert upgraded.status()["accepted"] == 1
        assert upgraded.status()["duplicates"] == 1
        assert upgraded.stop() == 0
    finally:
        upgraded.end()
    for store in stores.STORES:
        with closing(stores.open_reader(loaded, store)) as reader:
            row = reader.get(device_partition("pioneer"), latest_sort("temperature"))
        assert row is not None
        assert row.data["value"] == 21.5


def _proposal(folder: Path) -> Path:
    path = folder / "proposal.avsc"
    path.write_text(next_schema())
    return path


def _last(command: Command) -> dict[str, object]:
    said = msgspec.json.decode(command.output().strip().splitlines()[-1])
    return {name: said[name] for name in ("sent", "still_rejected")}
