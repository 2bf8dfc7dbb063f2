"""Attributes of a device: how many are stored, and when one is another than before."""

from telefold.operators.folds.lifecycle import MAX_ATTRIBUTES, Lifecycle
from telefold.schemas.events import DeviceEvent


def event(time: int, attributes: dict[str, str]) -> DeviceEvent:
    return DeviceEvent(f"e-{time}", "d", "telemetry", time, 0, {}, attributes)


def test_names_beyond_the_most_bring_nothing_new_and_those_that_are_known_go_on() -> None:
    full = Lifecycle().told(event(1, {f"name-{number}": "a" for number in range(MAX_ATTRIBUTES)}))
    assert full.told(event(2, {"one-more": "a"})) is full
    changed = full.told(event(2, {"one-more": "a", "name-0": "b"}))
    assert changed.values == full.values | {"name-0": "b"}
    half = Lifecycle().told(event(1, {f"name-{number}": "a" for number in range(MAX_ATTRIBUTES - 1)}))
    assert half.told(event(2, {"first": "a", "second": "a"})).values == half.values | {"first": "a"}


def test_what_is_older_brings_nothing_new() -> None:
    known = Lifecycle().told(event(5, {"site": "berlin"}))
    assert known.told(event(4, {"site": "rome"})) is known


def test_values_are_others_where_one_has_changed_or_come_and_not_where_it_is_said_again() -> None:
    known = Lifecycle().told(event(1, {"site": "berlin"}))
    again = known.told(event(2, {"site": "berlin"}))
    assert again.attributes["site"].since == (1, 0, "e-1")
    assert not again.has_other_values(known)
    assert not known.has_other_values(known)
    assert again.told(event(3, {"site": "rome"})).has_other_values(again)
    assert again.told(event(3, {"model": "th"})).has_other_values(again)
