"""A team's own fold that does everything wrong, each on the word of an event of its type: `own.TRICK`.

On every other event it counts, and that count must be right whatever the tricks do.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from telefold.operators.folds.fold import Contribution, Fold, FoldRow
from telefold.schemas.events import DeviceEvent

NAME = "own"
TYPE = f"{NAME}."


class Count(msgspec.Struct, frozen=True, array_like=True):
    events: int = 0
    trick: str = ""
    ballast: Any = 0


class _Unspeakable(Exception):
    def __str__(self) -> str:
        raise ValueError("it cannot even be said what was wrong")


def _recurse(state: Count, event: DeviceEvent) -> Count:
    return _recurse(state, event)


def _raises(error: BaseException) -> Callable[[Count, DeviceEvent], Count]:
    def evolve(state: Count, event: DeviceEvent) -> Count:
        raise error

    return evolve


def _with_ballast(ballast: Any) -> Callable[[Count, DeviceEvent], Any]:
    return lambda state, event: Count(state.events + 1, "", ballast)


_EVOLVES: Mapping[str, Callable[[Count, DeviceEvent], Any]] = {
    "raises": _raises(ValueError("as it was told to")),
    "raises-long": _raises(KeyError("\0\n\t" + "long " * 200_000)),
    "raises-surrogate": _raises(RuntimeError("half a character: \ud800")),
    "raises-unspeakable": _raises(_Unspeakable()),
    "raises-stop": _raises(StopIteration()),
    "recurses": _recurse,
    "state-none": lambda state, event: None,
    "state-foreign": lambda state, event: {"events": 1},
    "state-too-great": _with_ballast(10**30),
    "state-surrogate": _with_ballast("\ud800"),
    "state-object": _with_ballast(object()),
    "state-nan": _with_ballast(math.nan),
    "state-deep": lambda state, event: Count(state.events + 1, "", _nested(100_000)),
}
"""What must not become a state; those of `HARMLESS` may."""


def _nested(depth: int) -> list[Any]:
    inner: list[Any] = []
    for _ in range(depth):
        inner = [inner]
    return inner


_row: Callable[..., FoldRow] = FoldRow
_contribution: Callable[..., Contribution] = Contribution
"""As code calls them that no type checker has seen."""

_ROWS: Mapping[str, Any] = {
    "row-huge": FoldRow("own#row", {"text": "x" * 450_000}),
    "row-many-fields": FoldRow("own#row", {f"field-{n}": "x" * 90 for n in range(5_000)}),
    "row-expires-great": FoldRow("own#row", {"n": 1}, 2**70),
    "row-expires-never-was": FoldRow("own#row", {"n": 1}, -5),
    "row-expires-text": _row("own#row", {"n": 1}, "tomorrow"),
    "row-expires-float": _row("own#row", {"n": 1}, math.inf),
    "row-sort-empty": FoldRow("", {"n": 1}),
    "row-sort-foreign": FoldRow("latest#temperature", {"value": 1.0, "at": 1}),
    "row-sort-device": FoldRow("device", {"n": 1}),
    "row-sort-prefix": FoldRow("ownership", {"n": 1}),
    "row-sort-long": FoldRow("own#" + "漢" * 400, {"n": 1}),
    "row-sort-surrogate": FoldRow("own#\ud800", {"n": 1}),
    "row-of-calm": FoldRow("own", {"events": 9_000_000}, partition="device#calm-01"),
    "row-of-fleet": FoldRow("own", {"n": 1}, partition="fleet#all"),
    "row-of-rules": FoldRow("own", {"n": 1}, partition="telefold#rules"),
    "row-of-bookkeeping": FoldRow("own", {"n": 1}, partition="telefold"),
    "row-of-generation": FoldRow("own", {"n": 1}, partition="g2/device#calm-01"),
    "row-partition-long": FoldRow("own", {"n": 1}, partition="device#" + "x" * 3_000),
    "row-data-none": _row("own#row", {"n": None}),
    "row-data-list": _row("own#row", {"n": [1, {"a": 2}]}),
    "row-data-object": _row("own#row", {"n": object()}),
    "row-data-bytes": _row("own#row", {"n": b"\xff"}),
    "row-data-nan": FoldRow("own#row", {"n": math.nan}),
    "row-data-infinite": FoldRow("own#row", {"n": -math.inf}),
    "row-data-too-great": FoldRow("own#row", {"n": 1e200}),
    "row-data-many-digits": FoldRow("own#row", {"n": 2**200 + 1}),
    "row-data-surrogate": FoldRow("own#row", {"text": "\ud800"}),
    "row-data-surrogate-name": FoldRow("own#row", {"\ud800": 1}),
    "row-data-name-of-number": _row("own#row", {1: 1}),
    "row-data-no-mapping": _row("own#row", "text"),
    "row-none": None,
    "row-text": "own",
}
"""Rows that no store can keep, or that are somebody else's."""

_CONTRIBUTES: Mapping[str, Any] = {
    "group-nan": Contribution("all", "own", {"n": math.nan}),
    "group-infinite": Contribution("all", "own", {"n": math.inf}),
    "group-text": _contribution("all", "own", {"n": "x"}),
    "group-foreign-row": Contribution("site#calm-a", "fleet", {"devices": 1_000}),
    "group-foreign-rollup": Contribution("all", "rollup#1m#temperature#2026-01-01T00:00:00Z", {"count": 1_000}),
    "group-long": Contribution("own#" + "x" * 3_000, "own", {"n": 1}),
    "group-sort-long": Contribution("all", "own#" + "x" * 2_000, {"n": 1}),
    "group-surrogate": Contribution("own#\ud800", "own", {"n": 1}),
    "group-expires-great": Contribution("all", "own", {"n": 1}, expires_at=2**70),
    "group-huge-field": Contribution("all", "own#fields", {"x" * 500_000: 1}),
    "group-high-nan": Contribution("all", "own#high", high=math.nan),
    "group-none": None,
}
"""What does not belong into a group's row."""

_WAKES: Mapping[str, Any] = {
    "wake-text": "soon",
    "wake-great": 2**70,
    "wake-nan": math.nan,
    "wake-raises": None,
    "wake-stands-still": 1,
    "wake-fails-on-time": 1,
}

HARMLESS = frozenset({"state-nan", "state-too-great"})
"""Tricks that need not be set aside."""
TRICKS = (*_EVOLVES, *_ROWS, *_CONTRIBUTES, *_WAKES)


def elsewhere(trick: str) -> str | None:
    """The partition that a trick's row lies in, if it is not that of its device."""
    if _CONTRIBUTES.get(trick):
        return f"fleet#{_CONTRIBUTES[trick].group}"
    return getattr(_ROWS.get(trick), "partition", None)


class Own(Fold[Count]):
    """The row `own` with how many `events` it has folded."""

    name = NAME
    state = Count

    def initial(self, key: str) -> Count:
        return Count()

    def evolve(self, state: Count, event: DeviceEvent) -> Count:
        trick = event.type.removeprefix(TYPE) if event.type.startswith(TYPE) else ""
        if trick in _EVOLVES:
            result: Count = _EVOLVES[trick](state, event)
            return result
        return Count(state.events + 1, trick)

    def rows(self, state: Count) -> Iterable[FoldRow]:
        yield FoldRow(self.name, {"events": state.events})
        if state.trick in _ROWS:
            yield _ROWS[state.trick]

    def contributes(self, before: Count, after: Count) -> Iterable[Contribution]:
        yield Contribution("all", f"{self.name}#count", {"events": after.events - before.events})
        if after.trick in _CONTRIBUTES:
            yield _CONTRIBUTES[after.trick]

    def wake_at(self, state: Count) -> int | None:
        if state.trick == "wake-raises":
            raise ValueError("it does not know when")
        return _WAKES.get(state.trick)

    def on_time(self, state: Count, at: int) -> Count:
        if state.trick == "wake-fails-on-time":
            raise ValueError("not even in time")
        return state
