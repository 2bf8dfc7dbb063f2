"""Waiting for what others do."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from telefold.schemas.errors import DeployError

T = TypeVar("T")


@dataclass(frozen=True)
class Poller:
    """The clock (epoch seconds) and how long is waited between two looks."""

    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    every_s: float = 5.0

    def until(self, look: Callable[[], T | None], patience_s: float, what: str) -> T:
        """Return what `look` returns once that is not None; raises DeployError, naming `what`, after `patience_s`."""
        deadline = self.now() + patience_s
        while (seen := look()) is None:
            if self.now() >= deadline:
                raise DeployError(
                    f"{what} has not come to an end within {patience_s / 60:g} min: look at it in AWS, then"
                    " run this again."
                )
            self.sleep(self.every_s)
        return seen
