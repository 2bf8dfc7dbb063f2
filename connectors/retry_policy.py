"""An outage is waited out, and the log says so."""

import logging
import time
from collections.abc import Callable
from threading import Event
from typing import TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_when_event_set,
    wait_random_exponential,
)

from telefold.connectors.event_log import StreamUnavailable
from telefold.schemas.errors import StoreUnavailable

T = TypeVar("T")

OnRetry = Callable[[str], None]
"""Called with the name of what is away, each time that it is tried again."""

_log = logging.getLogger(__name__)
_LONGEST_PAUSE_S = 10.0
_WARN_EVERY_S = 10.0


def ignore(name: str) -> None:
    """An `OnRetry` that does nothing, where nobody counts."""


class RetryPolicy:
    """Tries again what is unavailable for as long as it takes, or until `stopping` is set."""

    def __init__(
        self,
        *,
        on_retry: OnRetry = ignore,
        stopping: Event | None = None,
        sleep: Callable[[float], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._on_retry = on_retry
        self._stopping = stopping or Event()
        self._sleep = sleep or sleep_using_event(self._stopping)
        self._clock = clock

    def retry_until_available(self, name: str, do: Callable[[], T]) -> T:
        """Return what `do` returns. Its StoreUnavailable or StreamUnavailable is raised only once `stopping` is set."""
        outage = _Outage(name, self._clock, self._on_retry)
        retrying = Retrying(
            retry=retry_if_exception_type((StoreUnavailable, StreamUnavailable)),
            wait=wait_random_exponential(multiplier=0.1, max=_LONGEST_PAUSE_S),
            stop=stop_when_event_set(self._stopping),
            sleep=self._sleep,
            before_sleep=outage.goes_on,
            reraise=True,
        )
        result = retrying(do)
        outage.ends()
        return result


class _Outage:
    """Says in the log that something is away, now and then how long, and when it is back."""

    def __init__(self, name: str, clock: Callable[[], float], on_retry: OnRetry) -> None:
        self._name = name
        self._clock = clock
        self._on_retry = on_retry
        self._began: float | None = None
        self._warned = 0.0

    def goes_on(self, attempt: RetryCallState) -> None:
        now = self._clock()
        if self._began is None:
            self._began = now
            self._warn(now, f"{self._name} is unavailable, trying again until it is back", attempt)
        elif now - self._warned >= _WARN_EVERY_S:
            self._warn(now, f"{self._name} has been unavailable for {now - self._began:.0f} s", attempt)
        self._on_retry(self._name)

    def ends(self) -> None:
        if self._began is not None:
            _log.info("%s is back after %.1f s", self._name, self._clock() - self._began, extra={"store": self._name})

    def _warn(self, now: float, line: str, attempt: RetryCallState) -> None:
        self._warned = now
        why = attempt.outcome.exception() if attempt.outcome else ""
        _log.warning("%s: %s", line, why, extra={"store": self._name, "attempt": attempt.attempt_number})
