"""What a command is at while it takes its time: a live line on a terminal, elsewhere a plain one once it takes long."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Timer

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from telefold.cli.tables import number

_LONG_S = 2.0


@contextmanager
def counting(what: str, total: int | None = None, unit: str = "") -> Iterator[Callable[[int], None]]:
    """Yields what is to be told how much is done."""
    console = Console(stderr=True)
    if not console.is_terminal:
        with _told_if_long(console, what):
            yield lambda done: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[done]}"), TimeElapsedColumn())
    with _live(console, *columns) as bar:
        task = bar.add_task(what, total=total, done="")
        of = "" if total is None else f" of {number(total)}"
        yield lambda done: bar.update(task, completed=done, done=f"{number(done)}{of} {unit}".rstrip())


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Show that something goes on that cannot be counted, at once on a terminal and else after a while."""
    console = Console(stderr=True)
    if not console.is_terminal:
        with _told_if_long(console, what):
            yield
        return
    with _live(console, SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()) as line:
        line.add_task(f"{what} ...", total=None)
        yield


def _live(console: Console, *columns: SpinnerColumn | TextColumn | BarColumn | TimeElapsedColumn) -> Progress:
    """What is printed meanwhile stays above it, but where that goes into a file."""
    return Progress(*columns, console=console, transient=True, redirect_stdout=sys.stdout.isatty())


@contextmanager
def _told_if_long(console: Console, what: str) -> Iterator[None]:
    options = {"soft_wrap": True, "highlight": False, "markup": False}
    timer = Timer(_LONG_S, console.print, [f"{what} ..."], options)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
