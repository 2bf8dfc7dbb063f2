"""`telefold local`: the local stack from the command line."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from telefold.cli.progress import waiting
from telefold.deploy.local import stack
from telefold.deploy.local.stack import DEFAULT_PORTS, DEFAULT_ROOT, Ports

app = typer.Typer(
    name="local", help="Kinesis, DynamoDB and Redis on this machine, without Docker.", no_args_is_help=True
)

Root = Annotated[Path, typer.Option(help="The folder for the properties file, logs and state.")]
KinesisPort = Annotated[
    int | None, typer.Option(help=f"Port of Kinesis, {DEFAULT_PORTS.kinesis}, or a free one where that is taken.")
]
DynamodbPort = Annotated[
    int | None, typer.Option(help=f"Port of DynamoDB, {DEFAULT_PORTS.dynamodb}, or a free one where that is taken.")
]
RedisPort = Annotated[
    int | None, typer.Option(help=f"Port of Redis, {DEFAULT_PORTS.redis}, or a free one where that is taken.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_FIRST_EVENTS = "telefold produce --events 1000 --devices 20 --seed 1"
_out = Console(soft_wrap=True, highlight=False)


@app.command()
def up(
    root: Root = DEFAULT_ROOT,
    kinesis_port: KinesisPort = None,
    dynamodb_port: DynamodbPort = None,
    redis_port: RedisPort = None,
) -> None:
    """Start the servers that are not running, with what they held, and write the properties file."""
    with waiting("Starting the servers"):
        found = stack.up(root, Ports(kinesis_port, dynamodb_port, redis_port), say=_tell)
    _tell(f"properties are in {found.properties}")
    _out.print(f"next: [bold]{_FIRST_EVENTS}[/bold]")


@app.command()
def down(
    root: Root = DEFAULT_ROOT,
    delete: Annotated[
        bool, typer.Option("--delete", help="Remove what they hold too, and the job's checkpoints and archive.")
    ] = False,
) -> None:
    """Stop the servers; what they hold stays, and `telefold local up` goes on with it."""
    with waiting("Ending the servers"):
        was_up = stack.down(root, say=_tell, delete=delete)
    _tell("the local stack is down" if was_up else "the local stack was not up")
    if stack.keeps_data(root):
        _out.print("its data is kept: `telefold local up` goes on with it, `telefold local down --delete` removes it")


@app.command()
def status(root: Root = DEFAULT_ROOT, as_json: AsJson = False) -> None:
    """Where the servers are; exit code 1 when they are not up."""
    found = stack.status(root)
    if as_json:
        typer.echo(msgspec.json.encode(found).decode())
        return
    for name, value in msgspec.structs.asdict(found).items():
        _out.print(f"{name:<10} {value}", markup=False)


def _tell(line: str) -> None:
    _out.print("[green]✓[/green]", line)
