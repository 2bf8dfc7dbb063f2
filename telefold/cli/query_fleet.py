"""`telefold query fleet`: how groups of devices are."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Annotated, cast

import msgspec
import orjson
import typer
from rich.console import Console

from telefold.cli.options import StoreOption
from telefold.cli.tables import (
    newest_rollups_table,
    number,
    printable,
    table,
)
from telefold.cli.text_table import TextTable
from telefold.jobs.properties_file import DEFAULT_PATH
from telefold.operators.folds.fleet import ALL
from telefold.operators.folds.groups import TOP
from telefold.reading import Views
from telefold.schemas.view_rows import ALL_GROUPS, ViewRow, group_partition
from telefold.views.rollups import with_statistics

_COUNTS = ("devices", "online", "silent", "offline", "retired")
_WINDOWS_SHOWN = 24


def fleet(
    group: Annotated[
        str | None, typer.Argument(metavar="GROUP", help=f"One group, such as site#berlin, or {ALL}; without it, all.")
    ] = None,
    store: StoreOption = None,
    properties: Annotated[Path, typer.Option(help="The job's application_properties.json.")] = DEFAULT_PATH,
    json: Annotated[bool, typer.Option("--json", help="Print the rows as JSON.")] = False,
) -> None:
    """Groups of devices side by side; or one: its devices, how many were active, the highest readings, its rollups.

    Exit code 1 where there is no such group.
    """
    partition = ALL_GROUPS if group is None else group_partition(group)
    with Views.open(properties, store) as views:
        rows = views.groups() if group is None else views.group(group)
    if json:
        sys.stdout.write(
            orjson.dumps(
                {"partition": partition, "rows": msgspec.to_builtins([with_statistics(row) for row in rows])}
            ).decode()
            + "\n"
        )
    elif rows:
        Console().print(*([_groups_table(rows)] if group is None else _group_tables(group, rows)))
        if group is None:
            _say("Next: `telefold query fleet GROUP` shows one, such as `telefold query fleet all`.")
    if not rows:
        _say(_missing(group), Console(stderr=True))
        raise typer.Exit(1)


def _missing(group: str | None) -> str:
    if group is None:
        return (
            "There are no groups: name fleet in telefold.job/folds, and has any device sent events while the job ran?"
        )
    return f"There is no group {group}: `telefold query fleet` shows those that there are."


def _groups_table(rows: Iterable[ViewRow]) -> TextTable:
    cells = [(row.sort.removeprefix("fleet#"), *_counts(row)) for row in rows]
    return table("Groups", ("group", *_COUNTS), cells)


def _counts(row: ViewRow) -> Iterator[str]:
    return (number(cast(int, row.data.get(field, 0))) for field in _COUNTS)


def _group_tables(group: str, rows: Sequence[ViewRow]) -> Iterator[TextTable]:
    kinds = {kind: list(some) for kind, some in groupby(rows, _kind)}
    if "fleet" in kinds:
        yield table(group, _COUNTS, [tuple(_counts(row)) for row in kinds["fleet"]], left=0)
    if "active" in kinds:
        yield table(
            "Active devices", ("size", "window (UTC)", "devices"), map(_active, kinds["active"][-_WINDOWS_SHOWN:]), 2
        )
    for metric, some in groupby(kinds.get("top", ()), lambda row: row.sort.split("#")[2]):
        yield _top_table(metric, list(some)[-1])
    if "rollup" in kinds:
        yield newest_rollups_table(kinds["rollup"])


def _kind(row: ViewRow) -> str:
    first, *rest = row.sort.split("#")
    return rest[0] if first == "fleet" and rest else first


def _active(row: ViewRow) -> tuple[str, ...]:
    _, _, size, start = row.sort.split("#")
    return size, _time(start), number(cast(int, row.data["devices"]))


def _top_table(metric: str, row: ViewRow) -> TextTable:
    places = [place for place in range(1, TOP + 1) if f"device_{place}" in row.data]
    cells = [(str(row.data[f"device_{place}"]), number(cast(float, row.data[f"value_{place}"]))) for place in places]
    return table(f"Highest {metric} in the hour of {_time(row.sort.split('#')[-1])}", ("device", "value"), cells)


def _time(iso: str) -> str:
    return iso.replace("T", " ").removesuffix("Z")


def _say(line: str, console: Console | None = None) -> None:
    (console or Console()).print(printable(line), soft_wrap=True, highlight=False, markup=False)
