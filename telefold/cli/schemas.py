"""`telefold schemas`: whether versions of the event can be read with one another."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from telefold.schemas.codec import CURRENT_VERSION, VERSIONS, schema_text
from telefold.schemas.compatibility import Report, Upcast, VersionReport, check
from telefold.schemas.errors import UsageError
from telefold.schemas.upcasters import UPCASTS

app = typer.Typer(help="Versions of the device event.", no_args_is_help=True)


@app.callback()
def _commands() -> None:
    """Versions of the device event."""


@app.command("check")
def check_schemas(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE.avsc]...", help="Proposals, each as the next version; none checks what ships."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the reports as JSON.")] = False,
) -> None:
    """Can everything that was ever written still be read? Ends with 1 if not."""
    shipped = {version: schema_text(version) for version in VERSIONS}
    texts = (
        {str(file): _text(file) for file in files} if files else {f"v{CURRENT_VERSION}": schema_text(CURRENT_VERSION)}
    )
    reports = {name: check(text, shipped, _upcasts()) for name, text in texts.items()}
    if json:
        sys.stdout.write(msgspec.json.encode([_as_data(*report) for report in reports.items()]).decode() + "\n")
    else:
        for name, report in reports.items():
            _say(name, report)
    if not all(report.accepted for report in reports.values()):
        raise typer.Exit(1)


def _upcasts() -> Mapping[int, Upcast]:
    return {
        version: Upcast(frozenset(one.field for one in steps), frozenset(one.to for one in steps))
        for version, steps in UPCASTS.items()
    }


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError([f"The schema {file} cannot be read ({error}): name an .avsc file."]) from error


def _as_data(name: str, report: Report) -> dict[str, object]:
    versions = [{"readable": not one.problems, **msgspec.to_builtins(one)} for one in report.versions]
    return {"schema": name, "accepted": report.accepted, **msgspec.to_builtins(report), "versions": versions}


def _say(name: str, report: Report) -> None:
    console = Console(soft_wrap=True, markup=False, highlight=False)
    known = f", fingerprint {report.fingerprint}" if report.fingerprint else ""
    console.print(f"{name}: {'shipped' if report.shipped else 'proposed'} as version {report.version}{known}")
    for line in (*report.problems, *(_version_line(version) for version in report.versions)):
        console.print(f"  {line}")
    if report.accepted and not report.shipped:
        console.print(f"Next: put it at schemas/device_event/v{report.version}.avsc.")


def _version_line(version: VersionReport) -> str:
    return f"v{version.version} {_verdict(version.problems)}"


def _verdict(problems: Sequence[object]) -> str:
    return f"cannot be read: {'; '.join(str(problem) for problem in problems)}" if problems else "can be read"
