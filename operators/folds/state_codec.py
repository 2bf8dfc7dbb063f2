"""The state of a fold as text, which is how Flink stores it: JSON, with the version of its schema in front."""

from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from telefold.operators.folds.fold import Fold
from telefold.operators.folds.fold_run import Snapshot

State = TypeVar("State")

_encode = msgspec.json.encode
_decode_any = msgspec.json.decode
_decode_timers = msgspec.json.Decoder(tuple[int, str, int, int, int | None, int | None, int | None, msgspec.Raw]).decode


class WrongCode(Exception):
    """The code cannot read the state of any device: that is for people to mend, and no fault of an event."""


class NewerState(WrongCode):
    """The state was written by a later version of the fold than this one: run that again, or rebuild the views."""


class ChangedState(WrongCode):
    """The state has the fold's version and other fields: they were changed, and `state_version` was not raised."""


class MissingUpcast(WrongCode):
    """The fold does not say how its state of an older version becomes that of the next: its views are to be rebuilt."""


class StoredState(NamedTuple, Generic[State]):
    held: Snapshot[State]
    timer: int | None
    """The time, in epoch milliseconds, of the one timer of the device that counts; others that fire are left over."""
    end: int | None = None
    """The time of the one timer, by arrivals, that asks whether the device is to be forgotten."""


class StateCodec(Generic[State]):
    """Writes and reads the state of one fold: `[state_version, clock, events, times, last, timer, end, state]`.

    A timer of another clock is none: a fold that has changed its clock arms one of its own.
    """

    def __init__(self, fold: Fold[State]) -> None:
        self.fold = fold
        self._current = f"[{fold.state_version},"
        self._decode = msgspec.json.Decoder(_layout(fold.state)).decode

    def text(self, kept: StoredState[State]) -> str:
        held, fold = kept.held, self.fold
        return _encode(
            (fold.state_version, fold.clock, held.events, held.times, held.last, kept.timer, kept.end, held.state)
        ).decode()

    def check(self, text: str) -> None:
        """Raise what `read` would of a text that `text` has just written, if it cannot be read again."""
        self._decode(text)

    def read(self, text: str) -> StoredState[State]:
        """Read a text that `text` wrote, upcast from its version; raises WrongCode if that cannot be."""
        if self.is_current(text):
            _, clock, events, times, last, timer, end, state = self._decode(text)
        else:
            version, clock, events, times, last, timer, end, fields = _decode_any(text)
            state = self._upcast(version, fields)
        return StoredState(Snapshot(state, events, times, last), timer if clock == self.fold.clock else None, end)

    def timers(self, text: str) -> tuple[int | None, int | None, bool]:
        """The timer and the end of what `text` wrote, and whether the device is forgotten: whatever the state is."""
        _, clock, _, _, last, timer, end, _ = _decode_timers(text)
        return timer if clock == self.fold.clock else None, end, last is None

    def is_current(self, text: str) -> bool:
        """Whether `text` has the version of this code, so that it was read by it before it was stored."""
        return text.startswith(self._current)

    def with_timers(self, text: str, timer: int | None, end: int | None) -> str:
        """Write a text that `text` wrote anew with these timers, whatever the state is."""
        version, clock, events, times, last, _, _, state = _decode_timers(text)
        return _encode((version, clock, events, times, last, timer, end, state)).decode()

    def _upcast(self, version: int, fields: Any) -> State:
        name, current = self.fold.name, self.fold.state_version
        if version > current:
            raise NewerState(f"the state of {name} has version {version}, this code reads up to {current}")
        for step in range(version, current):
            if step not in self.fold.upcasts:
                raise MissingUpcast(
                    f"{name}.upcasts has no step from version {step} of the state to {step + 1}, so none goes on from"
                    " a checkpoint with the older one: stop the job, run `telefold rebuild`, then start the job again"
                )
            fields = self.fold.upcasts[step](fields)
        state: State = msgspec.convert(fields, self.fold.state)
        return state


def _layout(state: type) -> Any:
    return tuple[int, str, int, int, int | None, int | None, int | None, state]  # type: ignore[valid-type]
