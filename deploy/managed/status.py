"""The state of an environment, in a few figures."""

from typing import NamedTuple

from telefold.deploy.managed.application import RUNNING
from telefold.deploy.managed.health import LAG_IS_SMALL_MS, Readings
from telefold.deploy.managed.site import Site

_MINUTES = 15
_DAY_S = 86_400


class Status(NamedTuple):
    stacks: dict[str, str | None]
    application: str | None
    """The application's status as the service names it; None if there is none."""
    version: int | None
    release: str | None
    """The release that was seen to work last."""
    since: float | None
    """The time when that was, in epoch seconds."""
    earlier: tuple[str, ...]
    """The releases that a rollback can go to, newest first."""
    unfinished: str | None
    """A release that is being tried, or was when its deploy was broken off."""
    code_is_of_release: bool
    snapshots: int
    newest_snapshot: str | None
    lag_ms: float | None
    """The figures are the newest of the last 15 minutes; None if there are none."""
    checkpoint_ms: float | None
    failed_checkpoints: float | None
    restarts: float | None
    alarms: tuple[str, ...]
    """The alarms that are raised."""
    failures: tuple[str, ...]
    """The failures within a day, as the service says."""

    @property
    def works(self) -> bool:
        lag_is_small = self.lag_ms is not None and self.lag_ms <= LAG_IS_SMALL_MS
        return self.application == RUNNING and self.unfinished is None and self.code_is_of_release and lag_is_small


def status(site: Site) -> Status:
    """The status of the environment as it is now, whatever of it is there."""
    names = (site.environment.artifact_stack, site.environment.application_stack)
    stacks = {name: site.stacks.status(name) for name in names}
    state = site.application.state()
    artifacts = site.find_artifacts()
    record = artifacts.ledger().record if artifacts else None
    current = record.current if record else None
    now = site.poller.now()
    snapshots = site.application.snapshots() if state else []
    metrics = site.metrics()
    readings = metrics.since(now - _MINUTES * 60, now) if metrics else Readings()
    failures = site.application.failures(now - _DAY_S) if state else []
    return Status(
        stacks=stacks,
        application=state.status if state else None,
        version=state.version if state else None,
        release=current.release.short if current else None,
        since=current.at if current else None,
        earlier=tuple(one.release.short for one in reversed(record.proven[:-1])) if record else (),
        unfinished=record.attempt.release.short if record and record.attempt else None,
        code_is_of_release=bool(state and current and state.code == current.release.code),
        snapshots=len(snapshots),
        newest_snapshot=snapshots[0].name if snapshots else None,
        lag_ms=_newest(readings.lag_ms),
        checkpoint_ms=_newest(readings.checkpoint_ms),
        failed_checkpoints=_newest(readings.failed_checkpoints),
        restarts=_newest(readings.restarts),
        alarms=_alarms(site),
        failures=tuple(f"{one.at:%Y-%m-%d %H:%M} {one.kind}: {one.error or 'no reason given'}" for one in failures),
    )


def _newest(values: tuple[float, ...]) -> float | None:
    return values[-1] if values else None


def _alarms(site: Site) -> tuple[str, ...]:
    prefix = f"{site.application.name}-"
    answer = site.clients.cloudwatch.describe_alarms(AlarmNamePrefix=prefix, StateValue="ALARM")
    return tuple(alarm["AlarmName"].removeprefix(prefix) for alarm in answer["MetricAlarms"])
