"""The leases of jobs that run on this machine, and whether they still do."""

import os
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from telefold.deploy.cluster.rest import ClusterApi, NotListening
from telefold.deploy.processes import Process, is_alive
from telefold.jobs import leases, stores
from telefold.jobs.entry import JOB_NAME
from telefold.jobs.leases import Say
from telefold.jobs.settings import Settings
from telefold.schemas.errors import LocalStackError, StoreError
from telefold.schemas.leases import Holder, Lease

_MACHINE_ID = Path("/etc/machine-id")
_PIDS = Path("/proc/self/ns/pid")


def this_run() -> Holder:
    """The holder that is this process."""
    me = Process.of("run", os.getpid())
    return Holder("run", host=socket.gethostname(), machine=machine(), pid=me.pid, created=me.created)


def cluster_here(address: str) -> Holder:
    return Holder("cluster", name=address, host=socket.gethostname(), machine=machine())


def machine() -> str:
    """The text that identifies this machine: a name alone is copied with an image, a pid is of its container."""
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(_MACHINE_ID.read_text().strip())
    with suppress(OSError):
        parts.append(str(_PIDS.readlink()))
    return " ".join(parts)


def claim(settings: Settings, holder: Holder, say: Say) -> Lease:
    """Claim the lease, as `jobs.leases.claim` does, for a job that is started from this machine."""
    return leases.claim(settings, holder, say, sees)


@contextmanager
def held(settings: Settings, holder: Holder, say: Say) -> Iterator[Lease]:
    """Hold the lease for a job that has ended with the block: whoever comes next need not wait then."""
    lease = claim(settings, holder, say)
    try:
        yield lease
    finally:
        with closing(stores.open_lease(settings)) as record, suppress(StoreError):
            record.release(lease.owner)


def release(settings: Settings, holder: Holder) -> None:
    """End the lease of `holder`, whose job was stopped; what that has left behind then does not renew it any more."""
    with closing(stores.open_lease(settings)) as record, suppress(StoreError):
        lease = record.load()
        if lease is not None and lease.owner and lease.holder == holder:
            record.release(lease.owner)


def has_ended(other: Holder) -> bool:
    """Whether it can be seen from here that the job of `other` has ended."""
    mine = this_run()
    return other.is_followed_by(mine) or sees(other, mine) is True


def sees(other: Holder, mine: Holder) -> bool | None:
    """Whether the job of `other` has ended, as far as `mine` can see; None where it cannot."""
    if other.machine != mine.machine or not other.machine:
        return None
    return _run_has_ended(other) if other.kind == "run" else _job_has_ended(other.name)


def _run_has_ended(other: Holder) -> bool | None:
    lives = is_alive(Process("run", 0, other.pid, other.created))
    if other.pid != os.getpid():
        return not lives
    # This very process, which was another run before. Another of its pid may be of a copy of this machine.
    return True if lives else None


def _job_has_ended(address: str) -> bool | None:
    """Whether the cluster's job has ended; None if that is uncertain, as of a cluster that is slow or in trouble."""
    try:
        return all(job.name != JOB_NAME for job in ClusterApi(address).jobs())
    except NotListening:
        return True
    except (LocalStackError, OSError, ValueError, KeyError, TypeError):
        return None
