"""`telefold package`: the zip that managed Flink runs, checked before it leaves."""

import tempfile
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from telefold.cli.progress import waiting
from telefold.deploy.package import checking, libraries, packaging, quotas
from telefold.deploy.package.packaging import Built
from telefold.jobs import properties_file
from telefold.schemas.errors import SettingsError

DEFAULT_ZIP = Path("telefold.zip")
_MB = 1024 * 1024


def package(
    out: Annotated[Path, typer.Option(help="Where the zip is written.")] = DEFAULT_ZIP,
    properties: Annotated[
        Path, typer.Option(help="The application_properties.json that the job is to run with.")
    ] = packaging.EXAMPLE_PROPERTIES,
    add: Annotated[
        list[Path] | None,
        typer.Option(help="A module or package with folds of your own; may be given more than once."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print what was made as JSON.")] = False,
) -> None:
    """Make the zip for Managed Service for Apache Flink, the same bytes from the same sources, and check it."""
    added = add or []
    check_quotas(properties)
    with tempfile.TemporaryDirectory(prefix="telefold-") as folder:
        with waiting("Fetching the libraries"):
            libraries.fetch(Path(folder, "libraries"))
        with waiting("Packing"):
            built = packaging.write(packaging.collect(Path(folder, "libraries"), added), Path(folder, out.name))
        with waiting("Checking that it can be used"):
            checked = _check(built, properties, added)
        built = _leave(built, out)
    if json:
        typer.echo(msgspec.json.encode(built._asdict() | {"path": str(out), "checked": checked}).decode())
    else:
        _say(built, properties, checked)


def check_quotas(properties: Path) -> None:
    """Raise SettingsError for everything in the file that managed Flink would not take."""
    groups = {packaging.RUN_OPTIONS_GROUP: packaging.RUN_OPTIONS} | properties_file.read_groups(properties)
    if problems := quotas.problems(groups):
        raise SettingsError(problems)


def _check(built: Built, properties: Path, added: list[Path]) -> bool:
    """Whether this machine could try the imports; raises a TelefoldError if they, or anything else, are not right."""
    checking.check_size(built.bytes)
    if checking.this_machine().can_load:
        checking.check_start(built.path, properties, packaging.modules(added))
        return True
    return False


def _leave(built: Built, out: Path) -> Built:
    out.parent.mkdir(parents=True, exist_ok=True)
    scratch = out.with_name(f".{out.name}.tmp")
    scratch.write_bytes(built.path.read_bytes())
    scratch.replace(out)
    return built._replace(path=out)


def _say(built: Built, properties: Path, checked: bool) -> None:
    out = Console(soft_wrap=True, highlight=False, markup=False)
    limit = quotas.MAX_ZIP_BYTES
    out.print(f"{built.path}  {built.bytes / _MB:.1f} MB of the {limit // _MB} that managed Flink takes")
    out.print(f"sha256 {built.sha256}, {built.files:,} files")
    used = "the example properties" if properties == packaging.EXAMPLE_PROPERTIES else f"the properties in {properties}"
    if checked:
        out.print(f"Everything in it imports in a bare Python with apache-flink alone, and {used} can be used.")
    else:
        out.print(f"Its libraries, for Linux on x86_64, cannot be tried here; {used} fit managed Flink's quotas.")
    out.print(f"Next: `telefold cluster up --task-managers 2` and `telefold submit {built.path}` run it here.")
