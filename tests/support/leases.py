"""Jobs that hold a lease, and the record of one with a clock that moves while somebody waits."""

import os
import socket
from collections.abc import Callable

import psutil

from telefold.connectors.leases import LeasedWriter, LeaseRecord
from telefold.connectors.memory import MemoryViews
from telefold.deploy import leases
from telefold.jobs.leases import claim_from
from telefold.schemas.leases import Holder, Lease

NOW = 1_795_900_000.0
NAMED = Holder("managed", name="telefold-prod")
HOST = socket.gethostname()
HERE = leases.machine()
ELSEWHERE = Holder("run", host="another", machine="another", pid=17, created=1.0)
CLUSTER = leases.cluster_here("http://127.0.0.1:1")
ENDED = Holder("run", host=HOST, machine=HERE, pid=os.getppid(), created=1.0)  # a pid that another process had


def running_here() -> Holder:
    parent = os.getppid()
    return Holder("run", host=HOST, machine=HERE, pid=parent, created=psutil.Process(parent).create_time())


class Scene:
    """A record of a lease, and a clock that moves while somebody waits."""

    def __init__(self) -> None:
        self.store = MemoryViews()
        self.record = LeaseRecord(self.store, self.store)
        self.now = NOW
        self.ahead = 0.0
        self.said: list[str] = []
        self.meanwhile: Callable[[], None] = lambda: None

    @property
    def clock(self) -> float:
        """What the machine of whoever claims takes for the time."""
        return self.now + self.ahead

    def claim(self, holder: Holder) -> Lease:
        return claim_from(self.record, holder, 2, self.said.append, leases.sees, lambda: self.clock, self.sleep)

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.meanwhile()

    def writer(self, lease: Lease) -> LeasedWriter:
        """One that looks when it begins, and then only when it is told to."""
        return LeasedWriter(MemoryViews(), self.record, lease, every_s=3_600, clock=lambda: self.now)
