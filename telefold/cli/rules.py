"""`telefold rules`: what devices are judged by, changed while the job runs."""

import getpass
import shlex
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import msgspec
import orjson
import typer
from rich.console import Console

from telefold.cli.progress import counting
from telefold.cli.tables import number, printable, table, time_text
from telefold.jobs import settings, stores
from telefold.jobs.properties_file import DEFAULT_PATH
from telefold.operators.alerts.condition import BadRule, parse
from telefold.operators.alerts.rule_book import RuleBook
from telefold.schemas.errors import RuleError, StoreError, UsageError
from telefold.schemas.rules import SEVERITIES, RuleChange, Severity
from telefold.upkeep.rule_outlook import Outlook, outlook

app = typer.Typer(
    help='The rules of alerts.\n\nA condition is such as `temperature > 80 until < 75 for 5m where site = "berlin"`, '
    "`rate(pressure) < -2/m`, `increase(energy) > 500 over 1h` or `stale() > 10m`.",
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The rule, such as too-hot.")]
Properties = Annotated[Path, typer.Option(help="The job's application_properties.json.")]
Json = Annotated[bool, typer.Option("--json", help="Print the rules as JSON.")]


@app.command()
def put(
    name: Name,
    condition: Annotated[str, typer.Argument(help="What is wrong, such as 'temperature > 80 for 5m'.")],
    severity: Annotated[Severity, typer.Option(help=f"One of {', '.join(SEVERITIES)}.")] = "warning",
    properties: Properties = DEFAULT_PATH,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it finds among the devices now.")] = False,
) -> None:
    """Add a rule, or change the one of that name; the running job goes by it within seconds."""
    loaded = settings.load(properties)
    try:
        if dry_run:
            _say_outlook(condition, outlook(loaded, condition), loud=True)
            _say(f"Next: `telefold rules try {_quoted(condition)}` shows which devices; without --dry-run it is put.")
            return
        with stores.open_rule_book(loaded) as book:
            change = book.put(name, condition, severity, getpass.getuser())
    except BadRule as error:
        raise RuleError([_pointed_at(condition, error)]) from None
    with suppress(StoreError):  # the rule is put, whatever becomes of a look at the fast store
        _say_outlook(condition, outlook(loaded, condition), loud=False)
    _say(f"The rule {name} is put, as of {time_text(change.version)} UTC.")
    _say("Next: `telefold alerts list` shows which devices it concerns, `telefold rules list` all rules.")


@app.command("try")
def try_rule(
    condition: Annotated[str, typer.Argument(help="What is wrong, such as 'temperature > 80'.")],
    limit: Annotated[int, typer.Option(min=1, help="So many devices are shown at most.")] = 50,
    properties: Properties = DEFAULT_PATH,
    json: Annotated[bool, typer.Option("--json", help="Print all of them as JSON.")] = False,
) -> None:
    """Show which devices would break a rule by the rows that there are now, and put nothing."""
    loaded = settings.load(properties)
    try:
        with counting("Looking at the rows", unit="devices") as tell:
            found = outlook(loaded, condition, None, tell)
    except BadRule as error:
        raise RuleError([_pointed_at(condition, error)]) from None
    if json:
        sys.stdout.write(orjson.dumps([one._asdict() for one in found.breaking]).decode() + "\n")
        return
    if found.breaking:
        cells = [
            (one.device, "" if one.value is None else number(one.value), time_text(one.at))
            for one in found.breaking[:limit]
        ]
        metric = parse(condition).metric
        at = "last report (UTC)" if parse(condition).kind == "stale" else "at (UTC)"
        Console().print(table("Devices", ("device", metric or "", at), cells))
        if len(found.breaking) > limit:
            _say(f"{len(found.breaking) - limit:,} more are not shown: `--limit`, or `--json` for all.")
    _say_outlook(condition, found, loud=True)
    _say(f"Next: `telefold rules put NAME {_quoted(condition)}` makes it a rule.")


@app.command("list")
def list_rules(properties: Properties = DEFAULT_PATH, json: Json = False) -> None:
    """All rules, by name."""
    with stores.open_rule_book(settings.load(properties)) as book:
        found = [change for change in book.newest() if change.condition is not None]
    if json:
        _write(found)
    elif found:
        cells = [
            (change.rule, change.condition or "", change.severity, time_text(change.version), change.by or "")
            for change in found
        ]
        Console().print(table("Rules", ("rule", "condition", "severity", "as of (UTC)", "by"), cells, left=5))
    else:
        _say("There are no rules: `telefold rules put too-hot 'temperature > 80 for 5m'` adds one.")


@app.command()
def show(name: Name, properties: Properties = DEFAULT_PATH, json: Json = False) -> None:
    """One rule."""
    with stores.open_rule_book(settings.load(properties)) as book:
        change = _found(book, name)
    if json:
        _write(change)
        return
    cells = [
        ("condition", change.condition or ""),
        ("severity", change.severity),
        ("as of (UTC)", time_text(change.version)),
        ("by", change.by or ""),
    ]
    Console().print(table(name, ("", ""), cells, left=2))


@app.command()
def delete(name: Name, properties: Properties = DEFAULT_PATH) -> None:
    """Take a rule away; its open alerts are resolved."""
    with stores.open_rule_book(settings.load(properties)) as book:
        _found(book, name)
        book.put(name, None, by=getpass.getuser())
    _say(f"The rule {name} is gone, and its alerts will be in a moment: `telefold alerts list` shows the others.")


def _say_outlook(condition: str, found: Outlook, loud: bool) -> None:
    """Print the outlook of a rule; what is likely a slip of the pen in any case, the rest if it is `loud`."""
    metric = parse(condition).metric
    if not found.devices:
        _say("No device that it means has any rows yet.")
    elif not found.having:
        near = ", ".join(map(printable, found.meant))
        _say(f"No device has sent {printable(metric or '')}: is it spelt so? There are {near or 'no metrics at all'}.")
    elif loud:
        whose = f"{found.having:,} of {found.devices:,} devices" + (f" have {printable(metric)}" if metric else "")
        told = parse(condition).kind in ("value", "stale")
        breaks = (
            f", and {len(found.breaking):,} break it now" if told else f"; no row tells the {parse(condition).kind}"
        )
        held = ", for however long" if parse(condition).hold_ms else ""
        _say(f"{whose}{breaks}{held}.")
    if loud and found.unknown:
        _say(
            f"Of {found.unknown:,} of them no row tells the attributes that `where` asks for, so they may not be meant:"
            " the fold `device` shows them."
        )


def _quoted(condition: str) -> str:
    return shlex.quote(printable(condition))


def _found(book: RuleBook, name: str) -> RuleChange:
    change = book.find(name)
    if change is None:
        raise UsageError([f"There is no rule {name}: `telefold rules list` shows those that there are."])
    return change


def _pointed_at(condition: str, error: BadRule) -> str:
    """The reason, and under the condition a mark where it is."""
    shown = printable(condition)
    return f"{error.reason}:\n\n    {shown}\n    {' ' * (error.column - 1)}^"


def _write(what: RuleChange | list[RuleChange]) -> None:
    sys.stdout.write(orjson.dumps(msgspec.to_builtins(what)).decode() + "\n")


def _say(line: str) -> None:
    Console().print(line, soft_wrap=True, highlight=False, markup=False)
