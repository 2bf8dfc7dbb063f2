"""The command line: `telefold`."""

import sys
from typing import Any

import typer
from rich.console import Console

from deploy.local.cli import app as local_app
from jobs.commands import alerts, archive, cluster, dead_letters, deploy, new, produce, query, rules, schemas
from jobs.commands.demo import demo
from jobs.commands.package import package
from jobs.commands.query_fleet import fleet
from jobs.commands.rebuild import rebuild
from jobs.commands.refill import refill
from jobs.commands.replay import replay
from jobs.commands.run import run
from jobs.commands.size import size
from jobs.commands.submit import rescale, savepoint, stop, submit
from jobs.commands.verify import verify
from schemas.errors import SettingsError, TelefoldError, UsageError

app = typer.Typer(
    help="Folds device telemetry from Kinesis into views in DynamoDB and Redis.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
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
    try:
        return app()
    except SettingsError as error:
        what = "What was typed" if isinstance(error, UsageError) else "The settings"
        console.print(f"{what} cannot be used:", style="bold red")
        for problem in error.problems:
            console.print(f"  {problem}", markup=False, highlight=False, soft_wrap=True)
        sys.exit(2)
    except TelefoldError as error:
        console.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)
