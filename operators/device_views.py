"""The views that events are folded into, of devices and of groups, described for the JVM, which does the folding.

Here is said what rows there are, how they are keyed and versioned, what they hold and how long they are kept. What the
values mean is said by the oracle, with which the fold must agree.
"""

from collections.abc import Mapping
from typing import Literal, get_args

import msgspec

from telefold.schemas.limits import LIMITS
from telefold.schemas.view_rows import LATEST, ROLLUPS, device_partition, group_partition, latest_sort
from telefold.schemas.windows import Calendar, calendar_of

RollupValue = Literal["count", "sum", "min", "max", "m2", "first_at", "first", "last_at", "last", "increase"]
LatestValue = Literal["value", "at"]

_ROLLUP_DATA: tuple[RollupValue, ...] = get_args(RollupValue)
_GROUP_DATA: tuple[RollupValue, ...] = tuple(name for name in _ROLLUP_DATA if name not in ("first", "last"))
"""The values of a group's rollup; a group has no first and last reading, because its devices' clocks differ."""
_LATEST_DATA: tuple[LatestValue, ...] = ("value", "at")


class RowFormat(msgspec.Struct, frozen=True):
    """How the rows of one view look. Their partition ends with the device or the group, their sort key with the metric,
    and of a rollup with the start of its window after it."""

    view: str
    partition_prefix: str
    sort_prefix: str
    version: str
    """The value that is the version: one that never falls, and depends on the folded events alone."""
    data: Mapping[str, str]
    """Field -> value."""
    retention_s: int | None
    """Seconds until a row expires: from its reading, or from where its window ends if it is as long as it can be."""


class Rollup(msgspec.Struct, frozen=True):
    size: str
    """The size as it is written in the settings, and in the keys of rows."""
    window_ms: int
    """How long one can be at most; all are as long that go by no calendar."""
    calendar: Calendar | None
    row: RowFormat


class DeviceViews(msgspec.Struct, frozen=True):
    max_metrics: int
    """How many metrics of one device are known at a time."""
    latest: RowFormat | None
    rollups: tuple[Rollup, ...]

    @property
    def state_name(self) -> str:
        """Differs for views whose state differs, window sizes in another order among them."""
        latest = [LATEST] if self.latest else []
        return "-".join(["fold", *latest, *(rollup.size for rollup in self.rollups)])


def device_views(sizes: Mapping[str, int], views: tuple[str, ...], retention: Mapping[str, int | None]) -> DeviceViews:
    """The wanted of `views`; `sizes` gives the rollup windows in milliseconds by label, `retention` seconds by view."""
    return DeviceViews(
        max_metrics=LIMITS.metrics_of_a_device,
        latest=_latest(retention[LATEST]) if LATEST in views else None,
        rollups=tuple(
            _rollup(size, ms, retention[ROLLUPS], device_partition(""), _ROLLUP_DATA)
            for size, ms in sizes.items()
            if ROLLUPS in views
        ),
    )


def group_views(sizes: Mapping[str, int], retention_s: int | None) -> DeviceViews:
    """The rollups of groups, as `device_views` has those of devices."""
    return DeviceViews(
        max_metrics=LIMITS.metrics_of_a_device,
        latest=None,
        rollups=tuple(_rollup(size, ms, retention_s, group_partition(""), _GROUP_DATA) for size, ms in sizes.items()),
    )


def _latest(retention_s: int | None) -> RowFormat:
    """The newest reading of a metric; the version grows with its event_time, and at one time with each reading."""
    return RowFormat(
        LATEST, device_partition(""), latest_sort(""), version="at_and_readings",
        data={name: name for name in _LATEST_DATA}, retention_s=retention_s,
    )  # fmt: skip


def _rollup(
    size: str, window_ms: int, retention_s: int | None, partition: str, data: tuple[RollupValue, ...]
) -> Rollup:
    """The rollup of a metric in a window; the version counts the events folded."""
    return Rollup(
        size,
        window_ms,
        calendar_of(size),
        RowFormat(
            ROLLUPS,
            partition,
            f"rollup#{size}#",
            version="count",
            data={name: name for name in data},
            retention_s=retention_s,
        ),
    )
