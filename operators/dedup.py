"""Deduplication: the first of each event_id of a device passes, once and for all."""

from collections.abc import Iterable
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec
from pyflink.datastream import DataStream
from pyflink.java_gateway import get_gateway

from operators.flink.jvm import edge
from schemas.corrections import Correction, winning
from schemas.log_records import Positions


class Deduplicated(NamedTuple):
    accepted: DataStream
    too_late: DataStream


def deduplicate(
    events: DataStream,
    *,
    horizon_ms: int,
    lateness_ms: int,
    retention_ms: int,
    largest_window_ms: int,
    cut: Positions = MappingProxyType({}),
    corrections: Iterable[Correction] = (),
) -> Deduplicated:
    """Split `events` into those to fold and those that are too late; duplicates and corrections are only counted.

    What is late is judged by the device's own clock, the newest event_time that it has sent so far. That makes every
    decision a function of the device's events in the order of its shard, so a replay decides as the first run did.

    Events within `cut` are forgiven: never too late, and folded as `corrections`, those that lie within the cut, say.
    """
    operator = edge().Deduplicate(
        horizon_ms, lateness_ms, retention_ms, largest_window_ms, edge().Cut.of(dict(cut)), _in_jvm(corrections)
    )
    keyed = events._j_data_stream.keyBy(
        edge().DeviceKey(), get_gateway().jvm.org.apache.flink.api.common.typeinfo.Types.STRING
    )
    accepted = keyed.process(operator, edge().EventRow.type()).name("deduplicate").uid("deduplicate")
    return Deduplicated(DataStream(accepted), DataStream(accepted.getSideOutput(edge().Deduplicate.tooLate())))


def _in_jvm(corrections: Iterable[Correction]) -> Any:
    return edge().Corrections.parse(msgspec.json.encode(list(winning(corrections).values())).decode())
