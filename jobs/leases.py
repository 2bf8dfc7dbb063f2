"""A job's claim on the views before it starts: refused while another live job holds them, wherever that runs."""

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime

from connectors.leases import LeaseRecord
from jobs import stores
from jobs.settings import Settings
from schemas.errors import JobError, LocalStackError, StoreError
from schemas.leases import STARTING_S, Holder, Lease

LEASE_VARIABLE = "TELEFOLD_LEASE"
"""The environment variable by which `telefold submit` gives the job the lease that it claimed, as JSON."""
_LOOK_EVERY_S = 2.0
_CERTAINLY_OVER_MS = 3_600_000
"""Since it was renewed: no two clocks differ by an hour."""

Say = Callable[[str], None]


def this_run() -> Holder:
    """The holder that is this process."""
    import psutil  # type: ignore[import-untyped]

    pid = os.getpid()
    return Holder("run", machine=socket.gethostname(), pid=pid, created=psutil.Process(pid).create_time())


def cluster_here(address: str) -> Holder:
    return Holder("cluster", name=address, machine=socket.gethostname())


def claim(settings: Settings, holder: Holder, say: Say) -> Lease:
    """The lease of `holder`, which is about to start the live job; raises JobError while another job holds one."""
    with closing(stores.open_generations(settings)) as store:
        generation = store.load().live
    with closing(stores.open_lease(settings)) as record:
        return claim_from(record, holder, generation, say)


def look(settings: Settings) -> Lease | None:
    """The lease as it is; None if nobody holds the views."""
    with closing(stores.open_lease(settings)) as record:
        found = record.load()
    return found if found and found.owner else None


@contextmanager
def held(settings: Settings, holder: Holder, say: Say) -> Iterator[Lease]:
    """As `claim`, for a job that has ended with the block: whoever comes next need not wait then."""
    lease = claim(settings, holder, say)
    try:
        yield lease
    finally:
        with closing(stores.open_lease(settings)) as record, suppress(StoreError):
            record.release(lease.owner)


def claim_from(
    record: LeaseRecord,
    holder: Holder,
    generation: int,
    say: Say,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> Lease:
    """As `claim`. Where the other job cannot be seen from here, its lease is watched until it is renewed or over."""
    held = record.load()
    if held is not None and held.owner:
        _await_over(record, held, holder, say, clock, sleep)
    now = round(clock() * 1_000)
    wanted = Lease(
        holder.claimant(), holder, since=now, renewed=now, held_s=STARTING_S, generation=generation, version=1
    )
    latest = record.load()
    if (held.owner if held else None) != (latest.owner if latest else None):
        raise _refusal(latest or wanted)
    lease = latest.claimed(wanted) if latest else wanted
    if not record.keep(lease):
        raise _refusal(record.load() or lease)
    return lease


def _await_over(
    record: LeaseRecord,
    held: Lease,
    holder: Holder,
    say: Say,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> None:
    match _has_ended(held.holder, holder):
        case True:
            return
        case False:
            raise _refusal(held)
    if clock() * 1_000 > held.renewed + _CERTAINLY_OVER_MS:
        return
    say(f"The views are held by {held.holder}. Looking for up to {held.held_s} s whether that still runs ...")
    deadline = clock() + held.held_s
    while clock() < deadline:
        sleep(_LOOK_EVERY_S)
        found = record.load()
        if found is None or found.version != held.version:
            if found is None or not found.owner:
                return
            raise _refusal(found)


def has_ended(other: Holder) -> bool:
    """Whether it can be seen from here that the job of `other` has ended."""
    return _has_ended(other, this_run()) is True


def _has_ended(other: Holder, mine: Holder) -> bool | None:
    """Whether the job of `other` has ended, as far as `mine` can see; None where it cannot."""
    if other.is_followed_by(mine):
        return True
    if other.machine != mine.machine or not other.machine:
        return None
    return not (_runs(other) if other.kind == "run" else _has_job(other.name))


def _runs(other: Holder) -> bool:
    from deploy.processes import Process, is_alive

    return other.pid != os.getpid() and is_alive(Process("run", 0, other.pid, other.created))


def _has_job(address: str) -> bool:
    from jobs.cluster.rest import ClusterApi
    from jobs.managed import JOB_NAME

    try:
        return any(job.name == JOB_NAME for job in ClusterApi(address).jobs())
    except LocalStackError:
        return False


def _refusal(held: Lease) -> JobError:
    since = datetime.fromtimestamp(held.since / 1_000, UTC)
    return JobError(
        f"The job already runs over these views: {held.holder}, since {since:%Y-%m-%d %H:%M:%S} UTC."
        f" Two would write the same rows: {way_out(held.holder)}."
    )


def way_out(holder: Holder) -> str:
    match holder.kind:
        case "run":
            return f"stop it first, with Ctrl-C or `kill {holder.pid}` on {holder.machine}"
        case "cluster" if holder.machine:
            return "run `telefold stop` first, with the --properties that it was submitted with"
    if not holder.name:
        return "stop it first, and name it in telefold.job/name, so that its successor starts at once"
    return "stop it first"
