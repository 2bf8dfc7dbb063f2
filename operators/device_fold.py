"""The fold of each device's events into its views: deduplicated, latest values and rollups, in the JVM."""

from collections.abc import Iterable
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec
from pyflink.datastream import DataStream

from telefold.edge.java import edge, jvm
from telefold.edge.streams import key_by, side_output, transform
from telefold.operators.device_views import DeviceViews
from telefold.schemas.corrections import Correction, winning
from telefold.schemas.errors import SettingsError
from telefold.schemas.log_records import Positions


class TimeRules(NamedTuple):
    """The durations of `JobSettings` that a fold goes by."""

    horizon_ms: int
    lateness_ms: int
    retention_ms: int
    largest_window_ms: int
    device_retention_ms: int


class Folded(NamedTuple):
    batches: DataStream
    """Rows of (count, that many lines): each line a `schemas.view_rows.ViewUpdate` in JSON that changed."""
    accepted: DataStream
    """The events that were folded, each once."""
    set_aside: DataStream
    """Events that came too late, or with too many new names; each has its reason."""


def fold_devices(
    events: DataStream,
    views: DeviceViews,
    rules: TimeRules,
    *,
    interval_ms: int,
    max_rows: int,
    durable_ms: int = 0,
    cut: Positions = MappingProxyType({}),
    corrections: Iterable[Correction] = (),
    rows_since_ms: int | None = None,
    tells_increases: bool = False,
) -> Folded:
    """Fold `events` into `views`; duplicates and corrections are only counted.

    Changed rows leave every `interval_ms`, at `max_rows`, and before every checkpoint barrier, so that none is kept
    over it. What is late is decided by the device's own clock, the newest event_time that it has sent so far, and so is
    how many metrics of it are known. That makes every decision a function of the device's events in the order of its
    shard, so a replay decides as the first run did.

    What changed is for the fast store then, and for the durable one at most `durable_ms` later; 0 makes it for both.

    With `rows_since_ms` all is folded, and rows leave only for events that arrived then (epoch milliseconds) or later.

    With `tells_increases` the accepted events have with them by how much each counter rose.

    Events within `cut` are forgiven: never too late, and folded as `corrections`, those that lie within the cut, say.
    """
    operator = edge().fold.DeviceFold(
        edge().fold.TimeRules(*rules),
        edge().event.Cut.of(dict(cut)),
        _corrections_in_jvm(corrections),
        views_in_jvm(views),
        interval_ms,
        max_rows,
    )
    operator = operator.durableEvery(durable_ms)
    if rows_since_ms is not None:
        operator = operator.emittingSince(rows_since_ms)
    if tells_increases:
        operator = operator.tellingIncreases()
    keyed = key_by(events, edge().event.DeviceKey())
    # State of other views would be read as if it were of these: under another uid Flink refuses it.
    folded = transform(keyed, operator, edge().view.RowLines.batchType(), "fold", uid=views.state_name)
    return Folded(
        folded,
        side_output(folded, edge().fold.DeviceFold.accepted()),
        side_output(folded, edge().fold.DeviceFold.setAside()),
    )


def views_in_jvm(views: DeviceViews) -> Any:
    """The edge's object of the same name. Raises SettingsError for time zones that this Java does not have."""
    known = jvm().java.time.ZoneId.getAvailableZoneIds()
    unknown = [each.size for each in views.rollups if each.calendar and not known.contains(each.calendar.zone)]
    if unknown:
        raise SettingsError(
            [
                f"telefold.job/rollup.sizes: the Java that runs the job does not know the time zone of {size}; a newer"
                " Java may, or choose another zone with the same clock"
                for size in unknown
            ]
        )
    return edge().view.DeviceViews.parse(msgspec.json.encode(views).decode())


def _corrections_in_jvm(corrections: Iterable[Correction]) -> Any:
    return edge().fold.Corrections.parse(msgspec.json.encode(list(winning(corrections).values())).decode())
