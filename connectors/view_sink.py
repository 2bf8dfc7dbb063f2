"""The end of a job: batches of view updates from the JVM, written by a `ViewWriter`."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
from pyflink.common import Row, Types
from pyflink.datastream import DataStream
from pyflink.datastream.functions import ProcessFunction, RuntimeContext

from telefold.connectors.retry_policy import OnRetry
from telefold.edge.java import edge
from telefold.edge.streams import map_each, process_each
from telefold.edge.worker import end_with_task_manager
from telefold.schemas.log_lines import set_up_log
from telefold.schemas.set_aside import Letter, no_row, row_refused
from telefold.schemas.view_rows import ViewUpdate
from telefold.schemas.view_stores import Refused, ViewWriter, WriteResult

LETTER_TYPE = Types.ROW([Types.STRING(), Types.STRING()])
"""A `schemas.set_aside.Letter`."""

_log = logging.getLogger(__name__)
_decoder = msgspec.json.Decoder(ViewUpdate)
_SAID_EVERY_S = 60.0
_DUE = ',"to":"durable"}'
"""The end of a line that is for the durable store alone."""
_NO_ROW = (msgspec.MsgspecError, UnicodeError, RecursionError)


class ViewSink(ProcessFunction):
    """Writes each batch before it takes the next, so a checkpoint never covers a row that is not in the stores.

    What no store takes leaves as `LETTER_TYPE`. A replay writes rows again that the stores have seen; their versions
    make that harmless.
    """

    def __init__(self, connect: Callable[[OnRetry], ViewWriter]) -> None:
        self._connect = connect

    def open(self, context: RuntimeContext) -> None:
        set_up_log()
        end_with_task_manager()
        # As `Metrics` of the JVM edge says. No gauges: in thread mode Flink would call them amid a write.
        metrics = context.get_metrics_group().add_group("kinesisanalytics").add_group("Program", "telefold")
        self._written = metrics.counter("rowsWritten")
        self._stale = metrics.counter("rowsStale")
        self._refused = metrics.counter("rowsRefused")
        self._not_in_redis = metrics.counter("rowsNotInRedis")
        self._writes = metrics.counter("writes")
        self._write_ms = metrics.counter("writeMsTotal")
        self._told = metrics.counter("alertsTold")
        retries = metrics.counter("storeRetries")
        self._refusals = Refusals()
        self._writer = self._connect(lambda store: retries.inc())

    def process_element(self, batch: Any, context: ProcessFunction.Context) -> Iterator[Row]:
        began = time.monotonic()
        decoded = decode_batch(batch[1])
        result = self._writer.write(decoded.updates)
        self._write_ms.inc(round((time.monotonic() - began) * 1_000))
        self._count(result)
        if not decoded.rest and not result.refused:
            return iter(())
        self._refused.inc(len(decoded.rest) + len(result.refused))
        return iter([Row(*letter) for letter in self._refusals.letters(result.refused, decoded.rest)])

    def _count(self, result: WriteResult) -> None:
        self._writes.inc()
        self._written.inc(result.written)
        self._stale.inc(result.stale)
        self._told.inc(result.told)
        self._not_in_redis.inc(result.not_in_cache)

    def close(self) -> None:
        if hasattr(self, "_writer"):
            self._writer.close()


class NoRow(NamedTuple):
    """A line that no update can be made of, and why."""

    line: str
    why: str


class Batch(NamedTuple):
    updates: list[ViewUpdate]
    rest: list[NoRow]


def decode_batch(lines: str) -> Batch:
    """The updates in `lines`, one JSON object a line. JSON escapes its own line breaks, so none is inside an object."""
    try:
        return Batch(_decoder.decode_lines(lines), [])
    except _NO_ROW:
        return _one_by_one(lines)


def _one_by_one(lines: str) -> Batch:
    batch = Batch([], [])
    for line in filter(str.strip, lines.split("\n")):
        try:
            batch.updates.append(_decoder.decode(line))
        except _NO_ROW as error:
            # What is due was told of when it was for the fast store.
            if not line.endswith(_DUE):
                batch.rest.append(NoRow(line, f"it cannot be read as a row ({error})"))
    return batch


class Refusals:
    """Makes letters of what was refused, and says so in the log, of each view not more than once a minute."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._said: dict[str, float] = {}
        self._unsaid: dict[str, int] = {}

    def letters(self, refused: tuple[Refused, ...], rest: list[NoRow]) -> Iterator[Letter]:
        now = self._clock()
        for row, why in refused:
            self._say(now, row.view[:100], why, partition=row.partition[:300], sort=row.sort[:300])
            yield from row_refused(row, why, round(now * 1_000))
        for line, why in rest:
            self._say(now, "", why, partition=None, sort=None)
            yield from no_row(line, why, round(now * 1_000))

    def _say(self, now: float, view: str, why: str, **place: str | None) -> None:
        if now - self._said.get(view, -_SAID_EVERY_S) < _SAID_EVERY_S:
            self._unsaid[view] = self._unsaid.get(view, 0) + 1
            return
        self._said[view] = now
        fields = {"view": view or None, **place, "unsaid": self._unsaid.pop(view, None)}
        _log.warning("row refused: %s", why[:1_000], extra=fields)


def write_views(batches: Sequence[DataStream], connect: Callable[[OnRetry], ViewWriter]) -> DataStream:
    """Write `batches`, rows of a count and that many lines of JSON, with a writer that `connect` opens in each task.

    Returns the letters of the rows that no store takes, as `LETTER_TYPE`.
    """
    view = edge().view
    first, *others = (
        map_each(one, view.PackedBatches.pack(), view.PackedBatches.type(), f"{one.get_name()}-packed")
        for one in batches
    )
    packed = first.union(*others) if others else first
    unpacked = map_each(packed, view.PackedBatches.unpack(), view.RowLines.batchType(), "batches").start_new_chain()
    return process_each(unpacked, ViewSink(connect), LETTER_TYPE, "view-writer")
