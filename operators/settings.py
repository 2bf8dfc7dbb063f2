"""The settings of what is folded."""

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from telefold.operators.folds.registry import BUILT_IN
from telefold.schemas.setting_values import (
    UNIT_MS,
    Conflict,
    Duration,
    DurationOrNone,
    Group,
    at_least,
    at_most,
    duration_text,
    parse_attributes,
    parse_names,
    parse_sizes,
    parse_views,
)
from telefold.schemas.view_rows import VIEWS

_MINUTES_AND_HOURS = {"1m": UNIT_MS["m"], "1h": UNIT_MS["h"]}


def parse_folds(text: str | Sequence[str]) -> Sequence[str]:
    """The names alone: what looks at views need not have the code of a team's folds."""
    names = parse_names(text)
    for name in names:
        if name not in BUILT_IN and not re.fullmatch(r"[\w.]+:\w+", name):
            raise ValueError(
                f"must name folds: {name} is none of {', '.join(BUILT_IN)}, and no package.module:ClassName"
            )
        if names.count(name) > 1:
            raise ValueError(f"must name folds, each once, and {name} is there twice")
    return names


class JobSettings(Group):
    """`telefold.job`: what is folded, and how often it is written."""

    name: Annotated[str | None, Field(min_length=1, max_length=256)] = None
    views: Annotated[tuple[str, ...], BeforeValidator(parse_views)] = VIEWS
    folds: Annotated[tuple[str, ...], BeforeValidator(parse_folds)] = ()
    rollup_sizes: Annotated[dict[str, int], BeforeValidator(parse_sizes), Field(alias="rollup.sizes")] = (
        _MINUTES_AND_HOURS
    )
    group_rollups: Annotated[tuple[str, ...], BeforeValidator(parse_attributes), Field(alias="group.rollups")] = ()
    rollup_lateness_ms: Annotated[Duration, Field(alias="rollup.lateness")] = UNIT_MS["h"]
    dedup_horizon_ms: Annotated[Duration, Field(alias="dedup.horizon")] = UNIT_MS["h"]
    state_retention_ms: Annotated[Duration, Field(alias="state.retention")] = UNIT_MS["d"]
    device_retention_ms: Annotated[Duration, Field(alias="device.retention")] = 90 * UNIT_MS["d"]
    flush_interval_ms: Annotated[Duration, at_least("20ms"), Field(alias="flush.interval")] = 1_000
    durable_interval_ms: Annotated[DurationOrNone, at_most("1d"), Field(alias="durable.interval")] = 5 * UNIT_MS["m"]
    flush_size: Annotated[int, Field(alias="flush.size", ge=1, le=1_000_000)] = 100_000
    parallelism: Annotated[int, Field(ge=1, le=256)] = 1
    checkpoint_interval_ms: Annotated[Duration, at_least("100ms"), Field(alias="checkpoint.interval")] = 10_000
    python_execution_mode: Annotated[Literal["thread", "process"], Field(alias="python.execution-mode")] = "thread"

    def conflicts(self) -> Iterator[Conflict]:
        if self.dedup_horizon_ms < self.rollup_lateness_ms:
            yield Conflict(
                ("dedup.horizon", "rollup.lateness"),
                "dedup.horizon must be at least rollup.lateness, or late duplicates would be counted twice",
            )
        shortest = self.largest_window_ms + self.rollup_lateness_ms
        if self.state_retention_ms < shortest:
            yield Conflict(
                ("state.retention", "rollup.lateness", "rollup.sizes"),
                "state.retention must be at least the largest of rollup.sizes and rollup.lateness together, which is"
                f" {duration_text(shortest)}, or events in order would be too late for windows that their own device"
                " has begun",
            )
        if self.device_retention_ms < self.state_retention_ms + self.largest_window_ms:
            yield Conflict(
                ("device.retention", "state.retention", "rollup.sizes"),
                "device.retention must be at least state.retention and the largest of rollup.sizes together,"
                " or windows that a device has filled would begin anew",
            )

    @property
    def largest_window_ms(self) -> int:
        """Milliseconds."""
        return max(self.rollup_sizes.values())
