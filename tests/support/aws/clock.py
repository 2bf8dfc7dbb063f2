"""Time that passes only when somebody waits."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(order=True)
class _Due:
    at: float
    number: int
    do: Callable[[], None] = field(compare=False)


class Clock:
    """Epoch seconds, a day ago at first. What is due is done, in order, as time passes it."""

    def __init__(self) -> None:
        self._now = float(int(time.time()) - 86_400)
        self._due: list[_Due] = []
        self._count = 0
        self.lock = threading.RLock()

    def now(self) -> float:
        with self.lock:
            return self._now

    def sleep(self, seconds: float) -> None:
        with self.lock:
            end = self._now + seconds
            while self._due and min(self._due).at <= end:
                first = min(self._due)
                self._due.remove(first)
                self._now = max(self._now, first.at)
                first.do()
            self._now = end

    def after(self, seconds: float, do: Callable[[], None]) -> None:
        with self.lock:
            self._count += 1
            self._due.append(_Due(self._now + seconds, self._count, do))
