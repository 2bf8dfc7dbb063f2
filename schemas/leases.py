"""The lease on one set of views: which live job may write them. It is stored beside the views, outside of generations.

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
    """The place where a job runs. Of two jobs of one `name` on one `machine` the second follows the first."""

    kind: Literal["run", "cluster", "managed", "application"]
    """The last is an application on a cluster that is neither of this machine nor managed Flink."""
    name: str = ""
    """The cluster's address, or what the application is called."""
    host: str = ""
    """The name of the machine."""
    machine: str = ""
    """Tells machines apart, and containers, of which many are called the same."""
    pid: int = 0
    created: float = 0.0
    """The time at which that process began, in epoch seconds: a pid is used again."""

    def __str__(self) -> str:
        match self.kind:
            case "run":
                return f"`telefold run` with the pid {self.pid} on {self.host}"
            case "cluster":
                return f"the cluster at {self.name} on {self.host}"
        return f"the application {self.name}"

    @property
    def how_to_stop(self) -> str:
        """The way to stop the job, to go behind a verb; empty where whoever started it knows."""
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
    """The start of a job that holds the lease, restarts by Flink included, or the application. Empty once released."""
    holder: Holder
    since: int
    """The time at which the job was started, in epoch milliseconds."""
    renewed: int
    """The time of the last renewal, in epoch milliseconds of the holder's own machine."""
    held_s: int
    generation: int
    """The generation of the views that the job was started for."""
    version: int
    """Grows with each renewal, and by more with each claim: a renewal on its way then comes too late."""
    released: str = ""
    """The owner for whom it was released, as its job has ended; empty while one holds it."""

    def claimed(self, by: "Lease") -> "Lease":
        """Put `by` in the place of this lease."""
        return msgspec.structs.replace(by, version=self.version + _CLAIM)
