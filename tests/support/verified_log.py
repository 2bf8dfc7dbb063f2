"""A log and both stores, as `telefold verify` and `query device --as-of` read them."""

import json
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import typer
from typer.testing import CliRunner, Result

from telefold.cli.verify import verify
from telefold.connectors import archive
from telefold.connectors.event_log import append, batches, read_stream
from telefold.jobs import settings, stores
from telefold.schemas.codec import encode
from telefold.schemas.events import DeviceEvent
from telefold.schemas.log_records import LogRecord
from telefold.schemas.view_rows import ViewUpdate
from telefold.verify.oracle import Key, fold
from tests.support.live_job import Sent

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

HOUR = 3_600_000
verifier = typer.Typer()
verifier.command()(verify)


class Scene(NamedTuple):
    """A log whose first part is archived, and stores that hold what the job would have written."""

    properties: Path
    kinesis: "KinesisClient"
    stream: str

    @property
    def settings(self) -> settings.Settings:
        return settings.load(self.properties)

    def send(self, records: Iterable[Any]) -> None:
        for batch in batches(records):
            append(self.kinesis, self.stream, batch)

    def log(self) -> list[LogRecord]:
        return list(read_stream(self.kinesis, self.stream))

    def archive(self, records: Sequence[LogRecord]) -> None:
        path = self.settings.archive.path
        assert path
        archive.write(path, records, records_a_file=70, behind=archive.Archive(path).ends())

    def rows(self, records: Iterable[LogRecord]) -> dict[Key, ViewUpdate]:
        job = self.settings.job
        return dict(fold(records, job.rollup_sizes, job.rollup_lateness_ms, self.settings.views.retention).rows)

    def write(self, rows: Iterable[ViewUpdate]) -> None:
        with closing(stores.open_writer(self.settings, lambda store: None)) as writer:
            writer.write(list(rows))

    def run(self, *arguments: str) -> Result:
        return run(verifier, self.properties, *arguments)

    def verified(self, *arguments: str) -> dict[str, Any]:
        result = self.run("--json", *arguments)
        found: dict[str, Any] = json.loads(result.stdout)
        assert result.exit_code == (0 if found["right"] else 1)
        return found


def run(app: typer.Typer, properties: Path, *arguments: str) -> Result:
    result = CliRunner().invoke(app, [*arguments, "--properties", str(properties)], env={"COLUMNS": "200"})
    if isinstance(result.exception, Exception):
        raise result.exception
    return result


def young(number: int) -> Sent:
    at = time.time_ns() // 1_000_000
    event = DeviceEvent(f"young-{number}", "device-3", "telemetry", at, 10_000 + number, {"temperature": float(number)})
    return Sent(encode(event), "device-3")
