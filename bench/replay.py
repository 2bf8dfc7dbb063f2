"""How fast the archive is replayed, against how fast the live path ran just before; and then every row is checked.

`make bench-replay`, or `python -m bench.replay --events 1000000`. The live path: events from the local stack's Kinesis
as fast as the job takes them. The replay: an archive of `--events`, into the same stack's DynamoDB and Redis.
Ends with exit code 1 if `telefold verify` finds a difference.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any
from zlib import crc32

import msgspec
import typer
from rich.console import Console

from telefold.connectors import aws
from telefold.connectors.archive import write
from telefold.connectors.event_log import append, batches
from telefold.deploy.local.stack import LocalStack
from telefold.jobs import settings
from telefold.schemas.log_records import LogRecord
from telefold.simulator.generator import GeneratedRecord, Spec, generate

_HOUR_MS = 3_600_000
_PATIENCE_S = 900.0

console = Console(stderr=True)


def main(
    events: Annotated[int, typer.Option(help="Events in the archive that is replayed.")] = 1_000_000,
    live_events: Annotated[int, typer.Option(help="Events through the live path.")] = 40_000,
    devices: Annotated[int, typer.Option(help="Devices that report in turn.")] = 100,
    shards: Annotated[int, typer.Option(help="Shards of the archive.")] = 4,
) -> None:
    """Measure both, print their ratio, and verify everything."""
    with tempfile.TemporaryDirectory() as folder:
        live = _live_rate(Path(folder, "live"), _fleet(live_events, devices, 3))
        replayed = _replay(Path(folder, "replay"), _fleet(events, devices, 4), shards)
    figures = {
        "live_rate": round(live, 1),
        "replay_rate": replayed["replay"]["rate"],
        "ratio": round(replayed["replay"]["rate"] / live, 1),
        **replayed,
    }
    stores = replayed["verify"]["stores"]
    rows, differences = sum(one["rows"] for one in stores), sum(len(one["differences"]) for one in stores)
    console.print(
        f"live {live:,.0f} records/s, replay {figures['replay_rate']:,.0f} records/s:"
        f" {figures['ratio']} times as fast; {differences} differences in {rows:,} rows of two stores"
    )
    print(json.dumps(figures))
    raise typer.Exit(0 if replayed["verify"]["right"] else 1)


def _fleet(events: int, devices: int, seed: int) -> Spec:
    return Spec(events, devices, seed, duplicates=0.01, out_of_order=0.02)


def _live_rate(root: Path, spec: Spec) -> float:
    """Records a second from the first one read until all have been read, with all of them in the stream before."""
    console.print(f"Live path: {spec.events:,} events ...")
    with LocalStack(root) as stack:
        loaded = settings.load(Path(stack.status.properties))
        records = list(generate(spec, _now() - _HOUR_MS))
        with closing(aws.client("kinesis", loaded.source.region, loaded.source.endpoint)) as kinesis:
            for batch in batches(records):
                append(kinesis, loaded.source.name, batch)
        command = [sys.executable, "-m", "telefold", "run", "telemetry", "--properties", stack.status.properties]
        job = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            return _rate(root / "telemetry.status.json", len(records))
        finally:
            job.terminate()
            job.wait(60)


def _rate(status: Path, records: int) -> float:
    first, deadline = 0.0, time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        done = _events_in(status)
        now = time.monotonic()
        if not first:
            first, before = (now, done) if done else (0.0, 0)
        elif done >= records:
            return (records - before) / (now - first)
        time.sleep(0.05)
    raise SystemExit(f"The live path did not read {records} records within {_PATIENCE_S:.0f} s.")


def _events_in(status: Path) -> int:
    return int(msgspec.json.decode(status.read_bytes())["events_in"]) if status.exists() else 0


def _replay(root: Path, spec: Spec, shards: int) -> dict[str, Any]:
    with LocalStack(root) as stack:
        properties = stack.status.properties
        archive = settings.load(Path(properties)).archive.path or ""
        console.print(f"Writing an archive of {spec.events:,} events ...")
        write(archive, _log(generate(spec, _now() - _HOUR_MS), shards))
        console.print("Replaying it ...")
        replayed = _telefold("replay", properties)
        console.print("Verifying every row ...")
        return {"replay": replayed, "verify": _telefold("verify", properties)}


def _log(records: Iterator[GeneratedRecord], shards: int) -> Iterator[LogRecord]:
    """The records as a stream of so many shards would hold them, each arriving when the last of them was sent."""
    arrival = _now()
    for number, record in enumerate(records):
        shard = f"shardId-{crc32(record.partition_key.encode()) % shards:012d}"
        yield LogRecord(record.data, arrival, record.partition_key, shard, f"{4 * 10**55 + number}")


def _telefold(command: str, properties: str) -> Any:
    arguments = [sys.executable, "-m", "telefold", command, "--json", "--properties", properties]
    done = subprocess.run(arguments, stdout=subprocess.PIPE, check=False)
    if not done.stdout:
        raise SystemExit(f"`telefold {command}` failed.")
    return json.loads(done.stdout.splitlines()[-1])


def _now() -> int:
    return time.time_ns() // 1_000_000


if __name__ == "__main__":
    typer.run(main)
