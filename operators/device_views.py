"""The views that a device's events are folded into, described for the JVM, which does the folding.

Here is said what rows there are, how they are keyed and versioned, what they hold and how long they are kept. What the
values mean is said by the oracle and, of rollups, in SQL (`operators/sql/`), with which the fold must agree.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec

from schemas.limits import LIMITS
from schemas.view_rows import LATEST, ROLLUPS, device_partition, latest_sort

RollupValue = Literal["count", "sum", "min", "max", "sum_sq", "first_at", "last_at"]
LatestValue = Literal["value", "at"]

_ROLLUP_DATA: tuple[RollupValue, ...] = ("count", "sum", "min", "max", "sum_sq", "first_at", "last_at")
_LATEST_DATA: tuple[LatestValue, ...] = ("value", "at")


class RowFormat(msgspec.Struct, frozen=True):
    """How the rows of one view look. Their partition ends with the device, their sort key with the metric, and of a
    rollup with the start of its window after it."""

    view: str
    partition_prefix: str
    sort_prefix: str
    version: str
    """Which value is the version: one that never falls, and depends on the folded events alone."""
    data: Mapping[str, str]
    """Field -> value."""
    kept_s: int | None
    """Seconds from the end of its window, or from its reading, until a row expires."""


class Rollup(msgspec.Struct, frozen=True):
    window_ms: int
    row: RowFormat


class DeviceViews(msgspec.Struct, frozen=True):
    max_metrics: int
    """So many metrics of one device are known at a time."""
    latest: RowFormat | None
    rollups: tuple[Rollup, ...]

    @property
    def state_name(self) -> str:
        """Differs for views whose state differs, window sizes in another order among them."""
        latest = [LATEST] if self.latest else []
        return "-".join(["fold", *latest, *(str(rollup.window_ms) for rollup in self.rollups)])


def device_views(sizes: Mapping[str, int], views: tuple[str, ...], retention: Mapping[str, int | None]) -> DeviceViews:
    """The wanted of `views`; `sizes` gives the rollup windows in milliseconds by label, `retention` seconds by view."""
    return DeviceViews(
        max_metrics=LIMITS.metrics_of_a_device,
        latest=_latest(retention[LATEST]) if LATEST in views else None,
        rollups=tuple(_rollup(size, ms, retention[ROLLUPS]) for size, ms in sizes.items() if ROLLUPS in views),
    )


def _latest(kept_s: int | None) -> RowFormat:
    """The newest reading of a metric; the version grows with its event_time, and at one time with each reading."""
    return RowFormat(
        LATEST, device_partition(""), latest_sort(""), version="at_and_readings",
        data={name: name for name in _LATEST_DATA}, kept_s=kept_s,
    )  # fmt: skip


def _rollup(size: str, window_ms: int, kept_s: int | None) -> Rollup:
    """Count, sum, extremes and sum of squares of a metric in a window; the version counts the events folded."""
    return Rollup(
        window_ms,
        RowFormat(
            ROLLUPS, device_partition(""), f"rollup#{size}#", version="count",
            data={name: name for name in _ROLLUP_DATA}, kept_s=kept_s,
        ),
    )  # fmt: skip
