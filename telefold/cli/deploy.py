"""`telefold deploy`, `status`, `snapshot`, `rollback` and `destroy`: an environment on managed Flink."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.console import Console

from telefold.cli.tables import number, table
from telefold.schemas.errors import DeployError, UsageError
from telefold.schemas.setting_values import parse_duration

if TYPE_CHECKING:
    from telefold.deploy.managed.deployment import Plan
    from telefold.deploy.managed.site import Site
    from telefold.deploy.managed.status import Status
    from telefold.deploy.managed.teardown import Teardown

Env = Annotated[str, typer.Option("--env", help="The environment: a file of deploy/kinesis-analytics/environments.")]
Region = Annotated[str | None, typer.Option(help="The AWS region; by default that of your AWS configuration.")]
Patience = Annotated[str, typer.Option(help="How long the job may take until it is seen to work.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_INTERRUPTED = 130
_out = Console(soft_wrap=True, highlight=False)
_err = Console(stderr=True, soft_wrap=True, highlight=False)


def deploy(
    env: Env,
    zip_path: Annotated[Path, typer.Option("--zip", help="What `telefold package` made.")] = Path("telefold.zip"),
    plan: Annotated[bool, typer.Option("--plan", help="Only say what would be done.")] = False,
    patience: Patience = "20m",
    region: Region = None,
    as_json: AsJson = False,
) -> None:
    """Make a package what runs in an environment, and wait until it works; if it does not, bring back what ran before.

    Stacks that are not there are made. Broken off at any point, the same command goes on.
    """
    from telefold.deploy.managed import deployment

    with _at_the_edge(env):
        site, patience_s = _site(env, region), _seconds(patience)
        if plan:
            _show_plan(deployment.plan(site, zip_path), as_json)
            return
        done = deployment.deploy(site, zip_path, patience_s)
    if as_json:
        _print_json(done._asdict())
    elif done.changed:
        _tell(f"release {done.release} works in {env}: a snapshot of it is {done.snapshot}")
        _out.print(f"next: [bold]telefold status --env {env}[/bold]")
    else:
        _tell(f"release {done.release} runs in {env} already, and nothing else has changed")


def rollback(
    env: Env,
    to: Annotated[str | None, typer.Option(help="The release to go back to, as status names it.")] = None,
    patience: Patience = "20m",
    region: Region = None,
    as_json: AsJson = False,
) -> None:
    """Make the release before run again, from the snapshot that was taken before it was replaced.

    A deploy that was broken off is undone. What came since the snapshot is read from the stream again.
    """
    from telefold.deploy.managed import deployment

    with _at_the_edge(env):
        done = deployment.rollback(_site(env, region), _seconds(patience), to)
    if as_json:
        _print_json(done._asdict())
        return
    if done.changed:
        _tell(f"release {done.release} runs in {env} again: a snapshot of it is {done.snapshot}")
    else:
        _tell(f"release {done.release} runs in {env} already")
    _out.print(f"next: [bold]telefold status --env {env}[/bold]")


def snapshot(
    env: Env,
    name: Annotated[str | None, typer.Option(help="What to call it.")] = None,
    region: Region = None,
    as_json: AsJson = False,
) -> None:
    """Take a snapshot of the running job, which is kept until you delete it."""
    from telefold.deploy.managed import deployment

    with _at_the_edge(env):
        taken = deployment.snapshot(_site(env, region), name)
    if as_json:
        _print_json({"snapshot": taken})
    else:
        _tell(f"there is snapshot {taken}")


def status(env: Env, region: Region = None, as_json: AsJson = False) -> None:
    """What runs in an environment and how it is; exit code 1 unless it works."""
    from telefold.deploy.managed.status import status as status_of

    with _at_the_edge(env):
        found = status_of(_site(env, region))
    if as_json:
        _print_json(found._asdict() | {"works": found.works})
    else:
        _show_status(env, found)
    if not found.works:
        raise typer.Exit(1)


def destroy(
    env: Env,
    delete_data: Annotated[
        bool, typer.Option("--delete-data", help="Delete streams, table, archive, packages, logs and keys too.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    region: Region = None,
    as_json: AsJson = False,
) -> None:
    """Take an environment down: the job, Redis, the network, alarms. Streams, table and archive stay unless told.

    Says what goes and what stays, and asks for the environment's name. What existed before is never touched. Broken
    off at any point, the same command goes on.
    """
    from telefold.deploy.managed import teardown

    with _at_the_edge(env, "`telefold destroy --env {env}` goes on."):
        site = _site(env, region)
        would = teardown.plan(site, delete_data=delete_data)
        if would.is_needed and not yes:
            _show_teardown(would)
            _ask_for_name(env)
        done = teardown.destroy(site, delete_data=delete_data)
    if as_json:
        _print_json(done._asdict() | {"data": [part._asdict() for part in done.data]})
    elif done.is_needed:
        _tell(f"environment {env} is taken down: {_gone(done)}")
        for line in _kept(done):
            _out.print(line, markup=False)
    else:
        _tell(f"there is nothing of environment {env} to take down")


@contextmanager
def _at_the_edge(
    env: str, on_interrupt: str = "`telefold deploy --env {env}` goes on, `telefold rollback --env {env}` goes back."
) -> Iterator[None]:
    """Print AWS's refusals in one sentence, and after an interruption how to go on."""
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        CredentialRetrievalError,
        NoCredentialsError,
        NoRegionError,
        PartialCredentialsError,
        ProfileNotFound,
    )

    try:
        yield
    except NoRegionError:
        raise UsageError(["--region: name the AWS region, here or in your AWS configuration."]) from None
    except (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError, ProfileNotFound) as error:
        raise DeployError(
            f"There are no AWS credentials to ask with ({_sentence(error)}): sign in, as by `aws sso login`, name a"
            " profile in AWS_PROFILE, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. Nothing was done."
        ) from None
    except (BotoCoreError, ClientError) as error:
        raise DeployError(
            f"AWS does not do what it was asked ({error}): check credentials, rights and region, then run this"
            " again; it goes on where it was."
        ) from error
    except KeyboardInterrupt:
        _err.print(f"Broken off. {on_interrupt.format(env=env)}")
        raise typer.Exit(_INTERRUPTED) from None


def _site(env: str, region: str | None) -> "Site":
    """boto3 takes half a second to import, and most commands have no use for it."""
    from telefold.deploy.managed import environments
    from telefold.deploy.managed.poller import Poller
    from telefold.deploy.managed.site import Clients, Site

    return Site(environments.load(env), Clients.of(region), Poller(), _say)


def _seconds(patience: str) -> float:
    try:
        return parse_duration(patience) / 1_000
    except ValueError as error:
        raise UsageError([f"--patience = {patience!r}: {error}."]) from None


def _show_plan(plan: "Plan", as_json: bool) -> None:
    if as_json:
        stacks = {
            name: None if changes is None else [one._asdict() for one in changes]
            for name, changes in plan.stacks.items()
        }
        _print_json(plan._asdict() | {"stacks": stacks})
        return
    _out.print(f"the package is {plan.code}, {'to be uploaded' if plan.uploads else 'there already'}")
    for stack, changes in plan.stacks.items():
        if changes is None:
            _out.print(f"stack {stack} would be made: what of, can be told once the artifact stack is there")
        elif not changes:
            _out.print(f"stack {stack} stays as it is")
        else:
            rows = [(one.action, one.resource, one.type, "yes" if one.replacement else "") for one in changes]
            _out.print(table(f"stack {stack}", ("what", "resource", "type", "replaced"), rows, left=4))
    _out.print("next: the same without [bold]--plan[/bold]")


def _sentence(error: Exception) -> str:
    return str(error).rstrip(".")


def _show_teardown(would: "Teardown") -> None:
    """Show on stderr what would go: a question is no result."""
    for stack in would.stacks:
        _err.print(f"stack {stack} goes, and all that is only in it", markup=False)
    _err.print(f"{would.resources} resources go for good, among them the application and its snapshots", markup=False)
    if would.data:
        rows = [(part.type, part.name, "[red]deleted[/red]" if would.deletes_data else "stays") for part in would.data]
        _err.print(table("what holds data", ("type", "name", ""), rows, left=3))


def _ask_for_name(env: str) -> None:
    try:
        typed = typer.prompt(f"Type {env} to go on", err=True, default="", show_default=False)
    except typer.Abort:
        typed = ""
    if typed.strip() != env:
        raise DeployError(f"Nothing was deleted: {env} was not typed. Where nobody can type, --yes goes on unasked.")


def _gone(done: "Teardown") -> str:
    data = f" and {len(done.data)} that held data" if done.deletes_data else ""
    return f"{number(done.resources)} resources{data} are gone"


def _kept(done: "Teardown") -> Iterator[str]:
    """The sentences on what there is still, and what it is good for."""
    keys = [part.name for part in done.data if part.type == "AWS::KMS::Key"]
    if done.deletes_data:
        yield from (f"key {name} is gone in 30 days; until then its deletion can be cancelled" for name in keys)
        return
    yield "what holds data is there still, and costs what it did:"
    yield from (f"  {part.type:<22} {part.name}" for part in done.data)
    yield "docs/how-to/deploying.md says how a new environment goes on with it, and how it is deleted"


def _show_status(env: str, found: "Status") -> None:
    _out.print(table(env, ("what", "is"), list(_status_lines(found)), left=2))
    for failure in found.failures:
        _out.print(f"failed: {failure}", markup=False)
    if found.unfinished:
        _out.print(
            f"next: [bold]telefold deploy --env {env}[/bold], or rollback: a release is neither proven nor undone"
        )
    elif found.alarms:
        _out.print("next: docs/how-to/runbook.md, under the name of the alarm")


def _status_lines(found: "Status") -> list[tuple[str, str]]:
    since = "" if found.since is None else f", since {datetime.fromtimestamp(found.since, UTC):%Y-%m-%d %H:%M} UTC"
    return [
        *((f"stack {name}", stack or "not there") for name, stack in found.stacks.items()),
        ("application", f"{found.application or 'not there'}, version {found.version or '-'}"),
        (
            "release",
            f"{found.release or 'none yet'}{since}{'' if found.code_is_of_release else ', which is not what runs'}",
        ),
        ("to go back to", ", ".join(found.earlier) or "nothing"),
        ("being tried", found.unfinished or "nothing"),
        ("snapshots", f"{found.snapshots}, the newest {found.newest_snapshot or '-'}"),
        ("behind the stream", _figure(found.lag_ms, "ms")),
        ("last checkpoint took", _figure(found.checkpoint_ms, "ms")),
        ("checkpoints failed", _figure(found.failed_checkpoints)),
        ("restarts", _figure(found.restarts)),
        ("alarms", ", ".join(found.alarms) or "none"),
        ("works", "yes" if found.works else "no"),
    ]


def _figure(value: float | None, unit: str = "") -> str:
    return "nothing is known" if value is None else f"{number(round(value))} {unit}".rstrip()


def _print_json(value: Any) -> None:
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")


def _say(line: str) -> None:
    _err.print(f"{datetime.now(UTC):%H:%M:%S} {line}", markup=False)


def _tell(line: str) -> None:
    _out.print("[green]✓[/green]", line)
