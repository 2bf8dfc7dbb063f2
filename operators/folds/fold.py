"""The interface of a fold in Python. Pure: the same for Flink, the oracle and tests.

class Mileage(msgspec.Struct, frozen=True): ...

class Odometer(Fold[Mileage]):
    name = "odometer"
    state = Mileage

    def evolve(self, state: Mileage, event: DeviceEvent) -> Mileage: ...
    def rows(self, state: Mileage) -> Iterable[FoldRow]: ...
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Generic, Literal, NamedTuple, TypeVar

from telefold.schemas.events import DeviceEvent
from telefold.schemas.rules import RuleChange
from telefold.schemas.view_rows import Data

State = TypeVar("State")

Clock = Literal["arrival", "processing"]

Upcast = Callable[[dict[str, Any]], dict[str, Any]]
"""The fields of a state of one version to those of the next."""


class FoldRow(NamedTuple):
    """A row of the view, in the partition of the state's key."""

    sort: str
    """The fold's name, or one that begins with it and `#`."""
    data: Data
    expires_at: int | None = None
    """Epoch seconds, not milliseconds; None for as long as the device is remembered."""
    partition: str | None = None
    """A partition of the fold's own instead of the device's. There `sort` is `<name>#<what has no #>#<device id>`."""
    at_once: bool | Collection[str] = False
    """Whether DynamoDB is to have a change at once, as Redis has, and not when it is due (`durable.interval`): each, or
    one of these fields of its data."""


class Contribution(NamedTuple):
    """A change that a step of one device makes in a row of a group of devices."""

    group: str
    """The row's partition is `fleet#` and this."""
    sort: str
    """The row's sort key, as in `FoldRow`."""
    add: Mapping[str, float] = MappingProxyType({})
    """The amounts by which fields change that are sums over the group's devices."""
    high: float | None = None
    """A value for the row's list of those devices whose greatest value is highest."""
    expires_at: int | None = None
    """Epoch seconds, not milliseconds; None for as long as the row has a sum that is not 0."""
    at_once: bool = False
    """Whether DynamoDB is to have it at once, as in `FoldRow`."""


class Fold(ABC, Generic[State]):
    """The events of one device folded into one state, and the rows that it shows.

    Everything is a function of its arguments: no clock, no I/O, no chance. After a crash the same events come again and
    must lead to the same states.

    An event has two times. `event.event_time` is what the device says, whose clock may be wrong: it says which reading
    is newer and how long something lasted. `schemas.events.heard_at(event)` is when the device was heard, the greatest
    arrival of its events so far: it says whether and since when it is silent, and `wake_at` is measured by it.
    """

    name: ClassVar[str]
    """The view's name. Begins the sort keys of its rows, and names its state: renaming it loses the state."""

    state: ClassVar[type]
    """A frozen `msgspec.Struct`."""

    state_version: ClassVar[int] = 1
    """Raise it with every change to the fields of the state or their meaning, and add an upcast."""

    upcasts: ClassVar[Mapping[int, Upcast]] = MappingProxyType({})
    """What makes the fields of a state of one version those of the next, by the version."""

    clock: ClassVar[Clock] = "arrival"
    """What `wake_at` is measured by: when events arrived, which a replay repeats, or the time of the machine."""

    lateness_ms: int = 3_600_000
    """How far an event may be behind the newest of its device, in milliseconds of their own time: `rollup.lateness`.

    The job sets it before the first event. A rebuild has events that are later than that."""

    @abstractmethod
    def initial(self, key: str) -> State:
        """The state of a device before its first event."""

    @abstractmethod
    def evolve(self, state: State, event: DeviceEvent) -> State:
        """The state after `event`. Events of a device come in the order of its shard, each once."""

    @abstractmethod
    def rows(self, state: State) -> Iterable[FoldRow]:
        """The rows that readers see of `state`. Asked after every step; rows that did not change are not written.

        A row that a later state no longer names stays as it is until it expires.
        """

    def contributes(self, before: State, after: State) -> Iterable[Contribution]:
        """The changes in rows of groups by a step from one state to the next; `before` may be that of `initial`."""
        return ()

    def shows_the_same(self, one: State, other: State) -> bool:
        """Whether `rows` of both are surely equal: said without a look at them, and worth it where they are many."""
        return one is other

    def wake_at(self, state: State) -> int | None:
        """Epoch milliseconds at which `on_time` is due unless the state has changed by then, None for never."""
        return None

    def on_time(self, state: State, at: int) -> State:
        """The state once `at`, the time that `wake_at` gave, has come without it having changed.

        An event that is heard at `at` or later finds it called already, and where none comes it is called once nothing
        that arrived by `at` can come any more: so a replay takes the same steps. It must move `wake_at` past `at`.
        """
        raise NotImplementedError(f"{type(self).__name__} has wake_at and no on_time")

    def forgotten(self, state: State, at: int) -> State:
        """What `state` comes to when the device has been silent for `device.retention` by `at`, and is forgotten.

        Its rows expire, and what it has contributed to groups is to be taken back: `contributes` is asked for the step
        from here to the state of `initial`.
        """
        return state


class RuledFold(Fold[State]):
    """A fold that also goes by rules, which come and go while it runs.

    A change is in force for what is heard at its `in_force_at` or later: until then `wake_at` is not to be later than
    that where it concerns the device, and `on_time` and `evolve` go by the rules of their time.
    """

    @abstractmethod
    def under(self, changes: Iterable[RuleChange]) -> "RuledFold[State]":
        """Return this fold with the rules of `changes`, which are all that there ever were as far as is known."""

    @abstractmethod
    def judged(self, state: State) -> State:
        """What comes of a state that was evaluated when not all rules were known that were in force by then.

        The very `state` if they were: that is so whenever changes come to the job in time. Asked before every `evolve`
        and `on_time`, as a step of its own.
        """

    def looked_at(self, state: State, at: int) -> State:
        """`state` when the time of the log is `at` and nothing is due by then: it may note that it was looked at.

        It shows and contributes the same. What is noted spares the next look the rules of before.
        """
        return state


def under_rules(fold: RuledFold[State], changes: Iterable[RuleChange]) -> RuledFold[State]:
    """`fold.under(changes)`, with what the job has set of `fold`."""
    ruled = fold.under(changes)
    ruled.lateness_ms = fold.lateness_ms
    return ruled
