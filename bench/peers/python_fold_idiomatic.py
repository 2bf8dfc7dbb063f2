"""The same fold as PyFlink's documentation would have it: keyed in Python, state read and written for each event."""

from collections.abc import Iterator
from typing import Any

import msgspec
from pyflink.common import Types
from pyflink.datastream.functions import KeyedProcessFunction, RuntimeContext
from pyflink.datastream.state import ValueStateDescriptor

from bench.peers import flink
from bench.peers.idiomatic import Write
from bench.peers.python_fold import accepted
from bench.peers.work import Timing, Work
from telefold.edge.java import edge
from telefold.edge.streams import map_each
from telefold.operators.folds.device import Device
from telefold.operators.folds.fold_run import TIMES_AN_EVENT
from telefold.schemas.events import DeviceEvent
from telefold.schemas.view_rows import ViewUpdate

_decode = msgspec.json.Decoder(DeviceEvent).decode


def run(work: Work) -> Timing:
    def build(environment: Any) -> None:
        lines = edge().python.EventLines
        events = map_each(accepted(environment, work), lines(), lines.type(), "event-lines")
        (events.key_by(lambda event: event[0], Types.STRING()).process(_Fold()).process(Write(str(work.rows))))

    return flink.run(work, build)


class _Fold(KeyedProcessFunction):
    def open(self, context: RuntimeContext) -> None:
        self._fold = Device()
        self._state = context.get_state(ValueStateDescriptor("device", Types.PICKLED_BYTE_ARRAY()))

    def process_element(self, event: Any, context: KeyedProcessFunction.Context) -> Iterator[ViewUpdate]:
        decoded = _decode(event[1])
        state = self._fold.evolve(self._state.value() or self._fold.initial(decoded.device_id), decoded)
        self._state.update(state)
        for row in self._fold.rows(state):
            yield ViewUpdate(self._fold.name, event[0], row.sort, state.events * TIMES_AN_EVENT, row.data)
