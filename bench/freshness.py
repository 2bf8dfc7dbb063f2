"""How long after it was sent an event can be read in each store, at a steady rate; and the job's memory meanwhile.

`make bench-freshness`, or `python -m bench.freshness --rate 1000 --seconds 60`. Everything runs on this machine: the
local stack, the producer, the job and the readers share its cores, so what is measured is an upper bound. What is due
for DynamoDB is awaited, too: a run takes `--durable` longer than it sends.
"""

import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from bench.processes import resident_bytes
from telefold.connectors import aws
from telefold.deploy.local.stack import LocalStack
from telefold.jobs import settings
from telefold.jobs.stores import STORES, StoreName, open_reader
from telefold.schemas.codec import decode
from telefold.schemas.errors import JobError
from telefold.schemas.view_rows import device_partition, latest_sort
from telefold.simulator import produce
from telefold.simulator.generator import GeneratedRecord, Spec

_METRIC = "temperature"
_SAMPLE_EVERY_S = 0.5
_POLL_S = 0.05
_GIVE_UP_S = 60.0
_START_S = 90.0

console = Console(stderr=True)


def main(
    rate: Annotated[float, typer.Option(help="Events a second.")] = 1_000.0,
    seconds: Annotated[float, typer.Option(help="How long to measure.")] = 60.0,
    warm_up: Annotated[float, typer.Option(help="Seconds of the same load before, for the JVMs to compile.")] = 20.0,
    devices: Annotated[int, typer.Option(help="Devices that report in turn.")] = 50,
    flush: Annotated[str, typer.Option(help="The job's flush.interval; all else is as by default.")] = "1s",
    durable: Annotated[str, typer.Option(help="The job's durable.interval; DynamoDB is awaited so long.")] = "5m",
    json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Send events at a steady rate, and read what becomes of some of them until both stores show it."""
    with tempfile.TemporaryDirectory() as folder, LocalStack(Path(folder) / "telefold") as stack:
        properties = Path(stack.status.properties)
        set_of_the_job(properties, flush_interval=flush, durable_interval=durable)
        with RunningJob(properties) as job:
            loaded = settings.load(properties)
            console.print(f"Sending {rate:,.0f} events/s of {devices} devices for {warm_up:.0f} s to warm up ...")
            _send(loaded, Spec(max(1, int(rate * warm_up)), devices, seed=1), rate)
            console.print(f"... and for {seconds:.0f} s to measure ...")
            measured = _measure(loaded, Spec(int(rate * seconds), devices, seed=2), rate)
            memory = job.peak_bytes
    figures = _figures(measured) | {
        "rate": rate,
        "devices": devices,
        "flush": flush,
        "durable": durable,
        "memory_mb": round(memory / 2**20),
    }
    if json:
        sys.stdout.write(msgspec.json.encode(figures).decode() + "\n")
    else:
        _show(figures)


def set_of_the_job(properties: Path, **changes: str) -> None:
    """Set properties of `telefold.job`, with `_` for `.` in their names."""
    groups = msgspec.json.decode(properties.read_bytes())
    for group in groups:
        if group["PropertyGroupId"] == "telefold.job":
            group["PropertyMap"] |= {name.replace("_", "."): value for name, value in changes.items()}
    properties.write_bytes(msgspec.json.encode(groups))


class RunningJob:
    """The job in a process of its own; notes the most memory that it and its children held at once."""

    def __init__(self, properties: Path) -> None:
        self._properties = properties
        self.peak_bytes = 0

    def __enter__(self) -> "RunningJob":
        log = (self._properties.parent / "run.log").open("wb")
        command = [sys.executable, "-m", "telefold", "run", "telemetry", "--properties", str(self._properties)]
        self._process = subprocess.Popen(command, stdout=log, stderr=log)
        threading.Thread(target=self._watch_memory, daemon=True).start()
        try:
            self._await_start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(60)

    def _await_start(self) -> None:
        """Until its first checkpoint: by then everything is loaded."""
        status = self._properties.parent / "telemetry.status.json"
        deadline = time.monotonic() + _START_S
        while not status.exists() or not msgspec.json.decode(status.read_bytes())["checkpoint"]:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise JobError(f"The job did not start: see {self._properties.parent / 'run.log'}.")
            time.sleep(0.2)

    def _watch_memory(self) -> None:
        while self._process.poll() is None:
            self.peak_bytes = max(self.peak_bytes, resident_bytes(self._process.pid))
            time.sleep(1)


class Watch(threading.Thread):
    """Reads from one store, again and again, what became of some events, and notes how long each took to be there."""

    def __init__(self, loaded: settings.Settings, store: StoreName, give_up_s: float) -> None:
        super().__init__(daemon=True)
        self._reader = open_reader(loaded, store)
        self._give_up_s = give_up_s
        self._is_over = threading.Event()
        self._waiting: list[Sample] = []
        self.seconds: list[float] = []
        """Seconds from the sending of an event until the store showed it or a newer one."""

    def await_row(self, sample: "Sample") -> None:
        self._waiting.append(sample)

    def finish(self) -> list[float]:
        """Wait for all events that are still awaited; how long each took."""
        self._is_over.set()
        self.join()
        self._reader.close()
        return self.seconds

    def run(self) -> None:
        while not self._is_over.is_set() or self._waiting:
            self._waiting = [sample for sample in self._waiting if not self._is_there(sample)]
            time.sleep(_POLL_S)

    def _is_there(self, sample: "Sample") -> bool:
        row = self._reader.get(device_partition(sample.device), latest_sort(_METRIC))
        elapsed = time.time() - sample.sent_at_ms / 1000
        if not (row and float(row.data["at"]) >= sample.sent_at_ms) and elapsed <= self._give_up_s:
            return False
        self.seconds.append(elapsed)
        return True


class Sample(NamedTuple):
    """An event that is awaited in the stores."""

    device: str
    sent_at_ms: int


def _measure(loaded: settings.Settings, spec: Spec, rate: float) -> dict[StoreName, list[float]]:
    give_up_s = loaded.job.durable_interval_ms / 1_000 + _GIVE_UP_S
    watches = {store: Watch(loaded, store, give_up_s) for store in STORES}
    for watch in watches.values():
        watch.start()
    _send(loaded, spec, rate, watches.values())
    console.print("... and all of it is sent; waiting for the stores ...")
    return {store: watch.finish() for store, watch in watches.items()}


def _send(loaded: settings.Settings, spec: Spec, rate: float, watches: Collection[Watch] = ()) -> None:
    """Send the fleet's events; some of them are awaited by `watches`."""
    with closing(aws.client("kinesis", loaded.source.region, loaded.source.endpoint)) as kinesis:
        records = produce.records_to_send(spec, rate, None, lambda: time.time_ns() // 1_000_000)
        produce.send(kinesis, loaded.source.name, _sampled(records, watches), rate)


def _sampled(records: Iterator[GeneratedRecord], watches: Collection[Watch]) -> Iterator[GeneratedRecord]:
    """`records` as they are; now and then one that has the metric is awaited in the stores."""
    due = time.monotonic()
    for record in records:
        if time.monotonic() >= due:
            event = decode(record.data, arrival=time.time_ns() // 1_000_000)
            if _METRIC in event.metrics:
                due = time.monotonic() + _SAMPLE_EVERY_S * random.uniform(0.5, 1.5)
                for watch in watches:
                    watch.await_row(Sample(event.device_id, event.event_time))
        yield record


def _figures(seconds: Mapping[StoreName, Sequence[float]]) -> dict[str, Any]:
    return {"samples": len(seconds["redis"])} | {store: _percentiles(sorted(seconds[store])) for store in STORES}


def _percentiles(ordered: Sequence[float]) -> dict[str, float]:
    return {
        name: round(ordered[min(len(ordered) - 1, int(len(ordered) * share))], 3)
        for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0))
    }


def _show(figures: dict[str, Any]) -> None:
    table = Table(
        "seconds from sending",
        "p50",
        "p90",
        "p99",
        "max",
        title=f"Freshness at {figures['rate']:,.0f} events/s of {figures['devices']:,} devices,"
        f" flush.interval {figures['flush']}, durable.interval {figures['durable']}",
    )
    for name in STORES:
        table.add_row(f"readable in {name}", *(f"{value:.2f}" for value in figures[name].values()))
    out = Console()
    out.print(table)
    out.print(f"{figures['samples']} events sampled; the job's memory peaked at {figures['memory_mb']:,} MB.")


if __name__ == "__main__":
    typer.run(main)
