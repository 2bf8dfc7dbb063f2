"""What the log says that the stores must hold, and what they hold."""

import time
from collections.abc import Iterator, Mapping, Sequence

from telefold.deploy.flink_rest import JobApi
from telefold.deploy.minicluster.live_role import CoveredBy, has_read_past
from telefold.jobs.stores import open_archive
from telefold.schemas.errors import TelefoldError
from telefold.verify.account import reckon
from telefold.verify.checker import Verification, verify
from tests.chaos.system import System
from tests.support.archived import check_archive
from tests.support.fold_rows import transitions_in_the_log, transitions_told

_ALL_READ_S = 180.0


def await_all_read(system: System) -> str | None:
    """None once a checkpoint has covered all that had been sent; what was seen last if none does in time."""
    seen: object = None
    sent_at, deadline = time.time(), time.monotonic() + _ALL_READ_S
    covered = CoveredBy(lambda progress: has_read_past(progress, sent_at, time.time()))
    while time.monotonic() < deadline:
        try:
            seen = {job.id: JobApi(system.api.address, job.id).progress() for job in system.api.jobs()}
            if any(map(covered, seen.values())):
                return None
        except (OSError, TelefoldError, KeyError) as error:
            seen = error
        time.sleep(0.5)
    return repr(seen)


class Verdict:
    """Every row held against what `telefold verify` says, once all is written and the job has ended."""

    def __init__(self, system: System, sent: Sequence[bytes]) -> None:
        self._loaded = system.direct
        self._account = reckon(self._loaded, sent)
        # The job has read all records, so that no row may be behind because of one of them.
        self._found = verify(self._loaded, settled=open_archive(self._loaded).ends())
        self.differences = [
            *self._of_the_log(),
            *what_is_wrong(self._found),
            *self._of_alerts(),
            *self._of_the_archive(),
        ]

    @property
    def compared(self) -> str:
        expected = self._account.expected
        rows = "; ".join(
            f"{check.rows:,} rows of {check.store} ({_figures(check.by_view)})" for check in self._found.stores
        )
        return (
            f"{expected.sent:,} records ({expected.accepted:,} accepted, {expected.duplicates:,} duplicates,"
            f" {self._account.dead:,} dead letters), {rows}"
        )

    def _of_the_log(self) -> Iterator[str]:
        account = self._account
        yield from account.log_problems
        yield from account.dead_letter_problems
        if not account.balanced:
            yield "the account does not balance"

    def _of_alerts(self) -> Iterator[str]:
        """One that was killed between the telling and the mark tells it again, so they are held as sets."""
        told, due = set(transitions_told(self._loaded)), transitions_in_the_log(self._loaded)
        yield from (f"never told: {one}" for one in sorted(due - told))
        yield from (f"told, but not due: {one}" for one in sorted(told - due))

    def _of_the_archive(self) -> Iterator[str]:
        try:
            check_archive(self._loaded)
        except AssertionError:
            yield "the archive does not hold each record of the stream once"


def what_is_wrong(found: Verification) -> Iterator[str]:
    """In a whole verification, with all that it says of the log and of views that it could not judge."""
    if not found.balanced:
        yield "the records of the archive and of the stream do not balance"
    yield from (f"the archive lacks records of {hole}" for hole in found.holes)
    yield from found.dropped
    yield from (f"the view {view} was not judged" for view in found.unjudged)
    for check in found.stores:
        yield from (f"{check.store}: {difference}" for difference in check.differences)


def _figures(by_view: Mapping[str, int]) -> str:
    return ", ".join(f"{rows:,} {view}" for view, rows in sorted(by_view.items()))
