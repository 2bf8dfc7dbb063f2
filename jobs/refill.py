"""What is hot of the durable store written into the fast one again, which has lost it."""

from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import ExitStack, closing
from itertools import groupby
from operator import itemgetter
from threading import Event
from typing import NamedTuple
from uuid import uuid4

from telefold.connectors.dynamodb_scan import DynamoDbScan, Key
from telefold.connectors.retry_policy import RetryPolicy
from telefold.jobs import stores
from telefold.jobs.settings import Settings
from telefold.schemas.errors import StoreUnavailable
from telefold.schemas.packed_rows import with_closed_windows
from telefold.schemas.view_stores import Refused, ViewWriter, WriteResult

_LOOK_EVERY_S = 0.5
_PARTS = 8
"""The parts of the table, each read by a thread of its own."""


class Refilled(NamedTuple):
    written: int
    newer: int
    """Rows of which Redis had a newer state: the job had written it meanwhile."""
    refused: tuple[Refused, ...] = ()
    """Rows that Redis does not take, or that are none of a job's: they are in the table alone."""

    @property
    def read(self) -> int:
        return self.written + self.newer + len(self.refused)


def refill(
    settings: Settings, tell: Callable[[int], None] = lambda rows: None, stopping: Event | None = None
) -> Refilled:
    """Write every row that the table holds and that is hot into Redis, where none steps back: the job may go on.

    Of the generations, those that are read, or may be again. Redis is marked as whole then. Outages are waited out,
    until `stopping` is set; raises StoreFull where Redis has no room for all, and StoreRefused where trying again
    cannot help. `tell` is called now and then with how many rows are done.
    """
    broken_off, owner = Event(), uuid4().hex
    retry_policy = RetryPolicy(stopping=broken_off)
    with ExitStack() as opened:
        marker = opened.enter_context(closing(stores.open_marker(settings)))
        marker.begin(owner)
        with closing(stores.open_generations(settings)) as store:
            generations = store.load()
            store.publish(generations)
        scan = opened.enter_context(closing(stores.open_scan(settings)))
        writers = {number: stores.open_cache_writer(settings, number, retry_policy) for number in generations.may_run}
        for writer in writers.values():
            opened.callback(writer.close)
        copy = _Copy(scan, writers, retry_policy)
        with ThreadPoolExecutor(_PARTS, "refill") as threads:
            try:
                done = _go_through(threads, copy, tell, stopping or broken_off)
            finally:
                broken_off.set()
        if not marker.set_whole(owner):
            raise StoreUnavailable("Redis was emptied while it was being filled.")
        return done


def _go_through(threads: ThreadPoolExecutor, copy: "_Copy", tell: Callable[[int], None], stopping: Event) -> Refilled:
    done = Refilled(0, 0)
    pages = deque(threads.submit(copy.page, part, None) for part in range(_PARTS))
    while pages:
        while not wait(pages, _LOOK_EVERY_S, FIRST_COMPLETED).done:
            if stopping.is_set():
                raise StoreUnavailable("Redis was not filled: whoever asked for that is ending.")
        result, part, key = pages.popleft().result()
        done = Refilled(done.written + result.written, done.newer + result.stale, done.refused + result.refused)
        tell(done.read)
        if key is not None:
            pages.append(threads.submit(copy.page, part, key))
    return done


class _Copy(NamedTuple):
    scan: DynamoDbScan
    writers: Mapping[int, ViewWriter]
    """A writer for each generation; rows of others are left out."""
    retry_policy: RetryPolicy

    def page(self, part: int, key: Key) -> tuple[WriteResult, int, Key]:
        """Write the rows of a page of a part of the table; return the result, the part, and where the next begins."""
        page = self.retry_policy.retry_until_available("dynamodb", lambda: self.scan.page(part, _PARTS, key))
        total = WriteResult(written=0, stale=0)
        for generation, rows in groupby(sorted(page.rows, key=itemgetter(0)), itemgetter(0)):
            if generation in self.writers:
                updates = with_closed_windows(update for _, update in rows)
                total = total.plus(self.writers[generation].write(updates))
        return total, part, page.next_key
