"""The end of a job: batches of view updates from the JVM, written by a `ViewWriter`."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from pyflink.datastream import DataStream
from pyflink.datastream.functions import ProcessFunction, RuntimeContext

from connectors.patience import OnRetry
from schemas.log_lines import set_up_log
from schemas.view_rows import ViewUpdate
from schemas.view_stores import ViewWriter

_decode_lines = msgspec.json.Decoder(ViewUpdate).decode_lines


class ViewSink(ProcessFunction):  # type: ignore[misc]
    """Writes each batch before it takes the next, so a checkpoint never covers a row that is not in the stores.

    A replay writes rows again that the stores have seen; their versions make that harmless.
    """

    def __init__(self, connect: Callable[[OnRetry], ViewWriter]) -> None:
        self._connect = connect

    def open(self, context: RuntimeContext) -> None:
        set_up_log()
        # As `Metrics` of the JVM edge says. No gauges: in thread mode Flink would call them amid a write.
        metrics = context.get_metrics_group().add_group("kinesisanalytics").add_group("Program", "telefold")
        self._written = metrics.counter("rowsWritten")
        self._stale = metrics.counter("rowsStale")
        self._writes = metrics.counter("writes")
        self._write_ms = metrics.counter("writeMsTotal")
        self._told = metrics.counter("alertsTold")
        retries = metrics.counter("storeRetries")
        self._writer = self._connect(lambda store: retries.inc())

    def process_element(self, batch: Any, context: ProcessFunction.Context) -> Iterator[Any]:
        began = time.monotonic()
        result = self._writer.write(decode_batch(batch[1]))
        self._write_ms.inc(round((time.monotonic() - began) * 1_000))
        self._writes.inc()
        self._written.inc(result.written)
        self._stale.inc(result.stale)
        self._told.inc(result.told)
        return iter(())

    def close(self) -> None:
        if hasattr(self, "_writer"):
            self._writer.close()


def decode_batch(lines: str) -> list[ViewUpdate]:
    """The updates in `lines`, one JSON object a line. JSON escapes its own line breaks, so none is inside an object."""
    return _decode_lines(lines)


def write_views(batches: DataStream, connect: Callable[[OnRetry], ViewWriter]) -> None:
    """Write `batches`, rows of a count and that many lines of JSON, with a writer that `connect` opens in each task."""
    batches.process(ViewSink(connect)).name("view-writer").uid("view-writer").start_new_chain()
