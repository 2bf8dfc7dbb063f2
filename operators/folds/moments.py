"""When something was so that may be told late or twice, and how a row's key tells a time."""

from datetime import UTC, datetime

Moment = tuple[int, int]
"""event_time and, where that ties, sequence: the greater of two counts."""
NEVER: Moment = (-1, 0)


def iso(at: int) -> str:
    """UTC to the millisecond, of epoch milliseconds, as keys have it."""
    return datetime.fromtimestamp(at / 1_000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
