"""A fold whose rows change by time alone, for the tests of what every fold has in common."""

from collections.abc import Iterable

import msgspec

from telefold.operators.folds.fold import Fold, FoldRow
from telefold.schemas.events import DeviceEvent

LIMIT = 10


class Countdown(msgspec.Struct, frozen=True):
    last: int = 0
    events: int = 0
    bells: int = 0


class Bell(Fold[Countdown]):
    """Rings every 10 ms after an event, three times at most."""

    name = "bell"
    state = Countdown

    def initial(self, key: str) -> Countdown:
        return Countdown()

    def evolve(self, state: Countdown, event: DeviceEvent) -> Countdown:
        return Countdown(max(state.last, event.event_time), state.events + 1, 0)

    def wake_at(self, state: Countdown) -> int | None:
        return state.last + LIMIT * (state.bells + 1) if state.events and state.bells < 3 else None

    def on_time(self, state: Countdown, at: int) -> Countdown:
        return msgspec.structs.replace(state, bells=state.bells + 1)

    def rows(self, state: Countdown) -> Iterable[FoldRow]:
        yield FoldRow("bell", {"bells": state.bells})
        yield FoldRow(f"bell#{state.events}", {"last": state.last})
