"""The lease on one set of views: which live job may write them. It is kept beside the views, outside of generations.

A job claims it before it starts and renews it while it runs. Whether a lease still holds is seen by watching it, not
by comparing the clocks of two machines.
"""

from typing import Literal
from uuid import uuid4

import msgspec

RENEWED_EVERY_S = 10.0
HELD_S = 60
"""A lease that is not renewed for so long, while somebody watches it, is over."""
STARTING_S = 300
"""The same of a job that is just being started: its tasks renew it only once they run."""
_CLAIM = 1_000


class Holder(msgspec.Struct, frozen=True):
    """Where a job runs. Of two jobs with the same `name` on the same `machine` the second follows the first."""

    kind: Literal["run", "cluster", "managed", "application"]
    """The last is an application on a cluster that is neither of this machine nor managed Flink."""
    name: str = ""
    """The cluster's address, or what the application is called."""
    host: str = ""
    """What the machine is called."""
    machine: str = ""
    """Tells machines apart, and containers, of which many are called the same."""
    pid: int = 0
    created: float = 0.0
    """When that process began, in epoch seconds: a pid is used again."""

    def __str__(self) -> str:
        match self.kind:
            case "run":
                return f"`telefold run` with the pid {self.pid} on {self.host}"
            case "cluster":
                return f"the cluster at {self.name} on {self.host}"
        return f"the application {self.name}"

    @property
    def how_to_stop(self) -> str:
        """What the job is stopped with, to go behind a verb; empty where whoever started it knows."""
        match self.kind:
            case "run":
                return f", with Ctrl-C or `kill {self.pid}` on {self.host}"
            case "cluster":
                return ", with `telefold stop` and the --properties that it was submitted with"
        return ""

    def claimant(self) -> str:
        """The owner of what is claimed now.

        An application on managed Flink is always the same one: where its JobManager is replaced, its program runs again
        and the job goes on as it was.
        """
        return f"{self.kind} {self.name}" if self.kind == "managed" else uuid4().hex

    def is_followed_by(self, other: "Holder") -> bool:
        """Whether `other` can only start once this one has ended: its place holds one job at a time."""
        place = (other.kind, other.name, other.machine)
        return self.kind in ("cluster", "managed") and (self.kind, self.name, self.machine) == place


class Lease(msgspec.Struct, frozen=True):
    owner: str
    """Which start of a job holds it, or which application; the restarts by Flink keep it. Empty once it is released."""
    holder: Holder
    since: int
    """When the job was started, in epoch milliseconds."""
    renewed: int
    """When it was renewed last, in epoch milliseconds of its own machine."""
    held_s: int
    generation: int
    """Of the views: the one that the job was started for."""
    version: int
    """Grows with each renewal, and by more with each claim: a renewal on its way then comes too late."""

    def claimed(self, by: "Lease") -> "Lease":
        """`by` in the place of this one."""
        return msgspec.structs.replace(by, version=self.version + _CLAIM)
