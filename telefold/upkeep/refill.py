"""The rows of the durable store written into the fast one again, which has lost them."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from itertools import groupby
from operator import itemgetter
from threading import Event
from typing import NamedTuple

from telefold.connectors.dynamodb_scan import DynamoDbScan, Key
from telefold.connectors.retry_policy import RetryPolicy
from telefold.jobs import stores
from telefold.jobs.settings import Settings
from telefold.schemas.packed_rows import BLOCKS, PACKED, block_prefix, pack, unpack
from telefold.schemas.view_rows import ViewRow, ViewUpdate
from telefold.schemas.view_stores import Refused, ViewWriter, WriteResult
from telefold.views.rollups import ROLLUP_PREFIX

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


def refill(settings: Settings, tell: Callable[[int], None] = lambda rows: None) -> Refilled:
    """Write every row that the table holds into Redis, where none steps back: the job may go on beside it.

    Of the generations, those that are read, or may be again. Outages are waited out; raises StoreFull where Redis has
    no room for all, and StoreRefused where trying again cannot help. `tell` is called now and
    then with how many rows are done.
    """
    with closing(stores.open_generations(settings)) as store:
        generations = store.load()
        store.publish(generations)
    stopping = Event()
    retry_policy = RetryPolicy(stopping=stopping)
    with closing(stores.open_scan(settings)) as scan, ExitStack() as opened:
        writers = {number: stores.open_cache_writer(settings, number, retry_policy) for number in generations.may_run}
        for writer in writers.values():
            opened.callback(writer.close)
        copy = _Copy(scan, writers, retry_policy)
        with ThreadPoolExecutor(_PARTS, "refill") as threads:
            try:
                return _go_through(threads, copy, tell)
            finally:
                stopping.set()


def _go_through(threads: ThreadPoolExecutor, copy: "_Copy", tell: Callable[[int], None]) -> Refilled:
    done = Refilled(0, 0)
    pages = deque(threads.submit(copy.page, part, None) for part in range(_PARTS))
    while pages:
        result, part, key = pages.popleft().result()
        done = Refilled(done.written + result.written, done.newer + result.stale, done.refused + result.refused)
        tell(done.read)
        if key is not None:
            pages.append(threads.submit(copy.page, part, key))
    return done


def closed_windows(item: ViewUpdate) -> Iterator[ViewUpdate]:
    """The windows before the current ones in a head, as blocks: one for each size, named for the head.

    The table has them in heads until their blocks are over. In Redis the job's next head, which lacks them, would take
    the place of this one, and its next block comes later.
    """
    if item.packed is None or item.sort.startswith(BLOCKS):
        return
    windows: defaultdict[str, list[ViewRow]] = defaultdict(list)
    for row in unpack(item.packed):
        if row.sort.startswith(ROLLUP_PREFIX):
            windows[row.sort.split("#")[1]].append(row)
    for size, rows in windows.items():
        current = max(map(_start, rows))
        if closed := [row for row in rows if _start(row) < current]:
            expiries = [row.expires_at for row in closed]
            yield ViewUpdate(
                PACKED,
                item.partition,
                f"{block_prefix(size)}{min(map(_start, closed))}#{item.sort}",
                sum(row.version for row in closed),
                expires_at=None if None in expiries else max(filter(None, expiries)),
                packed=pack(closed),
                changed=tuple(row.sort for row in closed),
            )


def _start(row: ViewRow) -> str:
    return row.sort.rsplit("#", 1)[1]


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
                updates = [one for _, update in rows for one in (update, *closed_windows(update))]
                total = total.plus(self.writers[generation].write(updates))
        return total, part, page.next_key
