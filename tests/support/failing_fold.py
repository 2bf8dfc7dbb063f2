"""A fold that fails in each way in which one can, and what a job would have of a device after it."""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from telefold.operators.folds.fold import Contribution, Fold, FoldRow
from telefold.operators.folds.groups import Contributed
from telefold.operators.folds.owned import MAX_GROUP_BYTES
from telefold.operators.folds.state_codec import StateCodec
from telefold.operators.folds.taking import Taken, take
from telefold.schemas.events import DeviceEvent

DAY_MS = 86_400_000
KEPT_MS = 90 * DAY_MS


class Count(msgspec.Struct, frozen=True):
    events: int = 0
    last: int = 0
    bad: Any = None
    seen: list[str] = []
    amount: float = 0.0
    name: str = ""
    value: Any = None
    number: int = 0


def _deep(depth: int) -> int:
    return _deep(depth + 1)


def _raise(error: Exception) -> Any:
    raise error


class _Hostile(Exception):
    def __str__(self) -> str:
        raise RuntimeError


BAD_STATES: dict[str, Callable[[], Any]] = {
    "state: huge number": lambda: {"number": 10**5_000},
    "state: not a number": lambda: {"amount": float("nan")},
    "state: unknown object": lambda: {"value": object()},
    "state: lone surrogate": lambda: {"name": "\ud800"},
    "state: of another type": lambda: {"name": 1},
    "state: raises": lambda: _raise(ValueError("no")),
    "state: recursion": lambda: _deep(0),
    "state: hostile": lambda: _raise(_Hostile()),
}
_row: Callable[..., FoldRow] = FoldRow
_contribution: Callable[..., Contribution] = Contribution
"""As code calls them that no type checker has seen."""
BAD_ROWS: dict[str, Callable[[str], Any]] = {
    "row: of another view": lambda _: FoldRow("latest#t", {"value": 1}),
    "row: of nobody": lambda _: FoldRow("count#x", {}, partition="telefold"),
    "row: of a group": lambda _: FoldRow("count", {}, partition="fleet#all"),
    "row: of another device": lambda _: FoldRow("count#x#other", {}, partition="counts"),
    "row: key too long": lambda _: FoldRow("count#" + "x" * 1_024, {}),
    "row: milliseconds": lambda _: FoldRow("count", {}, 1_767_225_600_000),
    "row: expires by a truth": lambda _: FoldRow("count", {}, True),
    "row: list": lambda _: _row("count", {"a": [1]}),
    "row: infinite": lambda _: FoldRow("count", {"a": float("inf")}),
    "row: beyond DynamoDB": lambda _: FoldRow("count", {"a": 1e200}),
    "row: just beyond DynamoDB": lambda _: FoldRow("count", {"a": 9.95e125}),
    "row: field without a name": lambda _: FoldRow("count", {"": 1}),
    "row: beyond 64 bits": lambda _: FoldRow("count", {"a": 2**64}),
    "row: lone surrogate": lambda _: FoldRow("count", {"a": "\ud800"}),
    "row: too large": lambda _: FoldRow("count", {"a": "x" * 450_000}),
    "row: field of no name": lambda _: _row("count", {1: 1}),
    "row: no data": lambda _: _row("count", None),
    "row: no row": lambda _: ("count", {}),
}
BAD_GROUPS: dict[str, Contribution] = {
    "group: empty": Contribution("", "count"),
    "group: long": Contribution("x" * (MAX_GROUP_BYTES + 1), "count"),
    "group: no text": _contribution(7, "count"),
    "group: lone surrogate": Contribution("site#\ud800", "count"),
    "group: of another view": Contribution("all", "fleet"),
    "group: infinite": Contribution("all", "count", {"n": float("inf")}),
    "group: text": _contribution("all", "count", {"n": "1"}),
    "group: high": Contribution("all", "count", high=float("nan")),
    "group: milliseconds": Contribution("all", "count", {"n": 1}, expires_at=1_767_225_600_000),
}
BAD_TIMES: dict[str, Any] = {"wake_at: text": "soon", "wake_at: float": 1.5, "wake_at: huge": 2**80}
KINDS = [*BAD_STATES, *BAD_ROWS, *BAD_GROUPS, *BAD_TIMES, "mutates and raises", "forgets its state"]


class Counting(Fold[Count]):
    """Counts events, and does what an event's type asks for."""

    name = "count"
    state = Count

    def initial(self, key: str) -> Count:
        return Count()

    def evolve(self, state: Count, event: DeviceEvent) -> Count:
        if event.type == "mutates and raises":
            state.seen.append("poison")
            raise KeyError
        if event.type == "forgets its state":
            return None  # type: ignore[return-value]  # what is refused
        bad = {"bad": event.type} if event.type not in BAD_STATES else BAD_STATES[event.type]()
        last, seen = max(state.last, event.event_time), [*state.seen, event.event_id][-3:]
        return msgspec.structs.replace(state, events=state.events + 1, last=last, seen=seen, **bad)

    def wake_at(self, state: Count) -> int | None:
        return BAD_TIMES.get(str(state.bad), state.last + 100 if state.bad == "rings" else None)

    def on_time(self, state: Count, at: int) -> Count:
        return msgspec.structs.replace(state, bad="rang")

    def rows(self, state: Count) -> Iterable[FoldRow]:
        yield FoldRow("count", {"events": state.events, "seen": " ".join(state.seen), "last": state.last})
        yield FoldRow("count#all#d", {"events": state.events}, partition="counts")
        if isinstance(state.bad, str) and state.bad in BAD_ROWS:
            yield BAD_ROWS[state.bad]("d")

    def contributes(self, before: Count, after: Count) -> Iterable[Contribution]:
        yield Contribution("all", "count", {"events": after.events - before.events})
        if isinstance(after.bad, str) and after.bad in BAD_GROUPS:
            yield BAD_GROUPS[after.bad]


def event(number: int, kind: str = "telemetry", at: int | None = None) -> DeviceEvent:
    return DeviceEvent(f"e{number}", "d", kind, number if at is None else at, number)


class Told:
    """What a job would have of a device after batches of events: state, rows and what went to groups."""

    def __init__(self, fold: Fold[Any] | None = None) -> None:
        self.fold = StateCodec(fold or Counting())
        self.text: str | None = None
        self.rows: dict[tuple[str, str], Any] = {}
        self.made: list[Contributed] = []
        self.failed: list[Any] = []

    @property
    def held(self) -> Any:
        return self.text and self.fold.read(self.text).held

    def take(self, *happened: Any) -> Taken[Any]:
        taken: Taken[Any] = take(self.fold, "d", self.text, happened, KEPT_MS)
        self.text = taken.text
        self.rows |= {(row.partition, row.sort): (row.version, row.data) for row in taken.updates}
        self.made += taken.contributions
        self.failed += [failure.happening for failure in taken.failures]
        return taken
