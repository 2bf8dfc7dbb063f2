"""Deploys and rollbacks of an environment. Each step looks at what is there before it acts: any may be repeated.

What is to be undone is noted in the artifact bucket before the application is touched: the release that is tried, and
the snapshot of the one before. Whoever finds such a note, this process or the next, goes on from there.
"""

from pathlib import Path
from typing import NamedTuple

from telefold.deploy.managed.application import READY, RUNNING, State
from telefold.deploy.managed.health_gate import Unhealthy, snapshot_name
from telefold.deploy.managed.releases import Attempt, Ledger, Proven, Record, Release, code_key
from telefold.deploy.managed.site import Site
from telefold.deploy.managed.stacks import Change, StackFailed
from telefold.schemas.errors import DeployError

_OURS = ("before-", "proof-")
"""Prefixes of the names of snapshots that are taken here, and forgotten once no rollback can ask for them."""


class Deployed(NamedTuple):
    """The outcome of a deploy or a rollback."""

    release: str
    changed: bool
    snapshot: str | None
    """The snapshot that the job took when it was seen to work."""


class Plan(NamedTuple):
    """The changes that a deploy would make; None for a stack that cannot be planned before the other one is there."""

    code: str
    uploads: bool
    stacks: dict[str, list[Change] | None]


def plan(site: Site, package: Path) -> Plan:
    """Plan a deploy. Nothing is changed, but that the template is put into a bucket that is there."""
    key, environment = code_key(package), site.environment
    stacks: dict[str, list[Change] | None] = {
        environment.artifact_stack: site.stacks.plan(site.artifact_stack()),
        environment.application_stack: None,
    }
    artifacts = site.find_artifacts()
    if artifacts is None:
        return Plan(key, True, stacks)
    stacks[environment.application_stack] = site.stacks.plan(site.application_stack(site.release(package)))
    return Plan(key, not artifacts.has(key), stacks)


def deploy(site: Site, package: Path, patience_s: float) -> Deployed:
    """Make `package` what runs, and wait until it works, `patience_s` at most.

    Raises DeployError if it does not: then the release before runs again, from the snapshot that it left.
    """
    code_key(package)
    site.stacks.apply(site.artifact_stack())
    release = site.release(package)
    site.artifacts().put_code(package, release.code)
    site.stacks.settle(site.environment.application_stack)
    state, ledger = site.application.settle(), site.artifacts().ledger()
    if _runs_already(site, release, ledger.record, state):
        return Deployed(release.short, False, None)
    attempt = _begin(site, release, ledger, state)
    began = site.poller.now()
    try:
        _replace(site, attempt, ledger.record, state)
        proof = site.health_gate(began).wait(patience_s)
    except (Unhealthy, StackFailed) as failure:
        raise _undo(site, failure, state, ledger, began, patience_s) from failure
    ledger.note(ledger.record.settled(Proven(release, site.poller.now(), attempt.before, proof)))
    _forget_snapshots(site, ledger.record)
    return Deployed(release.short, True, proof)


def rollback(site: Site, patience_s: float, to: str | None = None) -> Deployed:
    """Make an earlier release run again, from the snapshot that it left: that before the present one, or `to`.

    Without `to`, an attempt that was neither proven nor undone is undone. With it, what runs already is left alone.
    """
    ledger = site.artifacts().ledger()
    attempt, target = ledger.record.attempt, ledger.record.current
    if attempt is None and target is not None and target.release.short == to:
        return Deployed(to, False, None)
    if attempt is None or target is None or to not in (None, target.release.short):
        target, attempt = _step_back(ledger, to)
    proof = _back_to(site, target.release, attempt.before, patience_s)
    ledger.note(ledger.record.settled())
    return Deployed(target.release.short, True, proof)


def snapshot(site: Site, name: str | None = None) -> str:
    """Take one of the running job, which no deploy forgets; its name."""
    state = site.application.settle()
    if state is None or state.status != RUNNING:
        raise DeployError(f"Application {site.application.name} does not run, and only a running job has a snapshot.")
    name = name or snapshot_name("manual", site.poller.now())
    if not site.application.take_snapshot(name):
        raise DeployError(
            f"Snapshot {name} failed, as it does while checkpoints do: look at `telefold status --env"
            f" {site.environment.name}` and docs/how-to/runbook.md, CheckpointsFailing."
        )
    return name


def _runs_already(site: Site, release: Release, record: Record, state: State | None) -> bool:
    if record.attempt or record.current is None or record.current.release != release:
        return False
    if state is None or state.status != RUNNING or state.code != release.code:
        return False
    return not site.stacks.plan(site.application_stack(release))


def _begin(site: Site, release: Release, ledger: Ledger, state: State | None) -> Attempt:
    unfinished = ledger.record.attempt
    if unfinished is None or _never_began(unfinished, ledger.record, state):
        attempt = _attempt(site, release, ledger.record, state)
    else:
        site.say(f"going on after release {unfinished.release.short}, which was neither proven nor undone")
        attempt = Attempt(release, unfinished.before, unfinished.in_place)
    ledger.note(ledger.record.trying(attempt))
    return attempt


def _never_began(unfinished: Attempt, record: Record, state: State | None) -> bool:
    """Whether the job that was seen to work runs still. Else the attempt knows its last snapshot, and that stays."""
    if state is None or record.current is None or not unfinished.in_place:
        return False
    code = record.current.release.code
    return state.status == RUNNING and state.code == code != unfinished.release.code


def _attempt(site: Site, release: Release, record: Record, state: State | None) -> Attempt:
    if state is None or record.current is None:
        return Attempt(release, None)
    if state.status == RUNNING:
        name = snapshot_name("before", site.poller.now())
        if site.application.take_snapshot(name):
            return Attempt(release, name)
        site.say("the job that runs cannot take a snapshot: its latest one has to do")
    return Attempt(release, site.application.latest_snapshot(), in_place=False)


def _replace(site: Site, attempt: Attempt, record: Record, state: State | None) -> None:
    """A job that is known to work is updated as it runs; any other one is stopped first."""
    release, wanted = attempt.release, site.application_stack(attempt.release)
    known = {release.code} | ({record.current.release.code} if record.current else set())
    goes_on = state is None or state.status == READY or (attempt.in_place and state.code in known)
    if not goes_on and site.stacks.plan(wanted):
        site.application.stop()
    site.stacks.apply(wanted)
    _run(site, release, attempt.before, is_first=record.current is None)


def _run(site: Site, release: Release, snapshot: str | None, *, is_first: bool) -> None:
    state = site.application.settle()
    if state is not None and state.status != RUNNING:
        state = site.application.start(snapshot, anew=is_first and snapshot is None)
    if state is None or state.status != RUNNING:
        raise Unhealthy("the application stopped again as it was started")
    if state.code != release.code:
        raise Unhealthy("the service could not update the application and has put the package before back")


def _undo(
    site: Site, failure: DeployError, before: State | None, ledger: Ledger, began: float, patience_s: float
) -> DeployError:
    """Bring back what ran; the error to raise, which says what became of both."""
    site.say(f"it does not work: {failure}")
    said = f"The release does not work: {failure}\n{site.cause(began)}"
    current, attempt = ledger.record.current, ledger.record.attempt
    if current is None:
        site.application.stop()
        outcome = "Nothing ran before it, so the application is stopped: mend it and deploy again."
    elif _is_untouched(site, before, current):
        outcome = f"Release {current.release.short} was not touched and runs on: mend what is said above, deploy again."
    else:
        snapshot = attempt.before if attempt else None
        try:
            _back_to(site, current.release, snapshot, patience_s)
        except DeployError as error:
            return DeployError(f"{said}\n{error}")
        outcome = f"Release {current.release.short} runs again, from snapshot {snapshot}: mend yours and deploy again."
    ledger.note(ledger.record.settled())
    return DeployError(f"{said}\n{outcome}")


def _is_untouched(site: Site, before: State | None, current: Proven) -> bool:
    now = site.application.state()
    return now is not None and now == before and now.status == RUNNING and now.code == current.release.code


def _back_to(site: Site, release: Release, snapshot: str | None, patience_s: float) -> str:
    """The job is stopped first, however it is: one that fails can take no last snapshot, and needs none."""
    site.say(f"going back to release {release.short}")
    site.stacks.settle(site.environment.application_stack)
    site.application.stop()
    began = site.poller.now()
    try:
        site.stacks.apply(site.application_stack(release))
        _run(site, release, snapshot, is_first=False)
        return site.health_gate(began).wait(patience_s)
    except (Unhealthy, StackFailed) as failure:
        raise DeployError(
            f"The rollback to release {release.short} did not succeed: {failure}\n{site.cause(began)}\nMend that, then"
            f" run `telefold rollback --env {site.environment.name}`."
        ) from failure


def _step_back(ledger: Ledger, to: str | None) -> tuple[Proven, Attempt]:
    """Noted first, as an attempt: whoever goes on after an interruption goes to the same release."""
    found = ledger.record.earlier(to)
    if found is None:
        known = ", ".join(one.release.short for one in ledger.record.proven[:-1])
        raise DeployError(
            f"There is no earlier release{f' {to}' if to else ''} to go back to (there are: {known or 'none'})."
        )
    record, before = found
    target = record.proven[-1]
    attempt = Attempt(target.release, before, in_place=False)
    ledger.note(record.trying(attempt))
    return target, attempt


def _forget_snapshots(site: Site, record: Record) -> None:
    site.application.forget_snapshots(lambda name: name.startswith(_OURS) and name not in record.snapshots)
