"""`telefold dead-letters`: what could not be folded, and why."""

import sys
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from connectors import aws
from connectors.dead_letters import DeadLetter, read_dead_letters
from jobs import settings
from jobs.properties import DEFAULT_PATH
from schemas.errors import Reason, SettingsError
from views.present import number, table, time_text

app = typer.Typer(help="Records that could not be folded.", no_args_is_help=True)

DEFAULT_ROWS = 20


@app.callback()
def _commands() -> None:
    """Records that could not be folded."""


@app.command("list")
def list_letters(
    reason: Annotated[str | None, typer.Option(help=f"Only these: {', '.join(Reason)}.")] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help=f"The newest so many; {DEFAULT_ROWS} unless --json is given.")
    ] = None,
    properties: Annotated[Path, typer.Option(help="The job's application_properties.json.")] = DEFAULT_PATH,
    json: Annotated[bool, typer.Option("--json", help="Print the letters as JSON, payloads in base64.")] = False,
) -> None:
    """Everything in the dead-letter stream up to now, the newest last."""
    letters = _read(settings.load(properties), _checked_reason(reason))
    if json:
        sys.stdout.write(msgspec.json.encode(_newest(letters, limit)).decode() + "\n")
    elif letters:
        Console().print(_counts_table(letters), _letters_table(_newest(letters, limit or DEFAULT_ROWS)))
    else:
        Console().print("There are no dead letters" + (f" with the reason {reason}." if reason else "."))


def _checked_reason(reason: str | None) -> Reason | None:
    if reason is not None and reason not in list(Reason):
        raise SettingsError([f"--reason is {reason}, but must be one of {', '.join(Reason)}."])
    return Reason(reason) if reason else None


def _read(loaded: settings.Settings, reason: Reason | None) -> list[DeadLetter]:
    with closing(aws.client("kinesis", loaded.source.region, loaded.source.endpoint)) as client:
        letters = read_dead_letters(client, loaded.dead_letter.name)
        wanted = [letter for letter in letters if reason is None or letter.reason == reason]
    return sorted(wanted, key=lambda letter: letter.arrival)


def _newest(letters: list[DeadLetter], limit: int | None) -> list[DeadLetter]:
    return letters if limit is None else letters[-limit:]


def _counts_table(letters: list[DeadLetter]) -> Table:
    counts = Counter(letter.reason for letter in letters).most_common()
    cells = [(reason, number(count)) for reason, count in counts]
    return table(f"{number(len(letters))} dead letters", ("reason", "letters"), cells)


def _letters_table(letters: list[DeadLetter]) -> Table:
    cells = [
        (
            time_text(letter.arrival),
            letter.reason,
            letter.partition_key,
            letter.detail,
            f"{letter.shard} {letter.sequence_number}",
            number(len(letter.payload)),
        )
        for letter in letters
    ]
    columns = ("arrived (UTC)", "reason", "partition key", "detail", "shard, sequence number", "bytes")
    return table(f"The newest {len(letters)}", columns, cells, left=5)
