"""How many events a second the whole fold takes, against what people write today; every contender's rows are checked.

`make bench`, or `python -m bench.throughput --events 500000 --runs 3`. All contenders decode the same Avro records,
deduplicate them, fold latest values and rollups, and hand coalesced rows to a store in memory. Each run is a process of
its own, and the contenders take turns. Ends with exit code 1 if rows are not those of the fold in plain Python
(`views.oracle`).
"""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from bench.figures import figures_of, show
from bench.log import Inputs, records, write_inputs
from bench.peers.work import ROOT, SETTINGS, Timing, Work, kept_rows
from bench.processes import run_module
from bench.runs import CONTENDERS, Contender, Run
from views import oracle

_DIFFERENCES_SHOWN = 5
_LAST_CHARACTERS = 3_000

console = Console(stderr=True)


def main(
    events: Annotated[
        int, typer.Option(min=1_000, help="Records of the log; one in a hundred is a duplicate.")
    ] = 500_000,
    idiomatic_events: Annotated[
        int, typer.Option(min=1_000, help="So many of them, the first ones, for the slowest contender.")
    ] = 60_000,
    runs: Annotated[int, typer.Option(min=1, help="Runs of each contender; medians count.")] = 3,
    process: Annotated[bool, typer.Option("--process", help="Telefold in Python's process mode as well.")] = False,
    only: Annotated[list[str] | None, typer.Option(help="This contender alone; may be given again.")] = None,
    json: Annotated[Path | None, typer.Option(help="A file for the figures, instead of standard output.")] = None,
) -> None:
    """Run every contender, compare its rows, and show how they did."""
    contenders = _chosen(only, process)
    with tempfile.TemporaryDirectory(prefix="telefold-bench-") as folder:
        race = _Race(Path(folder), events, min(events, idiomatic_events), contenders)
        done = [race.run(one, number) for number in range(1, runs + 1) for one in contenders]
    figures = figures_of(done)
    show(figures)
    text = msgspec.json.format(msgspec.json.encode(figures)).decode() + "\n"
    if json:
        json.write_text(text)
    else:
        sys.stdout.write(text)
    raise typer.Exit(1 if any(run.differences for run in done) else 0)


def _chosen(only: Sequence[str] | None, process: bool) -> list[Contender]:
    names = [one.name for one in CONTENDERS]
    if unknown := set(only or ()) - set(names):
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: the contenders are {', '.join(names)}.")
    return [one for one in CONTENDERS if (one.name in only if only else process or one.execution_mode == "thread")]


class _Race:
    """The inputs of all runs in `folder`, and what must come of them."""

    def __init__(self, folder: Path, events: int, few: int, contenders: Sequence[Contender]) -> None:
        self._folder = folder
        self._inputs: dict[bool, Inputs] = {}
        self._expected: dict[bool, oracle.Reckoning] = {}
        job, views = SETTINGS.job, SETTINGS.views
        for short in sorted({one.is_slow for one in contenders}):
            count = few if short else events
            console.print(f"Writing a log of {count:,} events, and folding it in plain Python ...")
            self._inputs[short] = write_inputs(folder / f"log-of-{count}", count, events)
            self._expected[short] = oracle.fold(
                records(count, events), job.rollup_sizes, job.rollup_lateness, views.retention
            )

    def run(self, one: Contender, number: int) -> Run:
        console.print(f"Run {number}: {one.title} ...")
        inputs, scratch = self._inputs[one.is_slow], self._folder / f"{one.name}-{number}"
        scratch.mkdir()
        work = Work(inputs, str(scratch), one.execution_mode)
        log = scratch / "output.log"
        usage = run_module("bench.peers", one.peer, standard_input=msgspec.json.encode(work), log=log, root=ROOT)
        if usage.exit_code:
            raise SystemExit(f"{one.title} failed:\n{log.read_text()[-_LAST_CHARACTERS:]}")
        timing = msgspec.json.decode(work.timing.read_bytes(), type=Timing)
        return Run(
            one.name, inputs.events, timing, usage.cpu_seconds - timing.cpu_before, usage.peak_bytes,
            self._differences(one, work) if one.leaves_rows else None,
        )  # fmt: skip

    def _differences(self, one: Contender, work: Work) -> int:
        differences = oracle.compare(self._expected[one.is_slow].rows, kept_rows(work.rows))
        for difference in differences[:_DIFFERENCES_SHOWN]:
            console.print(f"  [red]wrong:[/] {difference}")
        return len(differences)


if __name__ == "__main__":
    typer.run(main)
