"""Waiting until a job is seen to work, or seen not to."""

from collections.abc import Callable

from telefold.deploy.managed.application import RUNNING, Application
from telefold.deploy.managed.health import Metrics, judge
from telefold.deploy.managed.poller import Poller
from telefold.schemas.errors import DeployError

_EVERY_S = 15.0


class Unhealthy(DeployError):
    """The job does not do its work; the message says how that was seen."""


class HealthGate:
    """The proof of the job that runs now: besides its figures it has to show a snapshot of its own.

    `was_submitted` is false once it is known that the job's program failed before there was a job.
    """

    def __init__(
        self,
        application: Application,
        metrics: Metrics,
        poller: Poller,
        say: Callable[[str], None],
        was_submitted: Callable[[], bool],
    ) -> None:
        self._application = application
        self._metrics = metrics
        self._poller = poller
        self._say = say
        self._was_submitted = was_submitted
        self._since = poller.now()
        self._name = ""
        self._taken = False
        self._lacking: tuple[str, ...] = ()

    def wait(self, patience_s: float) -> str:
        """The name of the snapshot; raises Unhealthy, after `patience_s` at the latest."""
        deadline = self._poller.now() + patience_s
        while not self._is_complete():
            if self._poller.now() >= deadline:
                raise Unhealthy(f"after {patience_s / 60:g} min there is still missing: {', '.join(self._lacking)}")
            self._poller.sleep(max(_EVERY_S, self._poller.every_s))
        return self._name

    def _is_complete(self) -> bool:
        self._check_status()
        self._look_at_snapshot()
        now = self._poller.now()
        verdict = judge(self._metrics.since(self._since, now), has_snapshot=self._taken)
        if verdict.broken:
            raise Unhealthy(verdict.broken)
        if verdict.lacking and verdict.lacking != self._lacking:
            self._say(f"the job is running, waiting for {', '.join(verdict.lacking)}")
        self._lacking = verdict.lacking
        return verdict.works

    def _check_status(self) -> None:
        state = self._application.state()
        if state is None or (state.is_at_rest and state.status != RUNNING):
            raise Unhealthy(f"the application is {'gone' if state is None else state.status} again")
        if not self._was_submitted():
            raise Unhealthy("the application is RUNNING, but its program failed and there is no job in it")

    def _look_at_snapshot(self) -> None:
        """Take a snapshot. A failed one is tried again: a job that has just started may not be ready for it."""
        if self._taken:
            return
        if not self._name:
            name = snapshot_name("proof", self._poller.now())
            self._name = name if self._application.begin_snapshot(name) else ""
            return
        status = self._application.snapshot_status(self._name)
        self._taken = status == "READY"
        if status == "FAILED":
            self._name = ""


def snapshot_name(kind: str, now: float) -> str:
    """The name of a snapshot that is taken now; names of one kind sort by time."""
    return f"{kind}-{int(now)}"
