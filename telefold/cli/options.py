"""Options that several commands have."""

from typing import Annotated

import typer

DespiteHoles = Annotated[
    bool, typer.Option("--despite-holes", help="Go on where the archive lacks records, without these.")
]
