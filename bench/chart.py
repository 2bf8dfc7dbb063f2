"""Draws the figures of the throughput benchmark: `python -m bench.chart figures.json picture.png`, in `.venv-bench`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
import typer

from bench.figures import Report
from bench.reports import Spread
from bench.runs import CONTENDERS, TELEFOLD, TELEFOLD_PROCESS

_OURS, _OTHERS, _INK, _FAINT = "#1b6ca8", "#9aa5b1", "#1f2933", "#7b8794"
_DWARFS, _ROOM_FOR_LABELS = 3, 1.25
_WIDTH_IN, _BAR_IN, _MARGINS_IN, _PAD_IN, _DOTS_PER_INCH = 11.5, 0.5, 2.0, 0.1, 150


class Bar(NamedTuple):
    """A contender's second half: events a second, and CPU seconds per million events."""

    title: str
    rate: Spread
    cpu: Spread
    is_telefold: bool
    leaves_rows: bool


def bars(report: Report) -> list[Bar]:
    """The contenders of `report`, the fastest first."""
    measured = [
        Bar(one.title, figures.warm_rate, figures.warm_cpu, one.name in (TELEFOLD, TELEFOLD_PROCESS), one.leaves_rows)
        for one in CONTENDERS
        if (figures := report.contenders.get(one.name))
    ]
    return sorted(measured, key=lambda bar: -bar.rate.median)


def caption(report: Report) -> str:
    """What the figures were taken from and with."""
    figures = report.contenders.values()
    runs, events = max(one.runs for one in figures), [one.events for one in figures]
    shorter = f" (slow contenders: the first {_grouped(min(events))} or more)" if min(events) < max(events) else ""
    return (
        f"{_grouped(max(events))} events{shorter}; {report.cores} cores, {report.memory_gb} GB. Runs of each: {runs}; "
        "bars are medians, lines reach from the least to the most.\nPale: the rows are discarded, nobody writes them."
    )


def limit(figures: Sequence[Spread]) -> float:
    """Where the axis for `figures` ends: a bar that dwarfs all the others is cut, or they could not be compared."""
    *others, longest = sorted(one.most for one in figures)
    shown = others[-1] if others and longest > _DWARFS * others[-1] else longest
    return shown * _ROOM_FOR_LABELS


def main(
    figures: Annotated[Path, typer.Argument(help="The JSON of the throughput benchmark.")],
    picture: Annotated[Path, typer.Argument(help="The PNG to write.")],
) -> None:
    """Draw events a second and CPU seconds per million events of all contenders, side by side."""
    draw(msgspec.json.decode(figures.read_bytes(), type=Report), picture)


def draw(report: Report, picture: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    drawn = bars(report)
    figure = Figure(figsize=(_WIDTH_IN, _MARGINS_IN + _BAR_IN * len(drawn)), dpi=_DOTS_PER_INCH)
    figure.set_layout_engine("constrained", w_pad=_PAD_IN, h_pad=_PAD_IN)
    FigureCanvasAgg(figure)
    rates, cpu = figure.subplots(1, 2, sharey=True, width_ratios=(4, 3))
    _panel(rates, "events per second (more is better)", [bar.rate for bar in drawn], drawn, 0)
    _panel(cpu, "CPU seconds per million events (less is better)", [bar.cpu for bar in drawn], drawn, 1)
    rates.set_yticks(range(len(drawn)), [bar.title for bar in drawn], color=_INK)
    rates.invert_yaxis()
    figure.suptitle("The whole fold, second half of the events", color=_INK, fontweight="bold")
    figure.supxlabel(caption(report), color=_FAINT, fontsize="small")
    figure.savefig(picture)


def _panel(axes: Any, title: str, figures: list[Spread], drawn: list[Bar], digits: int) -> None:
    medians = [one.median for one in figures]
    below = [one.median - one.least for one in figures]
    above = [one.most - one.median for one in figures]
    colors = [_OURS if bar.is_telefold else _OTHERS for bar in drawn]
    held = axes.barh(range(len(drawn)), medians, xerr=(below, above), color=colors, ecolor=_INK, height=0.62)
    for patch, bar in zip(held, drawn, strict=True):
        patch.set_alpha(1.0 if bar.leaves_rows else 0.45)
    end = limit(figures)
    for place, one in enumerate(figures):
        _label(axes, place, one, end, _grouped(one.median, digits))
    axes.set_title(title, fontsize="medium", loc="left", color=_INK)
    axes.set_xlim(0, end)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", colors=_FAINT, labelsize="small")
    axes.xaxis.set_major_formatter(lambda value, _: _grouped(value))
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(_FAINT)
    axes.grid(axis="x", color=_FAINT, alpha=0.2)
    axes.set_axisbelow(True)


def _label(axes: Any, place: int, figure: Spread, end: float, text: str) -> None:
    """Behind its bar; where that is cut, at the end within it."""
    if figure.most > end:
        axes.annotate(
            f"{text}, cut \u25b8",
            (end, place),
            (-5, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            color=_INK,
        )
    else:
        axes.annotate(text, (figure.most, place), (5, 0), textcoords="offset points", va="center", color=_INK)


def _grouped(number: float, digits: int = 0) -> str:
    return f"{number:,.{digits}f}".replace(",", "\u202f")


if __name__ == "__main__":
    typer.run(main)
