"""The state of a fold as text, which is how Flink keeps it: JSON, with the version of its schema in front."""

from typing import Any, Generic, NamedTuple, TypeVar

import msgspec

from operators.folds.fold import Fold
from operators.folds.steps import Held

State = TypeVar("State")

_encode = msgspec.json.encode
_decode_any = msgspec.json.decode


class NewerState(Exception):
    """The state was written by a later version of the fold than this one: run that again, or rebuild the views."""


class Kept(NamedTuple, Generic[State]):
    held: Held[State]
    timer: int | None
    """The time, in epoch milliseconds, of the one timer of the device that counts; others that fire are left over."""


class KeptFold(Generic[State]):
    """Writes and reads the state of one fold: `[state_version, clock, events, times, timer, state]`.

    A timer of the other clock is none: a fold that has changed its clock arms one of its own.
    """

    def __init__(self, fold: Fold[State]) -> None:
        self._fold = fold
        self._current = f"[{fold.state_version},"
        self._decode = msgspec.json.Decoder(tuple[int, str, int, int, int | None, fold.state]).decode  # type: ignore[name-defined]

    def text(self, held: Held[State], timer: int | None) -> str:
        return _encode(
            (self._fold.state_version, self._fold.clock, held.events, held.times, timer, held.state)
        ).decode()

    def read(self, text: str) -> Kept[State]:
        """What `text` wrote, upcast from its version; raises NewerState, or ValueError where an upcast is missing."""
        if text.startswith(self._current):
            _, clock, events, times, timer, state = self._decode(text)
        else:
            version, clock, events, times, timer, fields = _decode_any(text)
            state = self._upcast(version, fields)
        return Kept(Held(state, events, times), timer if clock == self._fold.clock else None)

    def _upcast(self, version: int, fields: Any) -> State:
        name, current = self._fold.name, self._fold.state_version
        if version > current:
            raise NewerState(f"the state of {name} has version {version}, this code reads up to {current}")
        for step in range(version, current):
            if step not in self._fold.upcasts:
                raise ValueError(f"{name}.upcasts has no step from version {step} of the state to {step + 1}")
            fields = self._fold.upcasts[step](fields)
        state: State = msgspec.convert(fields, self._fold.state)
        return state
