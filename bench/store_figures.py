"""What the runs of the store benchmark come to: medians, goals, and a table for people."""

import os
from collections.abc import Iterator, Mapping, Sequence
from statistics import median

import msgspec
import psutil
from rich.table import Table

from bench.reports import Spread, for_people
from bench.writers.contenders import CONTENDERS, DYNAMODB, PUTS, REDIS, SCRIPTS
from bench.writers.work import DECODE, READINGS, Run, Spent

_MOST_CPU = 200.0
"""Microseconds a row, of the writer to DynamoDB."""
_LEAST_RATE = 40_000.0
"""Rows a second, of the writer to Redis."""
_NAIVE = {DYNAMODB: PUTS, REDIS: SCRIPTS}
_WIDTH = 120
_DIGITS = 2
_TITLES = {one.name: one.title for one in CONTENDERS}


class Phase(msgspec.Struct, frozen=True):
    """One kind of batch: rows that are new, newer or stale; or the decoding of one, before any store."""

    rate: Spread
    """Rows a second."""
    cpu: Spread
    """Microseconds of CPU a row, of the writing process alone."""


class Writer(msgspec.Struct, frozen=True):
    rows: int
    """In one batch of each kind."""
    rounds: int
    phases: dict[str, Phase]
    wrong: int
    """Of all rounds together, rows that were counted wrongly."""


class Goal(msgspec.Struct, frozen=True):
    goal: str
    measured: float
    """The worst median of the three kinds of batches."""
    is_met: bool


class Report(msgspec.Struct, frozen=True):
    cores: int
    memory_gb: int
    writers: dict[str, Writer]
    goals: list[Goal]
    cpu_ratios: dict[str, dict[str, float]]
    """Writer -> phase -> how many times as much CPU a row takes the naive writer to the same store."""
    redis_row_bytes: float | None
    """The room that a row takes in Redis, its part of the index included; None if nobody wrote there."""


def report_of(runs: Mapping[str, Sequence[Run]], redis_row_bytes: Sequence[float]) -> Report:
    """`runs` are those of each writer, by its name, and `redis_row_bytes` those of each run to Redis."""
    writers = {name: _writer(some) for name, some in runs.items()}
    ratios = {
        name: {phase: _ratio(writers[naive], writers[name], phase) for phase in READINGS}
        for name, naive in _NAIVE.items()
        if name in writers and naive in writers
    }
    return Report(
        os.cpu_count() or 1,
        round(psutil.virtual_memory().total / 2**30),
        writers,
        list(_goals(writers)),
        ratios,
        round(median(redis_row_bytes), 1) if redis_row_bytes else None,
    )


def _writer(runs: Sequence[Run]) -> Writer:
    phases = {name: _phase([run.phases[name] for run in runs]) for name in (DECODE, *READINGS)}
    return Writer(runs[0].phases[DECODE].rows, len(runs), phases, sum(run.wrong for run in runs))


def _phase(spent: Sequence[Spent]) -> Phase:
    return Phase(Spread.of((one.rate for one in spent), _DIGITS), Spread.of((one.cpu for one in spent), _DIGITS))


def _ratio(naive: Writer, writer: Writer, phase: str) -> float:
    return round(naive.phases[phase].cpu.median / writer.phases[phase].cpu.median, 1)


def _goals(writers: Mapping[str, Writer]) -> Iterator[Goal]:
    if DYNAMODB in writers:
        cpu = max(writers[DYNAMODB].phases[phase].cpu.median for phase in READINGS)
        yield Goal(f"DynamoDB: at most {_MOST_CPU:.0f} us of CPU a row", cpu, cpu <= _MOST_CPU)
    if REDIS in writers:
        rate = min(writers[REDIS].phases[phase].rate.median for phase in READINGS)
        yield Goal(f"Redis: at least {_LEAST_RATE:,.0f} rows/s", rate, rate >= _LEAST_RATE)


def show(report: Report) -> None:
    """Print `report` to standard error."""
    console = for_people(_WIDTH, highlight=False)
    table = Table(
        "writer",
        "batch",
        title=f"Writing view rows, {report.cores} cores shared with the servers, {report.memory_gb} GB",
    )
    for column in ("rows", "rows/s", "from - to", "CPU us/row", "from - to", "counts"):
        table.add_column(column, justify="right")
    for name, one in report.writers.items():
        for number, phase in enumerate(READINGS):
            figures = one.phases[phase]
            table.add_row(
                "" if number else _TITLES[name],
                phase,
                f"{one.rows:,}",
                *_cells(figures.rate, ",.0f"),
                *_cells(figures.cpu, ",.0f" if figures.cpu.median >= 100 else ".1f"),
                f"[red]{one.wrong:,} wrong[/]" if one.wrong else "right",
            )
        table.add_section()
    console.print(table)
    for line in _lines(report):
        console.print(line)


def _cells(spread: Spread, form: str) -> tuple[str, str]:
    return f"{spread.median:{form}}", f"{spread.least:{form}} - {spread.most:{form}}"


def _lines(report: Report) -> Iterator[str]:
    for goal in report.goals:
        met = "met" if goal.is_met else "[red]missed[/]"
        yield f"{goal.goal}, whatever the batch: {met}, the worst is {goal.measured:,.0f}"
    for name, ratios in report.cpu_ratios.items():
        each = ", ".join(f"{phase} {ratio}" for phase, ratio in ratios.items())
        yield f"{_TITLES[_NAIVE[name]]} takes so many times the CPU: {each}"
    decoding = median(one.phases[DECODE].cpu.median for one in report.writers.values())
    if report.redis_row_bytes is not None:
        yield f"A row takes {report.redis_row_bytes:,.0f} bytes in Redis, in partitions that hold no others."
    yield f"Before any store, decoding a batch takes {decoding:.2f} us of CPU a row."
