"""What `tests.support.device_fold` tells of its log. Without Flink, so that a test can read it."""

import msgspec

from telefold.schemas.view_rows import LATEST, ROLLUPS, ViewUpdate

NOON = 1_769_860_800_000
MINUTE = 60_000
LATENESS = 10 * MINUTE
SIZES = {"1m": MINUTE, "5m": 5 * MINUTE, "1h": 60 * MINUTE, "1d@Asia/Kathmandu": 27 * 60 * MINUTE}
RETENTION = {LATEST: 3_600, ROLLUPS: None}


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
    """The rows that the fold came to, each in its newest state."""
    flushes: int
    """Batches that the fold sent off."""
