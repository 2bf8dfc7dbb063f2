"""`telefold alerts`: which devices are out of order, and who sees to it."""

import getpass
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any, cast
from uuid import uuid4

import msgspec
import orjson
import typer
from rich.console import Console

from telefold.cli.options import StoreOption
from telefold.cli.tables import duration_text, number, printable, table, time_text
from telefold.connectors import aws, event_log
from telefold.jobs import settings
from telefold.jobs.properties_file import DEFAULT_PATH
from telefold.operators.folds.alert import ACKNOWLEDGED
from telefold.reading import Views
from telefold.schemas.codec import encode
from telefold.schemas.errors import UsageError
from telefold.schemas.events import DeviceEvent, check_event
from telefold.schemas.rules import SEVERITIES, Severity
from telefold.schemas.view_rows import ViewRow

app = typer.Typer(help="Alerts of the devices.", no_args_is_help=True)

Properties = Annotated[Path, typer.Option(help="The job's application_properties.json.")]
Json = Annotated[bool, typer.Option("--json", help="Print the alerts as JSON.")]


@app.command("list")
def list_alerts(
    rule: Annotated[str | None, typer.Option(help="Of this rule alone.")] = None,
    severity: Annotated[Severity | None, typer.Option(help=f"One of {', '.join(SEVERITIES)}.")] = None,
    all_states: Annotated[bool, typer.Option("--all", help="Those too that were resolved within a day.")] = False,
    store: StoreOption = None,
    properties: Properties = DEFAULT_PATH,
    json: Json = False,
) -> None:
    """The open alerts of all devices, the newest first."""
    with Views.open(properties, store) as views:
        chosen = views.alerts(rule, severity, resolved=all_states)
    if json:
        _write([_told(row) for row in chosen])
    elif chosen:
        Console().print(table("Alerts", ("device", "rule", *_COLUMNS), [_cells(row) for row in chosen], left=6))
        _say(
            "Next: `telefold alerts ack DEVICE RULE` says that somebody sees to one, `telefold alerts history DEVICE`"
            " shows how they went."
        )
    else:
        _say("There are no such alerts. `telefold rules list` shows what devices are judged by.")


@app.command()
def history(
    device: Annotated[str, typer.Argument(metavar="DEVICE")],
    rule: Annotated[str | None, typer.Option(help="Of this rule alone.")] = None,
    store: StoreOption = None,
    properties: Properties = DEFAULT_PATH,
    json: Json = False,
) -> None:
    """Every alert of a device within 90 days, the oldest of each rule first."""
    with Views.open(properties, store) as views:
        rows = views.alert_history(device, rule)
    if json:
        _write([{"rule": row.sort.split("#")[1], **row.data} for row in rows])
    elif rows:
        Console().print(table(f"Alerts of {device}", ("rule", *_COURSE), [_course(row) for row in rows], left=6))
    else:
        _say(f"{printable(device)} has had no alerts.")


@app.command()
def ack(
    device: Annotated[str, typer.Argument(metavar="DEVICE")],
    rule: Annotated[str, typer.Argument(metavar="RULE")],
    by: Annotated[str | None, typer.Option(help="Who sees to it; you, if nobody else.")] = None,
    properties: Properties = DEFAULT_PATH,
) -> None:
    """Say that somebody sees to an alert that fires: as an event of its device, which a rebuild folds, too."""
    loaded = settings.load(properties)
    with Views.open(loaded) as views:
        row, readings = views.alert(device, rule), views.latest(device)
    if row is None or row.data["state"] != "firing":
        raise UsageError(
            [f"No alert of the rule {rule} fires on {device}: `telefold alerts list` shows those that do."]
        )
    heard_at = max((cast(int, reading.data["at"]) for reading in readings), default=cast(int, row.data["since_at"]))
    event = _acknowledgement(device, rule, row, by or getpass.getuser(), heard_at)
    check_event(event, event.sequence)
    with closing(aws.client("kinesis", loaded.source.region, loaded.source.endpoint)) as client:
        record = event_log.NewRecord(encode(event), device)
        event_log.append(client, loaded.source.name, [record])
    _say("Acknowledged: `telefold alerts list` shows it in a moment.")


def _acknowledgement(device: str, rule: str, row: ViewRow, by: str, heard_at: int) -> DeviceEvent:
    """Build the event, at the time of the device, not at ours: what it has yet to send must not come too late by it."""
    now = time.time_ns() // 1_000_000
    attributes = {"rule": rule, "began_at": str(row.data["began_at"]), "by": by, "at": str(now)}
    return DeviceEvent(f"ack-{uuid4()}", device, ACKNOWLEDGED, heard_at, now, {}, attributes)


_COLUMNS = ("state", "since (UTC)", "severity", "value", "count")
_COURSE = ("state", "value", "began (UTC)", "fired after", "over after")


def _told(row: ViewRow) -> dict[str, Any]:
    _, rule, device = row.sort.split("#", 2)
    return {"device": device, "rule": rule, **row.data}


def _cells(row: ViewRow) -> tuple[str, ...]:
    told = _told(row)
    return (
        told["device"],
        told["rule"],
        told["state"],
        time_text(told["since_at"]),
        told["severity"],
        number(told["value"]) if "value" in told else "",
        number(told["count"]),
    )


def _course(row: ViewRow) -> tuple[str, ...]:
    data: dict[str, Any] = dict(row.data)
    by, reason = data.get("acknowledged_by"), data.get("reason")
    return (
        row.sort.split("#")[1],
        data["state"] + (f" ({reason})" if reason else f" (seen to by {by})" if by else ""),
        number(data["value"]) if "value" in data else "",
        time_text(data["began_at"])[: len("2026-01-31 12:00:00")],
        *(duration_text(data[at] - data["began_at"]) if at in data else "" for at in ("fired_at", "resolved_at")),
    )


def _write(what: list[dict[str, Any]]) -> None:
    sys.stdout.write(orjson.dumps(msgspec.to_builtins(what)).decode() + "\n")


def _say(line: str) -> None:
    Console().print(line, soft_wrap=True, highlight=False, markup=False)
