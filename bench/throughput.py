"""How many events a second the whole fold takes, against what people write today; every contender's rows are checked.

`make bench`, or `python -m bench.throughput --events 500000 --runs 3`. All contenders decode the same Avro records,
deduplicate them, fold latest values and rollups, and hand coalesced rows to a store in memory. Slow ones get the first
events of the log only. Each run is a process of its own, and the contenders take turns. Ends with exit code 1 if rows
are not those of the fold in plain Python (`verify.oracle`).
"""

import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from math import ceil
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from bench.figures import figures_of, show
from bench.log import FLEET, Fleet, Inputs, records, write_inputs
from bench.peers.work import ROOT, SETTINGS, Timing, Work, kept_rows
from bench.processes import run_module
from bench.reports import hand_over
from bench.runs import CONTENDERS, Contender, Run, seconds_left
from telefold.schemas.view_rows import ViewUpdate
from telefold.verify import oracle

_DIFFERENCES_SHOWN = 5
_LAST_CHARACTERS = 3_000

Expect = Callable[[int, int], Mapping[oracle.Key, ViewUpdate]]
"""From the number of records that are folded, and of those in the whole log, to the rows that must come of them."""

console = Console(stderr=True)


def main(
    events: Annotated[
        int, typer.Option(min=1_000, help="Records of the log; one in a hundred is a duplicate.")
    ] = 2_000_000,
    runs: Annotated[int, typer.Option(min=1, help="Runs of each contender; medians count.")] = 5,
    only: Annotated[list[str] | None, typer.Option(help="This contender alone; may be given again.")] = None,
    json: Annotated[Path | None, typer.Option(help="A file for the figures, instead of standard output.")] = None,
) -> None:
    """Run every contender, compare its rows, and show how they did."""
    contenders = _chosen(only)
    with tempfile.TemporaryDirectory(prefix="telefold-bench-") as folder:
        done = Race(Path(folder), events, contenders).run(runs)
    figures = figures_of(done)
    show(figures)
    hand_over(figures, json)
    raise typer.Exit(1 if any(run.differences for run in done) else 0)


def _chosen(only: Sequence[str] | None) -> list[Contender]:
    names = [one.name for one in CONTENDERS]
    if unknown := set(only or ()) - set(names):
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: the contenders are {', '.join(names)}.")
    chosen = [one for one in CONTENDERS if not only or one.name in only]
    for one in chosen:
        if not Path(one.python).exists():
            raise typer.BadParameter(f"{one.name} needs {one.python}: `make .venv-bench/.ready` installs it.")
    return chosen


def views_of_the_log(count: int, of: int) -> Mapping[oracle.Key, ViewUpdate]:
    """The rows of the first `count` records of a log of `of`."""
    job = SETTINGS.job
    return oracle.fold(records(count, of), job.rollup_sizes, job.rollup_lateness_ms, SETTINGS.views.retention).rows


class Race:
    """The inputs of all runs in `folder`, by their number of events, and what must come of them."""

    def __init__(
        self,
        folder: Path,
        events: int,
        contenders: Sequence[Contender],
        expect: Expect | None = None,
        fleet: Fleet = FLEET,
    ) -> None:
        self._folder = folder
        self._events = events
        self._contenders = contenders
        self._inputs: dict[int, Inputs] = {}
        self._expected: dict[int, Mapping[oracle.Key, ViewUpdate]] = {}
        for count in sorted({one.events(events) for one in contenders}):
            console.print(f"Writing a log of {count:,} events, and folding it in plain Python ...")
            self._inputs[count] = write_inputs(folder / f"log-of-{count}", count, events, fleet)
            self._expected[count] = (expect or views_of_the_log)(count, events)

    def run(self, rounds: int) -> list[Run]:
        """Everyone in turn, `rounds` times."""
        turns = [one for _ in range(rounds) for one in self._contenders]
        taken: defaultdict[str, list[float]] = defaultdict(list)
        done: list[Run] = []
        for number, one in enumerate(turns, 1):
            left = seconds_left(taken, [each.name for each in turns[number - 1 :]])
            console.print(
                f"Run {number} of {len(turns)}: {one.title}, {one.events(self._events):,} events"
                + (" ..." if left is None else f"; all are done in about {ceil(left / 60)} min ..."),
                soft_wrap=True,
            )
            began = time.monotonic()
            done.append(self._run(one))
            taken[one.name].append(time.monotonic() - began)
            console.print(f"  {done[-1].rate:,.0f} events/s, in the second half {done[-1].warm_rate:,.0f}")
        return done

    def _run(self, one: Contender) -> Run:
        with tempfile.TemporaryDirectory(prefix=f"{one.name}-", dir=self._folder) as scratch:
            work = Work(self._inputs[one.events(self._events)], scratch, one.execution_mode)
            log = Path(scratch, "output.log")
            usage = run_module(
                one.python, "bench.peers", one.peer, standard_input=msgspec.json.encode(work), log=log, root=ROOT
            )
            if usage.exit_code:
                raise SystemExit(f"{one.title} failed:\n{log.read_text()[-_LAST_CHARACTERS:]}")
            timing = msgspec.json.decode(work.timing.read_bytes(), type=Timing)
            return Run(
                one.name,
                work.inputs.events,
                timing,
                usage.peak_bytes,
                self._differences(work) if one.leaves_rows else None,
            )

    def _differences(self, work: Work) -> int:
        differences = oracle.compare(self._expected[work.inputs.events], kept_rows(work.rows))
        for difference in differences[:_DIFFERENCES_SHOWN]:
            console.print(f"  [red]wrong:[/] {difference}")
        return len(differences)


if __name__ == "__main__":
    typer.run(main)
