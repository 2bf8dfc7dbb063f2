"""A job's claim on the views before it starts: refused while another live job holds them, wherever that runs."""

import math
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime

from telefold.connectors.leases import LeaseRecord
from telefold.jobs import stores
from telefold.jobs.settings import Settings
from telefold.schemas.errors import JobError
from telefold.schemas.leases import STARTING_S, Holder, Lease

LEASE_VARIABLE = "TELEFOLD_LEASE"
"""The environment variable by which `telefold submit` gives the job the lease that it claimed, as JSON."""
_LOOK_EVERY_S = 2.0

Say = Callable[[str], None]
Sees = Callable[[Holder, Holder], bool | None]
"""Whether the job of the first holder has ended, as far as the second can see; None where it cannot."""


def sees_nobody(other: Holder, mine: Holder) -> None:
    """Know nothing of the job of `other`, as a job on a cluster does."""


def claim(settings: Settings, holder: Holder, say: Say, sees: Sees = sees_nobody) -> Lease:
    """The lease of `holder`, which is about to start the live job; raises JobError while another job holds one.

    Where `sees` does not know whether the other has ended, its lease is watched until it is renewed or over.
    """
    with closing(stores.open_generations(settings)) as store:
        generation = store.load().live
    with closing(stores.open_lease(settings)) as record:
        return claim_from(record, holder, generation, say, sees)


def look(settings: Settings) -> Lease | None:
    """The lease as it is; None if nobody holds the views."""
    with closing(stores.open_lease(settings)) as record:
        found = record.load()
    return found if found and found.owner else None


def claim_from(
    record: LeaseRecord,
    holder: Holder,
    generation: int,
    say: Say,
    sees: Sees = sees_nobody,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> Lease:
    """Claim the lease in `record`, as `claim` says."""
    seen = record.load()
    if seen is not None and seen.owner:
        seen = _await_over(record, seen, holder, say, sees, sleep)
    now = round(clock() * 1_000)
    wanted = Lease(
        holder.claimant(), holder, since=now, renewed=now, held_s=STARTING_S, generation=generation, version=1
    )
    latest = record.load()
    if latest is not None and _is_held_since(latest, seen, holder):
        raise _refusal(latest)
    lease = latest.claimed(wanted) if latest else wanted
    if not record.keep(lease):
        raise _refusal(record.load() or lease)
    return lease


def _is_held_since(latest: Lease, seen: Lease | None, holder: Holder) -> bool:
    """Whether a job has claimed or renewed it after it was seen to be free."""
    if not latest.owner:
        return False
    if seen is None or latest.owner != seen.owner:
        return True
    return latest.version != seen.version and not latest.holder.is_followed_by(holder)


def _await_over(
    record: LeaseRecord, held: Lease, holder: Holder, say: Say, sees: Sees, sleep: Callable[[float], None]
) -> Lease | None:
    """The lease as it was when it was seen to be over. No clock is asked: looks are counted."""
    match held.holder.is_followed_by(holder) or sees(held.holder, holder):
        case True:
            return held
        case False:
            raise _refusal(held)
    say(f"The views are held by {held.holder}. Looking for up to {held.held_s} s whether that still runs ...")
    for _ in range(math.ceil(held.held_s / _LOOK_EVERY_S)):
        sleep(_LOOK_EVERY_S)
        found = record.load()
        if found is None or not found.owner:
            return found
        if found.version != held.version:
            raise _refusal(found)
    return held


def _refusal(held: Lease) -> JobError:
    since = datetime.fromtimestamp(held.since / 1_000, UTC)
    return JobError(
        f"The job already runs over these views: {held.holder}, since {since:%Y-%m-%d %H:%M:%S} UTC."
        f" Two would write the same rows: {way_out(held.holder)}."
    )


def way_out(holder: Holder) -> str:
    return f"stop it first{holder.how_to_stop}"
