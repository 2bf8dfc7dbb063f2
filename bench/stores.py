"""Rows a second and CPU a row of the writers to DynamoDB and Redis, against what people write first.

`make bench-stores`, or `python -m bench.stores --rounds 5 --only redis`. All write the same rows to the local stack,
and each run is a process of its own, of which alone the CPU time is taken; the servers share the cores with it, so its
rows a second are a lower bound. The local DynamoDB writes a few thousand rows a second, a real table many more: of that
store the CPU a row is the figure. Ends with exit code 1 if a writer counts rows wrongly.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any, cast

import msgspec
import typer
from redis import Redis
from rich.console import Console

from bench.peers.work import ROOT
from bench.reports import hand_over
from bench.store_figures import report_of, show
from bench.writers.contenders import CONTENDERS, REDIS, Contender
from bench.writers.rows import ROWS_A_DEVICE
from bench.writers.work import Run, Work, rows_kept
from telefold.deploy.local.stack import LocalStack, Status

_HOUR_MS = 3_600_000

console = Console(stderr=True)


def main(
    devices: Annotated[
        int, typer.Option(min=1, help=f"Devices of a round's fleet, {ROWS_A_DEVICE} rows each.")
    ] = 2_000,
    naive_devices: Annotated[int, typer.Option(min=1, help="Devices of the fleet for the naive writers.")] = 200,
    rounds: Annotated[int, typer.Option(min=1, help="Runs of each writer; medians count.")] = 5,
    only: Annotated[list[str] | None, typer.Option(help="This writer alone; may be given again.")] = None,
    json: Annotated[Path | None, typer.Option(help="A file for the figures, instead of standard output.")] = None,
) -> None:
    """Run every writer, in turns, and show what their rows took."""
    contenders = _chosen(only)
    hour = time.time_ns() // 1_000_000 // _HOUR_MS * _HOUR_MS
    runs: dict[str, list[Run]] = {one.name: [] for one in contenders}
    room: list[float] = []
    with tempfile.TemporaryDirectory(prefix="telefold-bench-") as folder, LocalStack(Path(folder, "stack")) as stack:
        for number in range(1, rounds + 1):
            for one in contenders:
                count = min(devices, naive_devices) if one.is_naive else devices
                console.print(f"Round {number}: {one.title}, {count * ROWS_A_DEVICE:,} rows ...")
                before = _used_bytes(stack.status.redis)
                runs[one.name].append(_run(one, f"round-{number}", count, hour, stack.status))
                if one.name == REDIS:
                    room.append((_used_bytes(stack.status.redis) - before) / rows_kept(count))
    report = report_of(runs, room)
    show(report)
    hand_over(report, json)
    raise typer.Exit(1 if any(one.wrong for one in report.writers.values()) else 0)


def _chosen(only: Sequence[str] | None) -> list[Contender]:
    names = [one.name for one in CONTENDERS]
    if unknown := set(only or ()) - set(names):
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: the writers are {', '.join(names)}.")
    return [one for one in CONTENDERS if not only or one.name in only]


def _used_bytes(redis: str) -> int:
    with closing(Redis.from_url(redis)) as server:
        return int(cast("dict[str, Any]", server.info("memory"))["used_memory"])


def _run(one: Contender, fleet: str, devices: int, hour: int, stack: Status) -> Run:
    work = Work(one.name, f"{one.name}-{fleet}", devices, hour, stack.dynamodb, stack.redis)
    command = [sys.executable, "-m", "bench.writers"]
    done = subprocess.run(command, input=msgspec.json.encode(work), stdout=subprocess.PIPE, cwd=ROOT, check=False)
    if done.returncode:
        raise SystemExit(f"{one.title} failed.")
    return msgspec.json.decode(done.stdout, type=Run)


if __name__ == "__main__":
    typer.run(main)
