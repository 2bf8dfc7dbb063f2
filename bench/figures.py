"""What the runs of the throughput benchmark come to: medians, ratios, and a table for people."""

import os
import sys
from collections.abc import Sequence
from statistics import median

import msgspec
import psutil
from rich.console import Console
from rich.table import Table

from bench.runs import CEILING, CONTENDERS, IDIOMATIC, PLAIN, TELEFOLD, TELEFOLD_PROCESS, Run

_BASELINES = (IDIOMATIC, PLAIN, CEILING)
_WIDTH = 120
_TITLES = {one.name: one.title for one in CONTENDERS}


class Ratio(msgspec.Struct, frozen=True):
    """How many times as fast, over the whole run and over its second half."""

    rate: float
    warm_rate: float


class Figures(msgspec.Struct, frozen=True):
    """Medians over the runs of one contender. Rates are events a second, CPU is in seconds per million events."""

    events: int
    runs: int
    rate: float
    """From the submission of the job, its JVM being up, until it has ended and its rows are in a file."""
    warm_rate: float
    """The same over the second half of the events, caches filled and code compiled."""
    slowest: float
    fastest: float
    """The rate of a single run."""
    cpu: float
    peak_mb: int
    differences: int | None
    """Of all runs together, rows that were not as they must be; None where no rows can be compared."""
    busy: dict[str, float]
    """Of the last run."""


class Report(msgspec.Struct, frozen=True):
    cores: int
    memory_gb: int
    contenders: dict[str, Figures]
    ratios: dict[str, dict[str, Ratio]]
    """Contender -> baseline -> how many times as fast the contender is."""
    not_measured: tuple[str, ...] = ("Bytewax, which is not among the packages of this project",)


def figures_of(runs: Sequence[Run]) -> Report:
    names = dict.fromkeys(run.contender for run in runs)
    contenders = {name: _figures([run for run in runs if run.contender == name]) for name in names}
    ratios = {
        name: {base: _ratio(contenders[name], contenders[base]) for base in _BASELINES if base in contenders}
        for name in (TELEFOLD, TELEFOLD_PROCESS)
        if name in contenders
    }
    return Report(os.cpu_count() or 1, round(psutil.virtual_memory().total / 2**30), contenders, ratios)


def _figures(runs: Sequence[Run]) -> Figures:
    rates = [run.rate for run in runs]
    compared = [run.differences for run in runs if run.differences is not None]
    return Figures(
        events=runs[0].events,
        runs=len(runs),
        rate=round(median(rates)),
        warm_rate=round(median(run.warm_rate for run in runs)),
        slowest=round(min(rates)),
        fastest=round(max(rates)),
        cpu=round(median(run.cpu_seconds / run.events * 1e6 for run in runs), 1),
        peak_mb=round(median(run.peak_bytes for run in runs) / 2**20),
        differences=sum(compared) if compared else None,
        busy=dict(runs[-1].timing.busy),
    )


def _ratio(one: Figures, base: Figures) -> Ratio:
    return Ratio(round(one.rate / base.rate, 2), round(one.warm_rate / base.warm_rate, 2))


def show(report: Report) -> None:
    """Print `report` to standard error."""
    console = Console(stderr=True, width=None if sys.stderr.isatty() else _WIDTH)
    title = f"The whole fold, {report.cores} cores, {report.memory_gb} GB"
    table = Table("contender", title=title)
    for column in ("events", "events/s", "from - to", "second half", "CPU s/M events", "memory", "rows"):
        table.add_column(column, justify="right")
    for name, one in report.contenders.items():
        table.add_row(
            _TITLES[name],
            f"{one.events:,}",
            f"{one.rate:,.0f}",
            f"{one.slowest:,.0f} - {one.fastest:,.0f}",
            f"{one.warm_rate:,.0f}",
            f"{one.cpu:,.0f}",
            f"{one.peak_mb:,} MB",
            _rows(one.differences),
        )
    console.print(table)
    for name, baselines in report.ratios.items():
        for base, ratio in baselines.items():
            console.print(
                f"{_TITLES[name]} to {_TITLES[base]}: {ratio.rate:.2f}, in the second half {ratio.warm_rate:.2f}",
                highlight=False,
            )
    for what in report.not_measured:
        console.print(f"Not measured: {what}.")


def _rows(differences: int | None) -> str:
    if differences is None:
        return "not compared"
    return f"[red]{differences:,} wrong[/]" if differences else "right"
