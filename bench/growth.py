"""How the job's cost grows: with devices, metrics, parallelism, and with one device that sends half of all events.

`make bench-growth`, or `python -m bench.growth --cases base --cases devices-10k --events 100000`. One thing at a time
differs from the base case. Each run is a process of its own over an archive of one hour, RocksDB and checkpoints as in
a local run; its rows are counted and forgotten, and `bench.throughput` is what checks them. A second process then
resumes from the checkpoint that the first one left. `--calibrate FILE` makes of such figures the constants of
`telefold.planning.sizing`, and holds its model against them.
"""

import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Annotated, NamedTuple

import msgspec
import typer
from rich.console import Console

from bench.growth_cases import CASES, Case, Figures
from bench.growth_figures import calibrate as calibrate_from
from bench.growth_figures import show
from bench.growth_job import Folded, Restored, Task
from bench.log import records
from bench.peers.work import ROOT
from bench.processes import Usage, run_module
from bench.reports import hand_over
from telefold.cli.progress import counting
from telefold.cli.tables import number
from telefold.connectors.archive import write
from telefold.verify.progress import counted

_LAST_CHARACTERS = 3_000

console = Console(stderr=True)


def main(
    cases: Annotated[list[str] | None, typer.Option(help="This case alone; may be given again.")] = None,
    events: Annotated[
        int | None, typer.Option(min=10_000, help="Events of each case, instead of enough for its devices.")
    ] = None,
    runs: Annotated[int, typer.Option(min=1, help="Runs of each case; medians count.")] = 1,
    json: Annotated[Path | None, typer.Option(help="A file for the figures, instead of standard output.")] = None,
    calibrate: Annotated[
        Path | None,
        typer.Option(help="Run nothing: the constants of `planning/sizing.py` from figures in this file."),
    ] = None,
) -> None:
    """Run every case, show its figures, and how close `telefold size` comes to them."""
    if calibrate:
        calibrate_from(msgspec.json.decode(calibrate.read_bytes(), type=list[Figures]))
        return
    chosen = _chosen(cases)
    with tempfile.TemporaryDirectory(prefix="telefold-growth-") as folder:
        course = _Course(Path(folder), runs * sum(events or case.events for case in chosen))
        figures = [course.figures(case, events or case.events, runs) for case in chosen]
    show(figures)
    hand_over(figures, json)


def _chosen(names: Sequence[str] | None) -> list[Case]:
    known = {case.name: case for case in CASES}
    if unknown := set(names or ()) - known.keys():
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: the cases are {', '.join(known)}.")
    return [case for name, case in known.items() if not names or name in names]


class _Measured(NamedTuple):
    usage: Usage
    folded: Folded
    restored: Restored


class _Course:
    """Runs one case after the other in `folder`, and tells how much of all events is still to come."""

    def __init__(self, folder: Path, events: int) -> None:
        self._folder = folder
        self._events = events
        self._done = 0
        self._began = time.monotonic()

    def figures(self, case: Case, events: int, runs: int) -> Figures:
        archive = self._folder / "archive"
        with counting(f"Writing the log of {case.name}", events) as tell:
            write(str(archive), counted(records(events, events, case.fleet), tell))
        measured = [self._run(case, events, str(archive), f"run {run} of {runs}") for run in range(1, runs + 1)]
        shutil.rmtree(archive)
        return _figures(case, events, measured)

    def _run(self, case: Case, events: int, archive: str, which: str) -> _Measured:
        console.print(f"{case.name}, {number(events)} events, {which}{self._left()} ...", highlight=False)
        first, second = self._folder / "first", self._folder / "second"
        task = Task(archive, events, case.parallelism, str(first))
        usage = _in_process(task)
        folded = msgspec.json.decode(task.result.read_bytes(), type=Folded)
        again = msgspec.structs.replace(task, scratch=str(second), resume=folded.checkpoint)
        _in_process(again)
        restored = msgspec.json.decode(again.result.read_bytes(), type=Restored)
        shutil.rmtree(first)
        shutil.rmtree(second)
        self._done += events
        return _Measured(usage, folded, restored)

    def _left(self) -> str:
        if not self._done:
            return ""
        seconds = (time.monotonic() - self._began) / self._done * (self._events - self._done)
        return f", about {seconds / 60:.0f} min left"


def _in_process(task: Task) -> Usage:
    Path(task.scratch).mkdir()
    log = Path(task.scratch, "output.log")
    usage = run_module(sys.executable, "bench.growth_job", standard_input=msgspec.json.encode(task), log=log, root=ROOT)
    if usage.exit_code:
        raise SystemExit(f"The job failed:\n{log.read_text()[-_LAST_CHARACTERS:]}")
    return usage


def _figures(case: Case, events: int, measured: Sequence[_Measured]) -> Figures:
    def middle(values: Sequence[float], digits: int) -> float:
        return round(median(values), digits)

    folded = [one.folded for one in measured]
    return Figures(
        name=case.name,
        fleet=case.fleet,
        parallelism=case.parallelism,
        events=events,
        runs=len(measured),
        rate=middle([one.rate for one in folded], 0),
        warm_rate=middle([one.warm_rate for one in folded], 0),
        warm_cpu_s=middle([one.warm_cpu_s for one in folded], 1),
        warm_rows=middle([one.warm_rows for one in folded], 3),
        peak_mb=round(median(one.usage.peak_bytes for one in measured) / 2**20),
        state_bytes=round(median(one.state_bytes for one in folded)),
        checkpoint_bytes=round(median(one.checkpoint_bytes for one in folded)),
        checkpoint_s=middle([one.checkpoint_s for one in folded], 2),
        slowest_checkpoint_s=middle([one.slowest_checkpoint_s for one in folded], 2),
        start_s=middle([one.start_s for one in folded], 1),
        restore_s=middle([one.restored.seconds for one in measured], 1),
        state_restore_s=middle([one.restored.state_s for one in measured], 2),
    )


if __name__ == "__main__":
    typer.run(main)
