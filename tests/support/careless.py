"""A fold that writes whatever its events tell it to.

Where this is imported, as in the task of a job that has it, rows of folds are not checked before they come to the
writer.
"""

from collections.abc import Iterable

import msgspec

from telefold.operators.folds import fold_run
from telefold.operators.folds.fold import Fold, FoldRow
from telefold.schemas.events import DeviceEvent
from telefold.schemas.view_rows import ViewUpdate


def _let_pass(device_id: str, row: ViewUpdate) -> None:
    """In the place of the check of a fold's own rows."""


fold_run.check_row = _let_pass  # type: ignore[attr-defined]  # it checks by the function that it imports


class Last(msgspec.Struct, frozen=True):
    """What the last event asked for."""

    asked: dict[str, str] = {}


class Careless(Fold[Last]):
    """Attributes `partition` and `sort` say where a row goes, `longer` by how much its sort key grows, `characters` how
    long its text is; `nan` adds one.
    """

    name = "careless"
    state = Last

    def initial(self, key: str) -> Last:
        return Last()

    def evolve(self, state: Last, event: DeviceEvent) -> Last:
        return Last(dict(event.attributes))

    def rows(self, state: Last) -> Iterable[FoldRow]:
        asked = state.asked
        data: dict[str, float | str] = {"text": "x" * int(asked.get("characters", "1"))}
        if "nan" in asked:
            data["number"] = float("nan")
        sort = asked.get("sort", "careless") + "#" * ("longer" in asked) + "x" * int(asked.get("longer", "0"))
        yield FoldRow(sort, data, None, asked.get("partition"))
