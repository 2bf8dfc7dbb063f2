"""The fold of each device's events into its views: deduplicated, latest values and rollups, in the JVM."""

from collections.abc import Iterable
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec
from pyflink.datastream import DataStream
from pyflink.java_gateway import get_gateway

from operators.device_views import DeviceViews
from operators.flink.jvm import edge
from schemas.corrections import Correction, winning
from schemas.log_records import Positions


class TimeRules(NamedTuple):
    """Durations in milliseconds; see `telefold.job` in `jobs.settings`."""

    horizon: int
    lateness: int
    retention: int
    largest_window: int
    device_retention: int


class Folded(NamedTuple):
    batches: DataStream
    """Rows of (count, that many lines): each line a `schemas.view_rows.ViewUpdate` in JSON that changed."""
    accepted: DataStream
    """The events that were folded, each once."""
    set_aside: DataStream
    """Those that came too late, or with too many new names; each has its reason."""


def fold_devices(
    events: DataStream,
    views: DeviceViews,
    rules: TimeRules,
    *,
    interval_ms: int,
    max_rows: int,
    cut: Positions = MappingProxyType({}),
    corrections: Iterable[Correction] = (),
    rows_since_ms: int | None = None,
) -> Folded:
    """Fold `events` into `views`; duplicates and corrections are only counted.

    Changed rows leave every `interval_ms`, at `max_rows`, and before every checkpoint barrier, so that none is kept
    over it. What is late is judged by the device's own clock, the newest event_time that it has sent so far, and so is
    how many metrics of it are known. That makes every decision a function of the device's events in the order of its
    shard, so a replay decides as the first run did.

    With `rows_since_ms` all is folded, and rows leave only for events that arrived then (epoch milliseconds) or later.

    Events within `cut` are forgiven: never too late, and folded as `corrections`, those that lie within the cut, say.
    """
    operator = edge().DeviceFold(
        edge().TimeRules(*rules),
        edge().Cut.of(dict(cut)),
        _corrections_in_jvm(corrections),
        edge().DeviceViews.parse(msgspec.json.encode(views).decode()),
        interval_ms,
        max_rows,
    )
    if rows_since_ms is not None:
        operator = operator.emittingSince(rows_since_ms)
    keyed = events._j_data_stream.keyBy(
        edge().DeviceKey(), get_gateway().jvm.org.apache.flink.api.common.typeinfo.Types.STRING
    )
    # State of other views would be read as if it were of these: under another uid Flink refuses it.
    folded = keyed.transform("fold", edge().DeviceFold.batchType(), operator).uid(views.state_name)
    return Folded(
        DataStream(folded),
        DataStream(folded.getSideOutput(edge().DeviceFold.accepted())),
        DataStream(folded.getSideOutput(edge().DeviceFold.setAside())),
    )


def _corrections_in_jvm(corrections: Iterable[Correction]) -> Any:
    return edge().Corrections.parse(msgspec.json.encode(list(winning(corrections).values())).decode())
