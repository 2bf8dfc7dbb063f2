"""What a fold in Python is, and how a batch of events takes it on. Pure: the same for Flink, the oracle and tests.

class Mileage(msgspec.Struct, frozen=True): ...

class Odometer(Fold[Mileage]):
    name = "odometer"
    state = Mileage

    def evolve(self, state: Mileage, event: DeviceEvent) -> Mileage: ...
    def rows(self, state: Mileage) -> Iterable[FoldRow]: ...
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Generic, Literal, NamedTuple, TypeVar

from schemas.events import DeviceEvent
from schemas.rules import RuleChange
from schemas.view_rows import Data

State = TypeVar("State")

Upcast = Callable[[dict[str, Any]], dict[str, Any]]
"""The fields of a state of one version to those of the next."""


class FoldRow(NamedTuple):
    """One row of the view, in the partition of the state's key."""

    sort: str
    """The fold's name, or one that begins with it and `#`."""
    data: Data
    expires_at: int | None = None
    """Epoch seconds, not milliseconds; None for as long as the device is remembered."""
    partition: str | None = None
    """Another partition than the device's, of the fold's own. There `sort` is `<name>#<what has no #>#<device id>`."""


class Contribution(NamedTuple):
    """What a step of one device changes in a row of a group of devices."""

    group: str
    """The row's partition is `fleet#` and this."""
    sort: str
    """As in `FoldRow`."""
    add: Mapping[str, float] = MappingProxyType({})
    """By how much fields change that are sums over the group's devices."""
    high: float | None = None
    """A value for the row's list of those devices whose greatest value is highest."""
    expires_at: int | None = None
    """Epoch seconds, not milliseconds; None for as long as the row has a sum that is not 0."""


class Fold(ABC, Generic[State]):
    """The events of one device folded into one state, and the rows that it shows.

    Everything is a function of its arguments: no clock, no I/O, no chance. After a crash the same events come again and
    must lead to the same states.
    """

    name: ClassVar[str]
    """Of the view. Begins the sort keys of its rows, and names its state: renaming it loses the state."""

    state: ClassVar[type]
    """A frozen `msgspec.Struct`."""

    state_version: ClassVar[int] = 1
    """Raise it with every change to the fields of the state or their meaning, and add an upcast."""

    upcasts: ClassVar[Mapping[int, Upcast]] = MappingProxyType({})
    """By version: how the fields of a state of that version become those of the next."""

    clock: ClassVar[Literal["event", "processing"]] = "event"
    """What `wake_at` is measured by: the events' own time, which a replay repeats, or the time of the machine."""

    @abstractmethod
    def initial(self, key: str) -> State:
        """The state of a device before its first event."""

    @abstractmethod
    def evolve(self, state: State, event: DeviceEvent) -> State:
        """The state after `event`. Events of a device come in the order of its shard, each once, none too late."""

    @abstractmethod
    def rows(self, state: State) -> Iterable[FoldRow]:
        """What readers see of `state`. Asked after every step; rows that did not change are not written.

        A row that a later state no longer names stays as it is until it expires.
        """

    def contributes(self, before: State, after: State) -> Iterable[Contribution]:
        """What a step from one state to the next changes in rows of groups; `before` may be that of `initial`."""
        return ()

    def shows_the_same(self, one: State, other: State) -> bool:
        """Whether `rows` of both are surely equal: said without a look at them, and worth it where they are many."""
        return one is other

    def wake_at(self, state: State) -> int | None:
        """Epoch milliseconds at which `on_time` is due unless the state has changed by then, None for never."""
        return None

    def on_time(self, state: State, at: int) -> State:
        """The state once `at`, the time that `wake_at` gave, has come without it having changed.

        An event whose own time is `at` or later finds it called already, so that a replay takes the same steps. It must
        move `wake_at` past `at`.
        """
        raise NotImplementedError(f"{type(self).__name__} has wake_at and no on_time")

    def forgotten(self, state: State, at: int) -> State:
        """What `state` comes to when the device has been silent for `device.retention` by `at`, and is forgotten.

        Its rows expire, and what it has contributed to groups is to be taken back: `contributes` is asked for the step
        from here to the state of `initial`.
        """
        return state


class RuledFold(Fold[State]):
    """A fold that also goes by rules, which come and go while it runs."""

    @abstractmethod
    def under(self, changes: Iterable[RuleChange]) -> "RuledFold[State]":
        """This fold with the rules that `changes`, all there are, leave."""

    @abstractmethod
    def judged(self, state: State) -> State:
        """What the fold's rules make of a state that others have judged; the very `state` if these have."""
