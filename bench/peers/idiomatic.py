"""The job as PyFlink's documentation teaches it: a keyed process function over map state, one event at a time."""

import base64
import time
from collections.abc import Iterator
from typing import Any

from pyflink.common import Types, WatermarkStrategy
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.datastream.connectors.file_system import FileSource, StreamFormat
from pyflink.datastream.functions import KeyedProcessFunction, ProcessFunction, RuntimeContext
from pyflink.datastream.state import MapStateDescriptor

from bench.peers import flink
from bench.peers.rows import SIZES, add_reading, first_reading, latest_row, newest, rise, rollup_row
from bench.peers.work import SETTINGS, KeptViews, Timing, Work
from telefold.schemas.codec import decode
from telefold.schemas.view_rows import ViewUpdate, device_partition

_FLUSH_S = SETTINGS.job.flush_interval_ms / 1000
_EVENT = Types.TUPLE(
    [Types.STRING(), Types.STRING(), Types.LONG(), Types.LONG(), Types.MAP(Types.STRING(), Types.DOUBLE())]
)


def run(work: Work) -> Timing:
    def build(environment: StreamExecutionEnvironment) -> None:
        lines = FileSource.for_record_stream_format(StreamFormat.text_line_format(), work.inputs.lines).build()
        (
            environment.from_source(lines, WatermarkStrategy.no_watermarks(), "events")
            .map(_event, _EVENT)
            .key_by(lambda event: event[0], Types.STRING())
            .process(_Fold())
            .process(Write(str(work.rows)))
        )

    return flink.run(work, build)


def _event(line: str) -> tuple[str, str, int, int, dict[str, float]]:
    arrival, record = line.split(" ")
    event = decode(base64.b64decode(record), int(arrival))
    return event.device_id, event.event_id, event.event_time, event.sequence, dict(event.metrics)


class _Fold(KeyedProcessFunction):
    """Emits a row each time that it changes."""

    def open(self, context: RuntimeContext) -> None:
        self._seen = context.get_map_state(MapStateDescriptor("seen", Types.STRING(), Types.BOOLEAN()))
        self._latest = context.get_map_state(MapStateDescriptor("latest", Types.STRING(), Types.PICKLED_BYTE_ARRAY()))
        self._rollups = context.get_map_state(MapStateDescriptor("rollups", Types.STRING(), Types.PICKLED_BYTE_ARRAY()))

    def process_element(self, event: Any, context: KeyedProcessFunction.Context) -> Iterator[ViewUpdate]:
        device_id, event_id, at, sequence, metrics = event
        if self._seen.contains(event_id):
            return
        self._seen.put(event_id, True)
        partition = device_partition(device_id)
        for metric, value in metrics.items():
            held = self._latest.get(metric)
            rose = rise(held, at, sequence, event_id, value)
            reading = newest(held, at, sequence, event_id, value)
            if reading is not held:
                self._latest.put(metric, reading)
                yield latest_row(partition, metric, reading[0], reading[3], reading[4])
            for size, window_ms in SIZES:
                start = at - at % window_ms
                cell = f"{size} {start} {metric}"
                rollup = self._rollups.get(cell)
                if rollup is None:
                    rollup = first_reading(value, at, sequence, event_id, rose)
                else:
                    add_reading(rollup, value, at, sequence, event_id, rose)
                self._rollups.put(cell, rollup)
                yield rollup_row(partition, size, window_ms, metric, start, rollup)


class Write(ProcessFunction):
    """Hands the rows of a second over together; before a checkpoint it cannot, for PyFlink has no call for that."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def open(self, context: RuntimeContext) -> None:
        self._views = KeptViews(self._folder)
        self._waiting: list[ViewUpdate] = []
        self._due = time.monotonic() + _FLUSH_S

    def process_element(self, row: ViewUpdate, context: ProcessFunction.Context) -> Iterator[Any]:
        self._waiting.append(row)
        if time.monotonic() >= self._due:
            self._flush()
        return iter(())

    def close(self) -> None:
        self._flush()
        self._views.close()

    def _flush(self) -> None:
        self._views.write(self._waiting)
        self._waiting = []
        self._due = time.monotonic() + _FLUSH_S
