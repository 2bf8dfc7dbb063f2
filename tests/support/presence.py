"""A device that reports, as the tests of who is online tell of it."""

from collections.abc import Sequence

from telefold.operators.folds.presence import Presence, PresenceState
from telefold.operators.folds.testing import FoldTest

S = 1_000


def reporting(seconds: Sequence[int], interval_s: int | None = None) -> FoldTest[PresenceState]:
    """A device that reports at these times."""
    test = FoldTest(Presence())
    if interval_s is not None:
        test.event("configured", at=seconds[0] * S, attributes={"report_interval_s": str(interval_s)})
    for second in seconds:
        test.event(at=second * S, metrics={"t": 1.0})
    return test


def status(test: FoldTest[PresenceState], sort: str = "presence") -> object:
    return test.rows[sort].data["status"]
