"""The command line: `telefold`."""

import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from telefold.cli import alerts, archive, cluster, dead_letters, deploy, new, produce, query, rules, schemas
from telefold.cli.demo import demo
from telefold.cli.local import app as local_app
from telefold.cli.package import package
from telefold.cli.query_fleet import fleet
from telefold.cli.rebuild import rebuild
from telefold.cli.refill import refill
from telefold.cli.replay import replay
from telefold.cli.run import run
from telefold.cli.size import size
from telefold.cli.submit import rescale, savepoint, stop, submit
from telefold.cli.verify import verify
from telefold.schemas.errors import RuleError, SettingsError, TelefoldError, UsageError

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"telefold {version('telefold')}")
        raise typer.Exit


@app.callback()
def _options(
    version_: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Folds device telemetry from Kinesis into views in DynamoDB and Redis."""


app.add_typer(local_app, name="local", help="Kinesis, DynamoDB and Redis on this machine, without Docker.")
app.command()(produce.produce)
app.command()(run)
app.command()(verify)
app.command()(replay)
app.command()(refill)
app.command()(rebuild)
app.command()(demo)
app.command()(size)
query.app.command()(fleet)
app.command()(package)
app.command()(submit)
app.command()(savepoint)
app.command()(stop)
app.command()(rescale)
app.add_typer(cluster.app, name="cluster")
app.command()(deploy.deploy)
app.command()(deploy.status)
app.command()(deploy.snapshot)
app.command()(deploy.rollback)
app.command()(deploy.destroy)
app.add_typer(query.app, name="query")
app.add_typer(rules.app, name="rules")
app.add_typer(alerts.app, name="alerts")
app.add_typer(archive.app, name="archive")
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(schemas.app, name="schemas")
app.add_typer(new.app, name="new")


def main() -> Any:
    """Run the command line; what Telefold refuses on purpose is one sentence each on stderr, not a traceback."""
    console = Console(stderr=True)
    # A team's folds are found in the folder where one stands, behind everything that is installed.
    sys.path.append(str(Path.cwd()))
    try:
        return app(prog_name="telefold")
    except SettingsError as error:
        typed = "The rule" if isinstance(error, RuleError) else "What was typed"
        what = typed if isinstance(error, UsageError) else "The settings"
        console.print(f"{what} cannot be used:", style="bold red")
        for problem in error.problems:
            console.print(f"  {problem}", markup=False, highlight=False, soft_wrap=True)
        sys.exit(2)
    except TelefoldError as error:
        console.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)
