"""Progress of a long reading of the log, reported to whoever shows it."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

_TELL_EVERY = 1_000

T = TypeVar("T")

Counting = Callable[[str, int | None], AbstractContextManager[Callable[[int], None]]]
"""Shows how far something has got, of a total if it is known; as `telefold.cli.progress.counting`."""


def quiet(what: str, total: int | None) -> AbstractContextManager[Callable[[int], None]]:
    return nullcontext(lambda done: None)


def counted(items: Iterable[T], tell: Callable[[int], None]) -> Iterator[T]:
    """The items; `tell` is called now and then with how many have gone by."""
    for index, item in enumerate(items):
        if index % _TELL_EVERY == 0:
            tell(index)
        yield item
