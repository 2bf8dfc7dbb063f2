"""`telefold new`: the beginning of something of a team's own."""

import re
from pathlib import Path
from string import Template
from typing import Annotated

import typer
from rich.console import Console

from telefold.schemas.errors import UsageError

app = typer.Typer(help="The beginning of something of your own.", no_args_is_help=True)

_FOLD = Template('''"""How often each device was heard of within a minute of the event before."""

from collections.abc import Iterable

import msgspec

from telefold import DeviceEvent, Fold, FoldRow, heard_at

CLOSE_MS = 60_000


class ${class_name}State(msgspec.Struct, frozen=True):
    last_at: int = 0
    streak: int = 0


class ${class_name}(Fold[${class_name}State]):
    name = "$name"
    state = ${class_name}State

    def initial(self, key: str) -> ${class_name}State:
        return ${class_name}State()

    def evolve(self, state: ${class_name}State, event: DeviceEvent) -> ${class_name}State:
        return ${class_name}State(heard_at(event), state.streak + 1)

    def wake_at(self, state: ${class_name}State) -> int | None:
        return state.last_at + CLOSE_MS if state.streak else None

    def on_time(self, state: ${class_name}State, at: int) -> ${class_name}State:
        return msgspec.structs.replace(state, streak=0)

    def rows(self, state: ${class_name}State) -> Iterable[FoldRow]:
        yield FoldRow(self.name, {"streak": state.streak, "last_at": state.last_at})
''')

_TEST = Template("""from telefold.testing import FoldTest

from $module import CLOSE_MS, $class_name


def test_a_streak_ends_a_minute_after_its_last_event() -> None:
    test = FoldTest($class_name())
    test.event(at=1_000)
    test.event(at=2_000)
    assert test.rows["$name"].data == {"streak": 2, "last_at": 2_000}
    test.advance_to(2_000 + CLOSE_MS)
    assert test.rows["$name"].data == {"streak": 0, "last_at": 2_000}
""")


@app.callback()
def _commands() -> None:
    """The beginning of something of your own."""


@app.command()
def fold(
    name: Annotated[str, typer.Argument(help="Of the view: lower-case letters, digits and underscores.")],
    folder: Annotated[Path, typer.Option(help="Where it is written; Python must find it there.")] = Path(),
) -> None:
    """Write NAME.py, a fold in Python, and test_NAME.py, its test. See docs/how-to/your-own-fold.md."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,62}", name):
        raise UsageError([f"NAME = {name!r}: must be lower-case letters, digits and _, and begin with a letter."])
    values = {"name": name, "module": name, "class_name": name.title().replace("_", "")}
    files = {folder / f"{name}.py": _FOLD, folder / f"test_{name}.py": _TEST}
    if there := [str(file) for file in files if file.exists()]:
        raise UsageError([f"{' and '.join(there)}: there already, and not overwritten. Choose another NAME."])
    folder.mkdir(parents=True, exist_ok=True)
    console = Console(soft_wrap=True, markup=False, highlight=False)
    for file, template in files.items():
        file.write_text(template.substitute(values), "utf-8")
        console.print(f"Wrote {file}")
    enter = "" if folder == Path() else f"cd {folder} && "
    console.print(f"Next: {enter}python -m pytest test_{name}.py")
    console.print(
        f"Then: set folds = {name}:{values['class_name']} in telefold.job of the properties, and start the job from"
        " this folder with `telefold run telemetry`"
    )
