"""Options that several commands have."""

from typing import Annotated

import typer

from telefold.jobs.stores import StoreName

DespiteHoles = Annotated[
    bool, typer.Option("--despite-holes", help="Go on where the archive lacks records, without these.")
]
StoreOption = Annotated[
    StoreName | None,
    typer.Option(help="Read this store alone: the durable one or the fast one. Without it the answer is of both."),
]

NonRestored = Annotated[
    bool,
    typer.Option(
        "--allow-non-restored-state",
        help="Begin without the state that no operator of this build takes: of a job that ran on Flink 1.20, see"
        " docs/how-to/moving-to-flink-2.2.md.",
    ),
]
