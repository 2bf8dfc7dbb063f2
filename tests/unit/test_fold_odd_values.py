"""Whatever a fold returns: it crosses to the stores and to groups as it is, or the event is set aside for this fold."""

from collections import UserDict
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from enum import IntEnum, StrEnum
from types import MappingProxyType, SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

from telefold.operators.flink.fold_function import emitted
from telefold.operators.flink.group_function import GroupFunction
from telefold.operators.folds.fold import Contribution, Fold, FoldRow
from telefold.operators.folds.groups import MAX_FIELD_BYTES, MAX_FIELDS, Contributed, GroupRow
from telefold.operators.folds.state_codec import StateCodec
from telefold.operators.folds.taking import take
from telefold.operators.folds.testing import FoldTest
from telefold.schemas.events import DeviceEvent
from telefold.schemas.row_limits import why_refused
from telefold.schemas.view_rows import ViewUpdate, group_partition


class _Text(str):
    pass


class _Whole(int):
    pass


class _Real(float):
    pass


class _Level(IntEnum):
    HIGH = 3


class _Kind(StrEnum):
    ODD = "odd"


VALUES: dict[str, Any] = {
    "none": None,
    "true": True,
    "text": "odd",
    "empty": "",
    "text of a subclass": _Text("odd"),
    "text of an enum": _Kind.ODD,
    "lone surrogate": "\ud800",
    "long": "x" * 600,
    "bytes": b"odd",
    "whole": 3,
    "whole of a subclass": _Whole(3),
    "whole of an enum": _Level.HIGH,
    "beyond 64 bits": 2**64,
    "digits that Python does not print": 10**5_000,
    "real": 1.5,
    "real of a subclass": _Real(1.5),
    "numpy real": np.float64(1.5),
    "numpy whole": np.int64(3),
    "numpy truth": np.bool_(True),
    "numpy text": np.str_("odd"),
    "numpy array": np.ones(2),
    "decimal": Decimal(1),
    "infinite": float("inf"),
    "not a number": float("nan"),
    "list": [1],
    "object": object(),
    "map": {"a": 1},
    "map of a proxy": MappingProxyType({"a": 1}),
    "map of its own kind": UserDict({"a": 1}),
    "map of odd names": {_Text("a"): 1},
    "map without a name": {"": 1},
    "map of a name that is too long": {"x" * 65_536: 1},
    "map of many": {str(number): 1 for number in range(MAX_FIELDS + 1)},
}


def _prefixed(value: Any) -> Any:
    """A key of the fold, of the very type of `value` where that is a text."""
    return type(value)(f"odd#{value}") if isinstance(value, str) and type(value) is not _Kind else value


ROWS: dict[str, Callable[[Any], Any]] = {
    "row": lambda odd: odd,
    "sort": lambda odd: FoldRow(_prefixed(odd), {}),
    "data": lambda odd: FoldRow("odd", odd),
    "value": lambda odd: FoldRow("odd", {"n": odd}),
    "field": lambda odd: FoldRow("odd", {odd: 1}),
    "expires_at": lambda odd: FoldRow("odd", {}, odd),
    "partition": lambda odd: FoldRow("odd#x#d", {}, None, odd),
}
MADE: dict[str, Callable[[Any], Any]] = {
    "contribution": lambda odd: odd,
    "group": lambda odd: Contribution(odd, "odd", {"n": 1}),
    "sort of a group": lambda odd: Contribution("all", _prefixed(odd), {"n": 1}),
    "add": lambda odd: Contribution("all", "odd", odd),
    "amount": lambda odd: Contribution("all", "odd", {"n": odd}),
    "field of a group": lambda odd: Contribution("all", "odd", {odd: 1}),
    "high": lambda odd: Contribution("all", "odd", high=odd),
    "end": lambda odd: Contribution("all", "odd", expires_at=odd),
}


class Count(msgspec.Struct, frozen=True):
    events: int = 0
    place: str = ""
    kind: str = ""


class Odd(Fold[Count]):
    """Shows and contributes, besides a count, what its last event names."""

    name = "odd"
    state = Count

    def initial(self, key: str) -> Count:
        return Count()

    def evolve(self, state: Count, event: DeviceEvent) -> Count:
        return Count(state.events + 1, event.attributes.get("place", ""), event.attributes.get("kind", ""))

    def rows(self, state: Count) -> Iterable[FoldRow]:
        yield FoldRow("odd#count", {"events": state.events})
        if state.place in ROWS:
            yield ROWS[state.place](VALUES[state.kind])

    def contributes(self, before: Count, after: Count) -> Iterable[Contribution]:
        yield Contribution("all", "odd#count", {"events": after.events - before.events})
        if after.place in MADE:
            yield MADE[after.place](VALUES[after.kind])


def _event(attributes: Mapping[str, str]) -> DeviceEvent:
    return DeviceEvent("e", "d", "telemetry", 1_000, 1, {}, attributes)


def _of(taken: Any) -> GroupRow:
    row = GroupRow("odd")
    assert all(row.take(made) for made in taken if made.sort == "odd")
    return row


@pytest.mark.parametrize("kind", VALUES)
@pytest.mark.parametrize("place", [*ROWS, *MADE])
def test_what_a_fold_returns_crosses_as_it_is_or_is_its_events_failure(place: str, kind: str) -> None:
    attributes = {"place": place, "kind": kind}
    taken = take(StateCodec(Odd()), "d", None, [_event({}), _event(attributes)], None)
    ((_, rows, contributions, _),) = emitted(taken.updates, taken.contributions)
    assert msgspec.json.Decoder(ViewUpdate).decode_lines(rows) == taken.updates
    assert msgspec.json.Decoder(Contributed).decode_lines(contributions) == taken.contributions
    group_row = _of(taken.contributions).update(group_partition("all"), "odd")
    assert not [why for row in (*taken.updates, group_row) if (why := why_refused(row))]
    assert _harness_refuses(attributes) == bool(taken.failures)


def _harness_refuses(attributes: Mapping[str, str]) -> bool:
    test = FoldTest(Odd(), "d")
    test.event(at=1_000)
    try:
        test.event(at=1_000, attributes=attributes)
    except Exception:
        return True
    return False


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("data", "map of a proxy"),
        ("data", "map of its own kind"),
        ("add", "map of a proxy"),
        ("value", "true"),
        ("value", "empty"),
        ("high", "whole"),
        ("group", "long"),
    ],
)
def test_what_can_cross_is_no_failure(place: str, kind: str) -> None:
    assert not take(StateCodec(Odd()), "d", None, [_event({"place": place, "kind": kind})], None).failures


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("amount", "true"),
        ("high", "true"),
        ("amount", "numpy real"),
        ("value", "numpy real"),
        ("value", "text of a subclass"),
        ("sort", "text of a subclass"),
        ("partition", "text of a subclass"),
        ("group", "text of a subclass"),
        ("field of a group", "empty"),
        ("field of a group", "long"),
        ("add", "map of many"),
    ],
)
def test_what_cannot_cross_is_a_failure(place: str, kind: str) -> None:
    assert take(StateCodec(Odd()), "d", None, [_event({"place": place, "kind": kind})], None).failures


class Reused(Odd):
    """Shows one dict, which it goes on changing."""

    def __init__(self) -> None:
        self._data: dict[str, Any] = {}

    def rows(self, state: Count) -> Iterable[FoldRow]:
        self._data["n"] = np.float64(1) if state.kind else 1
        yield FoldRow("odd", self._data)


def test_what_a_fold_does_to_a_row_that_it_has_shown_does_not_cross() -> None:
    taken = take(StateCodec(Reused()), "d", None, [_event({}), _event({"kind": "true"})], None)
    assert [type(row.data["n"]) for row in taken.updates] == [int]


class Distant(Odd):
    def wake_at(self, state: Count) -> int | None:
        return 2**61 if state.events == 1 else None

    def on_time(self, state: Count, at: int) -> Count:
        return Count(state.events + 1)


def test_a_step_so_late_that_a_group_would_have_no_version_for_it_is_a_failure() -> None:
    test = FoldTest(Distant(), "d")
    test.event(at=1_000)
    with pytest.raises(AssertionError, match="too late for epoch milliseconds"):
        test.advance_to(2**61)


def _contributed(**changes: Any) -> Contributed:
    return msgspec.structs.replace(Contributed("fleet#all", "v", "d", "v", {"n": 1.0}, None, None, 1_000), **changes)


class _Rows(dict[str, str]):
    put = dict.__setitem__


def _group_function() -> tuple[Any, Any]:
    function: Any = GroupFunction()
    for name in ("_begun", "_ended", "_left_out"):
        counter = SimpleNamespace(count=0)
        counter.inc = lambda by=1, counter=counter: setattr(counter, "count", counter.count + by)
        setattr(function, name, counter)
    function._rows = _Rows()
    function._ended_rows = SimpleNamespace(value=lambda: None)
    timers = SimpleNamespace(register_event_time_timer=lambda at: None)
    context = SimpleNamespace(timer_service=lambda: timers, get_current_key=lambda: "fleet#all")
    return function, lambda lines: [
        update
        for _, rows in function.process_element(lines, context)
        for update in msgspec.json.Decoder(ViewUpdate).decode_lines(rows)
    ]


BAD_LINES = [
    '["fleet#all","v","d","v",{"on":true},null,null,1]',
    '["fleet#all","v","d","v",{"on":1},true,null,1]',
    '["fleet#all","v","d","v",{"on":1e61},null,null,1]',
    '["fleet#all","v","d","v",{"on":1},null,null,4611686018427387904]',
    '["fleet#all","v","d"]',
    "[" * 100_000,
    "no JSON",
]


@pytest.mark.parametrize("bad", BAD_LINES)
def test_a_group_leaves_out_what_it_cannot_read_and_takes_the_rest(bad: str) -> None:
    function, process = _group_function()
    good = msgspec.json.encode(_contributed()).decode()
    assert process(f"{good}\n{bad}\n{good}")[0].data == {"n": 2}
    assert process(bad) == []
    assert function._left_out.count == 2


def test_a_row_of_a_group_has_an_end_to_its_fields_and_always_fits_the_stores() -> None:
    function, process = _group_function()
    for number in range(MAX_FIELDS + 50):
        name = f"{number}".ljust(MAX_FIELD_BYTES, "x")
        made = _contributed(device_id=f"{number:0>512}", add={name: 0.1 + number}, high=0.1 + number)
        updates = process(msgspec.json.encode(made).decode())
    assert not [why for row in updates if (why := why_refused(row))]
    assert function._left_out.count == 50
    last = process(msgspec.json.encode(_contributed(add={"0".ljust(MAX_FIELD_BYTES, "x"): 1.0})).decode())
    assert last[0].data["0".ljust(MAX_FIELD_BYTES, "x")] == 1.1
