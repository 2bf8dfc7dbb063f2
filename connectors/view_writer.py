"""The writer of a job: the durable store, then the fast one, with patience."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from threading import Event

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    sleep_using_event,
    stop_when_event_set,
    wait_random_exponential,
)

from connectors.view_rows import batches, coalesce
from schemas.errors import StoreUnavailable
from schemas.view_rows import ViewUpdate
from schemas.view_stores import ViewWriter, WriteResult

_log = logging.getLogger(__name__)
# So many rows go to each store in turn: those of a large batch need not wait in the fast store for the slow one.
_ROWS_AT_ONCE = 400
# Those of a partition go together: what the fast store does for each partition it then does once.
_partition = attrgetter("partition")
_LONGEST_PAUSE_S = 10.0
_WARN_EVERY_S = 10.0


class PartlyWritten(StoreUnavailable):
    """Some rows are done, as `result` counts them; `unwritten` alone is worth trying again."""

    def __init__(self, message: str, result: WriteResult, unwritten: Sequence[ViewUpdate]) -> None:
        self.result = result
        self.unwritten = unwritten
        super().__init__(message)


class ViewStores:
    """A ViewWriter that writes to each store in turn and returns when all have acknowledged.

    A store that is unavailable is tried again for as long as it takes, or until `stopping` is set: then its
    StoreUnavailable is raised. StoreRefused is raised at once. `on_retry` is called with the store's name before
    each further attempt. A write that was broken off and is done again changes nothing.
    """

    def __init__(
        self,
        stores: Mapping[str, ViewWriter],
        *,
        on_retry: Callable[[str], None] = lambda store: None,
        stopping: Event | None = None,
        sleep: Callable[[float], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stores = stores
        self._on_retry = on_retry
        self._stopping = stopping or Event()
        self._sleep = sleep or sleep_using_event(self._stopping)
        self._clock = clock

    def write(self, updates: Sequence[ViewUpdate]) -> WriteResult:
        """Counts what became of the rows in the first store, which is the one that views are rebuilt from."""
        total = WriteResult(written=0, stale=0)
        rows = sorted(coalesce(updates), key=_partition)
        for some in batches(rows, _ROWS_AT_ONCE):
            results = [self._write_to(name, store, some) for name, store in self._stores.items()]
            total = WriteResult(total.written + results[0].written, total.stale + results[0].stale)
        return total

    def _write_to(self, name: str, store: ViewWriter, updates: Sequence[ViewUpdate]) -> WriteResult:
        outage = _Outage(name, self._clock, self._on_retry)
        work = _Work(store, updates)
        retrying = Retrying(
            retry=retry_if_exception_type(StoreUnavailable),
            wait=wait_random_exponential(multiplier=0.1, max=_LONGEST_PAUSE_S),
            stop=stop_when_event_set(self._stopping),
            sleep=self._sleep,
            before_sleep=outage.goes_on,
            reraise=True,
        )
        result = retrying(work.go_on)
        outage.ends()
        return result

    def close(self) -> None:
        for store in self._stores.values():
            store.close()


class _Work:
    """One batch for one store, less what earlier attempts have written."""

    def __init__(self, store: ViewWriter, updates: Sequence[ViewUpdate]) -> None:
        self._store = store
        self._updates = updates
        self._done = WriteResult(written=0, stale=0)

    def go_on(self) -> WriteResult:
        try:
            return self._add(self._store.write(self._updates))
        except PartlyWritten as error:
            self._done = self._add(error.result)
            self._updates = error.unwritten
            raise

    def _add(self, result: WriteResult) -> WriteResult:
        return WriteResult(self._done.written + result.written, self._done.stale + result.stale)


class _Outage:
    """Says in the log that a store is away, now and then how long, and when it is back."""

    def __init__(self, store: str, clock: Callable[[], float], on_retry: Callable[[str], None]) -> None:
        self._store = store
        self._clock = clock
        self._on_retry = on_retry
        self._began: float | None = None
        self._warned = 0.0

    def goes_on(self, attempt: RetryCallState) -> None:
        now = self._clock()
        if self._began is None:
            self._began = now
            self._warn(now, f"{self._store} is unavailable, trying again until it is back", attempt)
        elif now - self._warned >= _WARN_EVERY_S:
            self._warn(now, f"{self._store} has been unavailable for {now - self._began:.0f} s", attempt)
        self._on_retry(self._store)

    def ends(self) -> None:
        if self._began is not None:
            _log.info("%s is back after %.1f s", self._store, self._clock() - self._began, extra={"store": self._store})

    def _warn(self, now: float, line: str, attempt: RetryCallState) -> None:
        self._warned = now
        why = attempt.outcome.exception() if attempt.outcome else ""
        _log.warning("%s: %s", line, why, extra={"store": self._store, "attempt": attempt.attempt_number})
