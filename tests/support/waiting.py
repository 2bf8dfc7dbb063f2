"""Waiting in a test for what other processes do, with patience for a machine that others use too."""

import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE_S = 300.0
"""Seconds after which a test gives up: several times what a crowded machine takes for the slowest of it."""

_T = TypeVar("_T")


def until(
    look: Callable[[], _T],
    is_right: Callable[[_T], object] = bool,
    told: Callable[[], object] | None = None,
    every_s: float = 0.1,
) -> _T:
    """What `look` returns once `is_right` holds of it; AssertionError with what `told` returns, or was seen last."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_right(found := look()):
        assert time.monotonic() < deadline, f"not within {PATIENCE_S:.0f} s: {told() if told else found}"
        time.sleep(every_s)
    return found
