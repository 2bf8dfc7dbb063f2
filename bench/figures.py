"""What the runs of the throughput benchmark come to: medians, their spread, ratios, and tables for people."""

import os
from collections.abc import Sequence
from statistics import median

import msgspec
import psutil
from rich.table import Table

from bench.reports import Spread, for_people
from bench.runs import (
    BYTEWAX,
    CEILING,
    CONTENDERS,
    FOLD,
    FOLD_CONTENDERS,
    FOLD_IDIOMATIC,
    FOLD_PROCESS,
    IDIOMATIC,
    NO_RULES,
    PLAIN,
    RULE_CONTENDERS,
    RULES,
    TELEFOLD,
    TELEFOLD_PROCESS,
    UNJUDGED,
    Run,
)

NOT_MEASURED = (
    "Pathway: without its vendor's licence key a restart keeps its input, but not the state folded from it",
    "Quix Streams: it reads from, writes to and keeps its state in Kafka, and here is no broker",
)
_COMPARED = (TELEFOLD, TELEFOLD_PROCESS, FOLD, FOLD_PROCESS, RULES)
_BASELINES = (IDIOMATIC, BYTEWAX, PLAIN, CEILING, FOLD_IDIOMATIC, NO_RULES, UNJUDGED)
_WIDTH = 140
_DIGITS = 1
_TITLES = {one.name: one.title for one in (*CONTENDERS, *FOLD_CONTENDERS, *RULE_CONTENDERS)}


class Ratio(msgspec.Struct, frozen=True):
    """How many times as fast by the medians, over the whole run and over its second half ..."""

    rate: float
    warm_rate: float
    warm_per_cpu_second: float
    """... and how many times the events a CPU second, over the second half."""


class Figures(msgspec.Struct, frozen=True):
    """Of one contender. Rates are events a second, CPU is in seconds per million events, of all processes."""

    events: int
    runs: int
    rate: Spread
    """From the submission of the job, its JVM being up, until it has ended and its rows are in a file."""
    warm_rate: Spread
    """The same over the second half of the events, caches filled and code compiled."""
    cpu: Spread
    warm_cpu: Spread
    """Over the second half of the events."""
    peak_mb: int
    """The median."""
    differences: int | None
    """Of all runs together, rows that were not as they must be; None where no rows can be compared."""
    busy: dict[str, float]
    """Of the last run."""


class Report(msgspec.Struct, frozen=True):
    cores: int
    memory_gb: int
    contenders: dict[str, Figures]
    ratios: dict[str, dict[str, Ratio]]
    """Contender -> baseline -> how the contender compares with it."""
    not_measured: tuple[str, ...] = NOT_MEASURED


def figures_of(runs: Sequence[Run], not_measured: tuple[str, ...] = NOT_MEASURED) -> Report:
    names = dict.fromkeys(run.contender for run in runs)
    contenders = {name: _figures([run for run in runs if run.contender == name]) for name in names}
    ratios = {
        name: {base: _ratio(contenders[name], contenders[base]) for base in _BASELINES if base in contenders}
        for name in _COMPARED
        if name in contenders
    }
    return Report(os.cpu_count() or 1, round(psutil.virtual_memory().total / 2**30), contenders, ratios, not_measured)


def _figures(runs: Sequence[Run]) -> Figures:
    compared = [run.differences for run in runs if run.differences is not None]
    return Figures(
        events=runs[0].events,
        runs=len(runs),
        rate=Spread.of((run.rate for run in runs), _DIGITS),
        warm_rate=Spread.of((run.warm_rate for run in runs), _DIGITS),
        cpu=Spread.of((run.cpu for run in runs), _DIGITS),
        warm_cpu=Spread.of((run.warm_cpu for run in runs), _DIGITS),
        peak_mb=round(median(run.peak_bytes for run in runs) / 2**20),
        differences=sum(compared) if compared else None,
        busy=dict(runs[-1].timing.busy),
    )


def _ratio(one: Figures, base: Figures) -> Ratio:
    return Ratio(
        round(one.rate.median / base.rate.median, 2),
        round(one.warm_rate.median / base.warm_rate.median, 2),
        round(base.warm_cpu.median / one.warm_cpu.median, 2),
    )


def show(report: Report, title: str = "The whole fold") -> None:
    """Print `report` to standard error."""
    console = for_people(_WIDTH)
    console.print(_contenders(report, title))
    console.print(_ratios(report))
    for what in report.not_measured:
        console.print(f"Not measured: {what}.", highlight=False)


def _contenders(report: Report, title: str) -> Table:
    table = _table(
        f"{title}, {report.cores} cores, {report.memory_gb} GB",
        "contender", "events", "events/s", "second half", "slowest - fastest", "CPU s/M events", "memory", "rows",
    )  # fmt: skip
    for name, one in report.contenders.items():
        table.add_row(
            _TITLES[name],
            f"{one.events:,}",
            f"{one.rate.median:,.0f}",
            f"{one.warm_rate.median:,.0f}",
            f"{one.warm_rate.least:,.0f} - {one.warm_rate.most:,.0f}",
            f"{one.warm_cpu.median:,.1f}",
            f"{one.peak_mb:,} MB",
            _rows(one.differences),
        )
    return table


def _ratios(report: Report) -> Table:
    table = _table("How many times", "contender", "of", "events/s", "second half", "events/CPU s")
    for name, baselines in report.ratios.items():
        for base, ratio in baselines.items():
            figures = (ratio.rate, ratio.warm_rate, ratio.warm_per_cpu_second)
            table.add_row(_TITLES[name], _TITLES[base], *(f"{figure:.2f}" for figure in figures))
    return table


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(first, title=title)
    for column in others:
        table.add_column(column, justify="right")
    return table


def _rows(differences: int | None) -> str:
    if differences is None:
        return "not compared"
    return f"[red]{differences:,} wrong[/]" if differences else "right"
