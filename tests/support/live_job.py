"""A running job that a test feeds with records, and whose views it reads once all of them are folded."""

import json
import re
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from telefold.connectors import aws, event_log
from telefold.connectors.dead_letters import DeadLetter, read_dead_letters
from telefold.deploy.local import servers
from telefold.jobs import settings
from telefold.jobs.stores import STORES, open_reader
from telefold.schemas.codec import decode
from telefold.schemas.errors import Reason
from telefold.schemas.events import ArrivedEvent
from telefold.schemas.log_records import LogRecord
from telefold.verify import oracle
from tests.support.processes import Job
from tests.support.properties import set_properties
from tests.support.waiting import PATIENCE_S, until

_SAMPLE = re.compile(
    r"^flink_taskmanager_job_task_operator_kinesisanalytics_Program_(\w+){[^}]*Program=\"telefold\"[^}]*} (\S+)$",
    re.MULTILINE,
)
_RESTARTS = re.compile(r"^flink_jobmanager_job_numRestarts{[^}]*} (\S+)$", re.MULTILINE)


class Sent(NamedTuple):
    """A record on its way into the stream."""

    data: bytes
    partition_key: str


class LiveJob:
    def __init__(self, properties: Path) -> None:
        self.properties = properties
        self.job = Job(properties)
        self._records = 0

    def start(self, folds: str = "device,presence,alert,fleet") -> None:
        """Start the job with intervals so short that a test need not wait long."""
        job = {
            "checkpoint.interval": "300ms",
            "flush.interval": "100ms",
            "durable.interval": "100ms",
            "rollup.lateness": "5s",
            "folds": folds,
            "group.rollups": "site",
        }
        set_properties(self.properties, {"telefold.job": job})
        self.settings = settings.load(self.properties)
        self.metrics_port = servers.free_port()
        self.job.start("--metrics-port", str(self.metrics_port))
        self.job.await_checkpoint(0)

    def fold(self, records: Sequence[Sent]) -> list[LogRecord]:
        """Send `records` in their order and return, as they are in the log, once the job has written their rows."""
        source = self.settings.source
        arrival = time.time_ns() // 1_000_000
        with closing(aws.client("kinesis", source.region, source.endpoint)) as kinesis:
            for batch in event_log.batches(records):
                event_log.append(kinesis, source.name, batch)
        self.await_folded(len(records))
        return [LogRecord(one.data, arrival, one.partition_key, "", str(n)) for n, one in enumerate(records)]

    def heard(self, device_id: str) -> list[ArrivedEvent]:
        """The events of a device that the stream has, in their order and each once, with when Kinesis took them."""
        source, found = self.settings.source, dict[str, ArrivedEvent]()
        with closing(aws.client("kinesis", source.region, source.endpoint)) as kinesis:
            for record in event_log.read_stream(kinesis, source.name):
                if record.partition_key == device_id:
                    event = decode(record.data, record.arrival)
                    fields = {name: getattr(event, name) for name in event.__struct_fields__}
                    found.setdefault(event.event_id, ArrivedEvent(**fields | {"arrival": record.arrival}))
        return list(found.values())

    def await_folded(self, records: int) -> None:
        """Until the job has read `records` more and written what became of them."""
        self._records += records
        self.job.await_events(self._records)
        self.job.await_checkpoint(time.time())

    def metrics(self) -> dict[str, float]:
        """The sums over all subtasks of all operators, as Prometheus would read them, by name."""
        return metrics_at(self.metrics_port)

    def log(self) -> list[dict[str, str]]:
        """The lines of the job's log that are its own, of this and earlier runs."""
        lines = (self.properties.parent / "logs" / "telemetry.log").read_text("utf-8").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def reckoning(self, log: Iterable[LogRecord]) -> oracle.Reckoning:
        job, views = self.settings.job, self.settings.views
        return oracle.fold(log, job.rollup_sizes, job.rollup_lateness_ms, views.retention)

    def differences(self, expected: oracle.Reckoning, partitions: Iterable[str]) -> list[str]:
        """What either store has in `partitions` that is not as `expected`."""
        found = []
        for store in STORES:
            with closing(open_reader(self.settings, store)) as reader:
                rows = oracle.read_rows(reader, sorted(partitions))
            wanted = oracle.unexpired(expected.rows, int(time.time()))
            found += [f"{store}: {difference}" for difference in oracle.compare(wanted, rows)]
        return found

    def rejected(self, partition_key: str, wanted: int) -> list[DeadLetter]:
        """The dead letters of a key but those that came too late, once there are `wanted` of them."""
        source = self.settings.source
        with closing(aws.client("kinesis", source.region, source.endpoint)) as kinesis:

            def letters() -> list[DeadLetter]:
                found = read_dead_letters(kinesis, self.settings.dead_letter.name)
                return [one for one in found if one.partition_key == partition_key and one.reason != Reason.TOO_LATE]

            return until(letters, lambda found: len(found) >= wanted)


def metrics_at(port: int) -> dict[str, float]:
    """Telefold's own metrics of the job that shows them at `port`: the sums over all subtasks of all operators."""
    sums: defaultdict[str, float] = defaultdict(float)
    for name, value in _SAMPLE.findall(_shown_at(port)):
        sums[name] += float(value)
    return dict(sums)


def restarts_at(port: int) -> int:
    """How often Flink restarted the job that shows its metrics at `port`."""
    return int(sum(map(float, _RESTARTS.findall(_shown_at(port)))))


def _shown_at(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE_S) as answer:
        return str(answer.read().decode())
