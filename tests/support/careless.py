"""A fold that writes whatever its events tell it to, as one with a fault would."""

from collections.abc import Iterable

import msgspec

from operators.folds.fold import Fold, FoldRow
from schemas.events import DeviceEvent


class Last(msgspec.Struct, frozen=True):
    """What the last event asked for."""

    asked: dict[str, str] = {}


class Careless(Fold[Last]):
    """Attributes `partition` and `sort` say where a row goes, `characters` how long its text is; `nan` adds one."""

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
        yield FoldRow(asked.get("sort", "careless"), data, None, asked.get("partition"))
