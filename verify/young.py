"""What records moved that are so young that a store need not have it yet."""

from collections import Counter

from telefold.schemas.log_records import Positions
from telefold.verify.event_log import Selection
from telefold.verify.oracle import Key


def young(settled: Positions | None, since: float) -> Selection:
    """Records beyond `settled`, or else those that arrived at `since` (epoch seconds) or later."""
    if settled is not None:
        return lambda record: not record.is_within(settled)
    since_ms = since * 1000
    return lambda record: record.arrival >= since_ms


class Young:
    """What the records moved that are young by `is_young`, for one store."""

    def __init__(self, is_young: Selection) -> None:
        self.is_young = is_young
        self.moves: Counter[Key] = Counter()
        """How many of their readings are in a rollup."""
        self.newest: dict[Key, int] = {}
        """The greatest time of their readings of a metric, in epoch milliseconds, by the row of its latest one."""
        self.devices: set[str] = set()
        self.since: int | None = None
        """The least of their arrivals."""

    def note(self, device_id: str, arrival: int) -> None:
        self.devices.add(device_id)
        self.since = arrival if self.since is None else min(arrival, self.since)
