"""What the log says that the stores must hold, and what they hold."""

import time
from collections.abc import Iterator, Sequence

from jobs.live_role import CoveredBy, has_read_past
from jobs.local.flink_rest import JobApi
from jobs.reckoning import reckon
from schemas.errors import TelefoldError
from tests.chaos.system import DAMP, System
from tests.support.archived import check_archive
from tests.support.fold_rows import (
    alerts_unlike_the_log,
    fleets_unlike,
    transitions_in_the_log,
    transitions_told,
    unlike_the_log,
)

_ALL_READ_S = 180.0


def await_all_read(system: System) -> bool:
    """Whether a checkpoint covered, in time, all that had been sent."""
    sent_at, deadline = time.time(), time.monotonic() + _ALL_READ_S
    covered = CoveredBy(lambda progress: has_read_past(progress, sent_at, time.time()))
    while time.monotonic() < deadline:
        try:
            if any(covered(JobApi(system.api.address, job.id).progress()) for job in system.api.jobs()):
                return True
        except (OSError, TelefoldError, KeyError):
            pass
        time.sleep(0.5)
    return False


class Verdict:
    """Every row held against the oracle, once all is written and the job has ended."""

    def __init__(self, system: System, sent: Sequence[bytes]) -> None:
        self._loaded = system.direct
        self._account = reckon(self._loaded, sent)
        self.differences = [*self._of_the_log(), *self._of_folds(), *self._of_alerts(), *self._of_the_archive()]

    @property
    def compared(self) -> str:
        expected = self._account.expected
        rows = ", ".join(f"{check.rows:,} rows of {check.store}" for check in self._account.stores)
        return (
            f"{expected.sent:,} records ({expected.accepted:,} accepted, {expected.duplicates:,} duplicates,"
            f" {self._account.dead:,} dead letters), {rows}, rows of folds in both"
        )

    def _of_the_log(self) -> Iterator[str]:
        account = self._account
        yield from account.log_problems
        yield from account.dead_letter_problems
        if not account.balanced:
            yield "the account does not balance"
        for check in account.stores:
            yield from (f"{check.store}: {difference}" for difference in check.differences)

    def _of_folds(self) -> Iterator[str]:
        yield from unlike_the_log(self._loaded)
        yield from alerts_unlike_the_log(self._loaded, "damp", DAMP)
        yield from fleets_unlike(self._loaded, self._account.expected.rows)

    def _of_alerts(self) -> Iterator[str]:
        """One that was killed between the telling and the mark tells it again, so they are held as sets."""
        told, due = set(transitions_told(self._loaded)), transitions_in_the_log(self._loaded, "damp", DAMP)
        yield from (f"never told: {one}" for one in sorted(due - told))
        yield from (f"told, but not due: {one}" for one in sorted(told - due))

    def _of_the_archive(self) -> Iterator[str]:
        try:
            check_archive(self._loaded)
        except AssertionError:
            yield "the archive does not hold each record of the stream once"
