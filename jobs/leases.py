"""A job's claim on the views before it starts: refused while another live job holds them, wherever that runs."""

import math
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from connectors.leases import LeaseRecord
from jobs import stores
from jobs.settings import Settings
from schemas.errors import JobError, LocalStackError, StoreError
from schemas.leases import STARTING_S, Holder, Lease

LEASE_VARIABLE = "TELEFOLD_LEASE"
"""The environment variable by which `telefold submit` gives the job the lease that it claimed, as JSON."""
_LOOK_EVERY_S = 2.0
_MACHINE_ID = Path("/etc/machine-id")
_PIDS = Path("/proc/self/ns/pid")

Say = Callable[[str], None]


def this_run() -> Holder:
    """The holder that is this process."""
    import psutil  # type: ignore[import-untyped]

    pid = os.getpid()
    created = psutil.Process(pid).create_time()
    return Holder("run", host=socket.gethostname(), machine=machine(), pid=pid, created=created)


def cluster_here(address: str) -> Holder:
    return Holder("cluster", name=address, host=socket.gethostname(), machine=machine())


def machine() -> str:
    """What tells this machine from others: a name alone is copied with an image, and pids are of their container."""
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(_MACHINE_ID.read_text().strip())
    with suppress(OSError):
        parts.append(str(_PIDS.readlink()))
    return " ".join(parts)


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
    seen = record.load()
    if seen is not None and seen.owner:
        seen = _await_over(record, seen, holder, say, sleep)
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
    record: LeaseRecord, held: Lease, holder: Holder, say: Say, sleep: Callable[[float], None]
) -> Lease | None:
    """The lease as it was when it was seen to be over. No clock is asked: looks are counted."""
    match _has_ended(held.holder, holder):
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


def has_ended(other: Holder) -> bool:
    """Whether it can be seen from here that the job of `other` has ended."""
    return _has_ended(other, this_run()) is True


def _has_ended(other: Holder, mine: Holder) -> bool | None:
    """Whether the job of `other` has ended, as far as `mine` can see; None where it cannot."""
    if other.is_followed_by(mine):
        return True
    if other.machine != mine.machine or not other.machine:
        return None
    return _run_has_ended(other) if other.kind == "run" else _job_has_ended(other.name)


def _run_has_ended(other: Holder) -> bool | None:
    from deploy.processes import Process, is_alive

    lives = is_alive(Process("run", 0, other.pid, other.created))
    if other.pid != os.getpid():
        return not lives
    # This very process, which was another run before. Another of its pid may be of a copy of this machine.
    return True if lives else None


def _job_has_ended(address: str) -> bool | None:
    """Only a cluster that is not there has ended for certain; one that is slow or in trouble may yet write."""
    from jobs.cluster.rest import ClusterApi, NotListening
    from jobs.managed import JOB_NAME

    try:
        return all(job.name != JOB_NAME for job in ClusterApi(address).jobs())
    except NotListening:
        return True
    except (LocalStackError, OSError, ValueError, KeyError, TypeError):
        return None


def _refusal(held: Lease) -> JobError:
    since = datetime.fromtimestamp(held.since / 1_000, UTC)
    return JobError(
        f"The job already runs over these views: {held.holder}, since {since:%Y-%m-%d %H:%M:%S} UTC."
        f" Two would write the same rows: {way_out(held.holder)}."
    )


def way_out(holder: Holder) -> str:
    return f"stop it first{holder.how_to_stop}"
