"""The figures of the growth benchmark as a table, and the constants of `planning.sizing` that follow from them."""

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from statistics import median

import msgspec
import numpy as np
from numpy.typing import NDArray
from rich.filesize import decimal

from bench.growth_cases import Figures
from bench.reports import for_people
from telefold.cli.tables import number, table
from telefold.cli.text_table import TextTable
from telefold.planning.sizing import COSTS, Costs

_WIDTH = 160
_CAUSES = ("event_us", "device_us", "row_us")
"""Of the CPU that an event takes."""
_COLUMNS = (
    "case", "events", "events/s", "second half", "CPU s/M events", "rows/event", "memory", "state", "checkpoint",
    "median", "slowest", "start", "restore", "its state",
)  # fmt: skip


def show(figures: Sequence[Figures]) -> None:
    """Print `figures`, and how close the model comes to them, to standard error."""
    cells = [
        (
            one.name,
            number(one.events),
            f"{one.rate:,.0f}",
            f"{one.warm_rate:,.0f}",
            f"{one.warm_cpu_s:,.1f}",
            f"{one.warm_rows:.2f}",
            f"{one.peak_mb:,} MB",
            decimal(one.state_bytes),
            decimal(one.checkpoint_bytes),
            *(f"{seconds:.2f} s" for seconds in (one.checkpoint_s, one.slowest_checkpoint_s)),
            *(f"{seconds:.1f} s" for seconds in (one.start_s, one.restore_s, one.state_restore_s)),
        )
        for one in figures
    ]
    for_people(_WIDTH).print(table("How cost grows", _COLUMNS, cells), _against_the_model(figures, COSTS))


def calibrate(figures: Sequence[Figures]) -> None:
    """Print the constants that fit `figures` best, and how close the model then comes to each case."""
    costs = fitted(figures)
    console = for_people(_WIDTH)
    console.print("In COSTS of telefold/planning/sizing.py:")
    for name in ("event_us", "device_us", "row_us", "state_ratio"):
        console.print(f"    {name}={getattr(costs, name):.2f},", highlight=False)
    console.print(_against_the_model(figures, costs))


def fitted(figures: Sequence[Figures]) -> Costs:
    """COSTS with what `figures` say of the fold. Relative errors count, and every case alike."""
    wanted = np.array([one.warm_cpu_s for one in figures])
    each = [msgspec.structs.replace(COSTS, **{name: float(name == cause) for name in _CAUSES}) for cause in _CAUSES]
    causes = np.array([[one.predicted_cpu_s(costs) for costs in each] for one in figures])
    event_us, device_us, row_us = _least_squares(causes / wanted[:, None])
    ratio = median(one.state_bytes / one.serialised_bytes for one in figures)
    return msgspec.structs.replace(COSTS, event_us=event_us, device_us=device_us, row_us=row_us, state_ratio=ratio)


def _least_squares(shares: NDArray[np.float64]) -> Sequence[float]:
    """The weights, none of them negative, with which each row of `shares` comes closest to 1."""
    best = min(_solutions(shares), key=lambda weights: float(np.sum((shares @ weights - 1) ** 2)))
    return [float(weight) for weight in best]


def _solutions(shares: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
    """Of every choice of columns that count: there are few columns, and the best choice is among them."""
    for counts in product((0.0, 1.0), repeat=shares.shape[1]):
        weights = np.linalg.lstsq(shares * counts, np.ones(len(shares)), rcond=None)[0]
        if (weights >= 0).all():
            yield weights


def _against_the_model(figures: Sequence[Figures], costs: Costs) -> TextTable:
    cells = [
        (
            one.name,
            *_compared(1e6 / one.warm_cpu_s, 1e6 / one.predicted_cpu_s(costs), "{:,.0f}".format),
            *_compared(one.state_bytes, one.predicted_state_bytes(costs), lambda value: decimal(round(value))),
        )
        for one in figures
    ]
    columns = ("case", "events/s a core", "by the model", "error", "state", "by the model", "error")
    return table("The model of `telefold size`", columns, cells)


def _compared(measured: float, predicted: float, text: Callable[[float], str]) -> tuple[str, str, str]:
    return text(measured), text(predicted), f"{predicted / measured - 1:+.0%}"
