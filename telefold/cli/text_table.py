"""A table of plain text that cuts nothing off: where a terminal has no room for it, it takes another form."""

from collections.abc import Iterable, Sequence
from typing import Literal

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

_LEAST_OF_A_WORD = 12
"""A longer word of a text column may be broken; a number never is."""
_BORDER, _BORDER_OF_A_COLUMN = 1, 3
_GAP = 2


class TextTable:
    """Rows below a title; the columns after the first `left` hold numbers, and the first of all holds names.

    As wide as it would be it has lines around its cells. Without that room it has none, and what is right of the names
    is wrapped first, the names last. Without room for that either each row is a paragraph, with a line a field.
    """

    def __init__(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> None:
        self._title = title
        self._columns = columns
        self._rows = [tuple(row) for row in rows]
        self._left = left

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        widest = [max(map(cell_len, cells)) for cells in self._cells()]
        if self._title:
            yield Text(self._title, style="table.title", overflow="fold")
        if sum(widest) + len(widest) * _BORDER_OF_A_COLUMN + _BORDER <= options.max_width:
            yield self._drawn(widest, with_lines=True)
            return
        widths = fitting(widest, self._least(), options.max_width - (len(widest) - 1) * _GAP)
        if widths is not None:
            yield self._drawn(widths, with_lines=False)
        else:
            yield from self._paragraphs()

    def _cells(self) -> list[tuple[str, ...]]:
        """The columns, each as its heading and all that is below."""
        return list(zip(self._columns, *self._rows, strict=True))

    def _least(self) -> list[int]:
        """How narrow each column may be: as its longest word, which in a column of texts has an end."""
        words = [max((cell_len(word) for cell in cells for word in cell.split()), default=0) for cells in self._cells()]
        return [min(word, _LEAST_OF_A_WORD) if index < self._left else word for index, word in enumerate(words)]

    def _drawn(self, widths: Sequence[int], with_lines: bool) -> Table:
        made = Table() if with_lines else Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False)
        for index, (column, width) in enumerate(zip(self._columns, widths, strict=True)):
            justify: Literal["left", "right"] = "left" if index < self._left else "right"
            made.add_column(Text(column), justify=justify, overflow="fold", width=width)
        for row in self._rows:
            made.add_row(*map(Text, row))
        return made

    def _paragraphs(self) -> Iterable[Text]:
        for row in self._rows:
            first, *others = zip(self._columns, row, strict=True)
            yield _field(*first, style="bold")
            for name, value in others:
                yield _field(name, value)
            yield Text()


def fitting(widest: Sequence[int], least: Sequence[int], room: int) -> list[int] | None:
    """Widths that fit into `room`: columns are narrowed from the last to the first; None if that is not enough."""
    widths, excess = list(widest), sum(widest) - room
    for index in reversed(range(len(widths))):
        less = max(0, min(excess, widest[index] - least[index]))
        widths[index] -= less
        excess -= less
    return widths if excess <= 0 else None


def _field(name: str, value: str, style: str = "") -> Text:
    return Text(f"{name}: {value}" if name else value, style=style, overflow="fold")
