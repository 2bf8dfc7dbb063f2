"""The state of a job as one build has left it, with the log and the rows that belong to it, for later builds to read.

`python -m tests.support.golden_savepoint` makes it anew in `tests/golden`. It is made anew where a build is not to read
the state of those before it, which the CHANGELOG then says.
"""

import shutil
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
import psutil

from telefold.connectors import aws
from telefold.deploy import flink_rest
from telefold.deploy.local.servers import HOST
from telefold.deploy.local.stack import LocalStack, down
from telefold.jobs import settings, stores
from telefold.simulator import produce
from telefold.simulator.generator import Spec, generate
from tests.support.alerts import await_in_force
from tests.support.processes import Job
from tests.support.properties import set_properties
from tests.support.waiting import until

_GOLDEN = Path(__file__).parents[1] / "golden"
PACKED = _GOLDEN / "savepoint.tar.xz"
PACKED_ON_FLINK_1 = _GOLDEN / "savepoint-flink-1.20.tar.xz"
"""The last one of a build for Flink 1.20: it is not made anew."""
EVENTS = 300
_SAVEPOINT = "savepoint"
_PROPERTIES = {
    "telefold.job": {
        "checkpoint.interval": "300ms",
        "flush.interval": "100ms",
        "folds": "device,presence,alert,fleet",
        "group.rollups": "site",
        "rollup.sizes": "1m,1h,1d@Europe/Berlin",
        "state.retention": "2d",
        "device.retention": "36500d",
    },
    "telefold.views": {"retention.rollups": "forever"},
}


@contextmanager
def unpacked(folder: Path, packed: Path = PACKED) -> Iterator[tuple[Path, Path]]:
    """A local stack that goes on with the data in `packed`: its properties file, and the savepoint beside it."""
    with tarfile.open(packed) as archive:
        archive.extractall(folder, filter="data")
    with LocalStack(folder) as stack:
        yield Path(stack.status.properties), folder / _SAVEPOINT


def send(loaded: settings.Settings, seed: int) -> int:
    """Send what four devices report just now; how many records that are."""
    spec = Spec(EVENTS, devices=4, seed=seed, duplicates=0.05, out_of_order=0.1, poison=0.01, schema="mixed")
    records = list(generate(spec, time.time_ns() // 1_000_000 - 60_000, 60_000))
    source = loaded.source
    with closing(aws.client("kinesis", source.region, source.endpoint)) as kinesis:
        produce.send(kinesis, source.name, records, rate=None)
    return len(records)


def make(packed: Path) -> None:
    """Fold some events, stop the job with a savepoint, and pack it with what the servers hold."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch, "telefold")
        with LocalStack(root) as stack:
            properties = Path(stack.status.properties)
            _set_up(properties)
            loaded = settings.load(properties)
            with stores.open_rule_book(loaded) as book:
                await_in_force(book.put("damp", "humidity > 55 until < 54"))
            job = Job(properties)
            job.start()
            try:
                job.await_events(send(loaded, seed=1))
                job.await_caught_up()
                _save(_address(job), root / _SAVEPOINT)
            finally:
                job.stop()
            down(root)
            _pack(root, packed)


def _set_up(properties: Path) -> None:
    """Without an archive: its sink's state has the places of files."""
    set_properties(properties, _PROPERTIES)
    groups = msgspec.json.decode(properties.read_bytes())
    properties.write_bytes(
        msgspec.json.encode([group for group in groups if group["PropertyGroupId"] != "telefold.archive"])
    )


def _address(job: Job) -> str:
    """Where Flink's REST API of a local run listens."""
    for process in psutil.Process(job.pid).children(recursive=True):
        for connection in process.net_connections("tcp"):
            address = f"http://{HOST}:{connection.laddr.port}"
            if connection.status == psutil.CONN_LISTEN and _is_flink(address):
                return address
    raise AssertionError("no process of the job answers as Flink does")


def _is_flink(address: str) -> bool:
    try:
        return "jobs" in flink_rest.call("GET", f"{address}/jobs")
    except (OSError, ValueError):
        return False


def _save(address: str, target: Path) -> None:
    """A savepoint in Flink's own format, which names its files by where they lie beside it."""
    (job,) = [one["id"] for one in flink_rest.call("GET", f"{address}/jobs")["jobs"] if one["status"] == "RUNNING"]
    asked = {"target-directory": str(target.parent / "savepoints"), "cancel-job": False, "formatType": "CANONICAL"}
    url = f"{address}/jobs/{job}/savepoints"
    trigger = flink_rest.call("POST", url, asked)["request-id"]
    done = until(
        lambda: flink_rest.call("GET", f"{url}/{trigger}"), lambda status: status["status"]["id"] == "COMPLETED"
    )
    shutil.move(done["operation"]["location"].removeprefix("file:"), target)


def _pack(root: Path, packed: Path) -> None:
    with tarfile.open(packed, "w:xz") as archive:
        for name in ("application_properties.json", "local/data", _SAVEPOINT):
            archive.add(root / name, name)


if __name__ == "__main__":
    make(PACKED)
    print(f"{PACKED}: {PACKED.stat().st_size:,} bytes. Say in the CHANGELOG that state of earlier builds does not fit.")
