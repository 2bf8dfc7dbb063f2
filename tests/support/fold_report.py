"""What `tests.support.device_fold` tells of its log. Without Flink, so that a test can read it."""

import msgspec

from schemas.view_rows import ViewUpdate

NOON = 1_769_860_800_000
MINUTE = 60_000
LATENESS = 10 * MINUTE


class Decision(msgspec.Struct, frozen=True, order=True):
    """What became of one event; `reason` is None if it was folded."""

    device_id: str
    event_id: str
    event_time: int
    sequence: int
    metrics: dict[str, float]
    reason: str | None


class Report(msgspec.Struct, frozen=True):
    sent: int
    decisions: list[Decision]
    folded: list[ViewUpdate]
    """The rows that the fold came to, each in its newest state ..."""
    folded_in_sql: list[ViewUpdate]
    """... and those of the reference."""
    flushes: int
    """Batches that the fold sent off."""
