"""What the reports of all benchmarks share: the spread of a figure, a console for tables, a file for the figures."""

import sys
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import Any

import msgspec
from rich.console import Console


class Spread(msgspec.Struct, frozen=True):
    """Of one figure over all runs."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float], digits: int) -> "Spread":
        ordered = sorted(values)
        return cls(*(round(value, digits) for value in (median(ordered), ordered[0], ordered[-1])))


def for_people(width: int, highlight: bool = True) -> Console:
    """Standard error; `width` characters where that is no terminal."""
    return Console(stderr=True, width=None if sys.stderr.isatty() else width, highlight=highlight)


def hand_over(figures: Any, file: Path | None) -> None:
    """`figures` as JSON into `file`, or to standard output if there is none."""
    text = msgspec.json.format(msgspec.json.encode(figures)).decode() + "\n"
    if file:
        file.write_text(text)
    else:
        sys.stdout.write(text)
