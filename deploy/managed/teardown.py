"""Taking an environment down. Each step looks at what is there before it acts: broken off, the same call goes on.

Data goes before its stack, which knows the names, so that whoever goes on finds them.
"""

from typing import NamedTuple

from telefold.deploy.managed.releases import Record
from telefold.deploy.managed.site import Site
from telefold.deploy.managed.stacks import Part


class Teardown(NamedTuple):
    """The parts of an environment that would go, and those that would stay."""

    stacks: tuple[str, ...]
    """The stacks in the order in which they go."""
    resources: int
    """How many resources go with the stacks for good: the application, its snapshots, Redis, the network, alarms."""
    data: tuple[Part, ...]
    """The parts that hold data in the stacks that are there."""
    deletes_data: bool

    @property
    def is_needed(self) -> bool:
        return bool(self.stacks)


def plan(site: Site, *, delete_data: bool) -> Teardown:
    """Plan what `destroy` would do. The stack of packages goes with the data alone: it costs next to nothing."""
    names = [site.environment.application_stack]
    if delete_data:
        names.append(site.environment.artifact_stack)
    there = [name for name in names if site.stacks.status(name) is not None]
    parts = [part for name in there for part in site.stacks.parts(name)]
    data = site.holders.among(parts)
    return Teardown(tuple(there), len(parts) - len(data), tuple(data), delete_data)


def destroy(site: Site, *, delete_data: bool) -> Teardown:
    """Delete the environment, its data only with `delete_data`; return what was done.

    Raises StackFailed with CloudFormation's reason where something cannot be deleted.
    """
    application, artifacts = site.environment.application_stack, site.environment.artifact_stack
    for stack in (application, artifacts):  # one may be going already
        site.stacks.settle(stack)
    done = plan(site, delete_data=delete_data)
    if application in done.stacks:
        _take_down_job(site)
        _take_down(site, application, delete_data=delete_data)
    if delete_data and artifacts in done.stacks:
        _take_down(site, artifacts, delete_data=True)
    elif found := site.find_artifacts():
        ledger = found.ledger()
        if ledger.record != Record():
            ledger.note(Record())
    return done


def _take_down_job(site: Site) -> None:
    """Stop the job before its stack and streams go: it would only fail and start again."""
    site.application.settle()
    site.application.stop()


def _take_down(site: Site, stack: str, *, delete_data: bool) -> None:
    if delete_data:
        for part in site.holders.among(site.stacks.parts(stack)):
            site.say(f"deleting {part.name} ({part.type})")
            site.holders.delete(part)
    site.stacks.remove(stack)
