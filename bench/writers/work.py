"""What one run of one writer is given, and what its writing takes."""

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import msgspec

from bench.writers.rows import ROWS_A_DEVICE, batches
from telefold.connectors.view_sink import decode_batch
from telefold.schemas.view_stores import ViewWriter

DECODE, INSERT, REWRITE, STALE = "decode", "insert", "rewrite", "stale"
READINGS = {INSERT: 6, REWRITE: 12, STALE: 6}
"""Rows that are not there; newer versions of all of them; and the first ones again, as a replay brings them."""

_WARM_UP_SHARE = 20

A = TypeVar("A")
B = TypeVar("B")


class Work(msgspec.Struct, frozen=True):
    """One run, of a fleet that the stores have not met."""

    contender: str
    fleet: str
    devices: int
    hour: int
    """The beginning of one, in epoch milliseconds."""
    dynamodb: str
    redis: str
    """Where these servers are."""


class Spent(msgspec.Struct, frozen=True):
    """Seconds of wall time, and of CPU of this process alone, all its threads, user and system."""

    rows: int
    seconds: float
    cpu_seconds: float

    @property
    def rate(self) -> float:
        """Rows a second."""
        return self.rows / self.seconds

    @property
    def cpu(self) -> float:
        """Microseconds a row."""
        return self.cpu_seconds / self.rows * 1e6


class Run(msgspec.Struct, frozen=True):
    phases: Mapping[str, Spent]
    """The decoding of a batch, and the writing of one of each kind."""
    wrong: int
    """Rows that were counted as stale and are new, or the other way round."""


def run(work: Work, writer: ViewWriter) -> Run:
    """A small fleet goes first, for caches, connections and threads."""
    _measure(f"{work.fleet}-warm-up", _warm_up(work.devices), work.hour, writer)
    return _measure(work.fleet, work.devices, work.hour, writer)


def rows_kept(devices: int) -> int:
    """How many rows are in the store after the run of a fleet of `devices`, both fleets' together."""
    return (devices + _warm_up(devices)) * ROWS_A_DEVICE


def _warm_up(devices: int) -> int:
    return max(1, devices // _WARM_UP_SHARE)


def _measure(fleet: str, devices: int, hour: int, writer: ViewWriter) -> Run:
    lines = {phase: batches(fleet, devices, hour, readings) for phase, readings in READINGS.items()}
    rows = devices * ROWS_A_DEVICE
    _, decoding = _timed(decode_batch, lines[INSERT], rows)
    phases, wrong = {DECODE: decoding}, 0
    for phase in READINGS:
        results, phases[phase] = _timed(writer.write, [decode_batch(some).updates for some in lines[phase]], rows)
        wrong += rows - sum(one.stale if phase == STALE else one.written for one in results)
    return Run(phases, wrong)


def _timed(step: Callable[[A], B], batches: Sequence[A], rows: int) -> tuple[list[B], Spent]:
    gc.collect()
    cpu_before, before = time.process_time(), time.perf_counter()
    results = [step(batch) for batch in batches]
    return results, Spent(rows, time.perf_counter() - before, time.process_time() - cpu_before)
