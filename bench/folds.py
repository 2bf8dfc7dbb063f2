"""How many events a second go through a fold in Python, and through the same written as an ordinary PyFlink function.

`make bench-folds`, or `python -m bench.folds --events 200000 --runs 1`. All contenders read the same archive and take
the events that the job's own fold has accepted; their rows are compared with those of the fold without Flink.
"""

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.figures import figures_of, show
from bench.log import records
from bench.reports import hand_over
from bench.runs import FOLD_CONTENDERS
from bench.throughput import Race
from telefold.operators.folds.device import Device
from telefold.operators.folds.fold import Fold
from telefold.operators.folds.fold_run import FoldRun
from telefold.schemas.codec import decode
from telefold.schemas.log_records import LogRecord
from telefold.schemas.view_rows import ViewUpdate
from telefold.verify.oracle import Key


def main(
    events: Annotated[int, typer.Option(min=1_000, help="Records of the log.")] = 1_000_000,
    runs: Annotated[int, typer.Option(min=1, help="Runs of each contender; medians count.")] = 3,
    json: Annotated[Path | None, typer.Option(help="A file for the figures, instead of standard output.")] = None,
) -> None:
    """Run every contender, compare its rows, and show how they did."""
    with tempfile.TemporaryDirectory(prefix="telefold-bench-") as folder:
        done = Race(Path(folder), events, FOLD_CONTENDERS, lives).run(runs)
    figures = figures_of(done, not_measured=())
    show(figures, "One fold in Python")
    hand_over(figures, json)
    raise typer.Exit(1 if any(run.differences for run in done) else 0)


def lives(count: int, of: int) -> Mapping[Key, ViewUpdate]:
    """The rows that come of the first `count` records of a log of `of`, in which nothing is late."""
    return rows_of(Device(), records(count, of))


def rows_of(fold: Fold[Any], log: Iterable[LogRecord]) -> Mapping[Key, ViewUpdate]:
    """What `fold` makes of a log in which nothing is late."""
    devices, seen = dict[str, FoldRun[Any]](), set[str]()
    for record in log:
        event = decode(record.data, record.arrival)
        if event.event_id not in seen:
            seen.add(event.event_id)
            devices.setdefault(event.device_id, FoldRun(fold, event.device_id, None)).fold(event)
    return {(row.partition, row.sort): row for steps in devices.values() for row in steps.updates()}


if __name__ == "__main__":
    typer.run(main)
