"""Which folds a job can be told to run."""

import pytest

from telefold.operators.folds import registry
from telefold.operators.folds.fold import Fold, RuledFold, under_rules
from tests.support.bell import Bell, Countdown


def test_a_job_finds_folds_by_name_and_by_class() -> None:
    found = registry.find_all(["device", "presence", f"{__name__}:Bell"])
    assert [type(fold).__name__ for fold in found] == ["Device", "Presence", "Bell"]


class Nameless(Bell):
    name = "No Name"


class Thief(Bell):
    name = "latest"


class Loose(Bell):
    state = dict  # type: ignore[assignment]  # what is refused


class Unborn(Bell):
    def __init__(self, needed: int) -> None: ...


class Yesterday(Bell):
    clock = "event"  # type: ignore[assignment]  # what is refused


class Halfway(Fold[Countdown]):
    name = "halfway"
    state = Countdown


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        ("presense", "presense is none of device, presence, alert, fleet, and no package.module:ClassName"),
        ("no.such.module:Fold", "holds no, so stand in the folder that does, or put"),
        (f"{__name__}:Gone", "AttributeError"),
        (f"{__name__}:Countdown", "is no subclass of telefold.Fold"),
        (f"{__name__}:Nameless", "has the name 'No Name', not one of lower-case letters"),
        (f"{__name__}:Thief", "has the name latest, which is that of a view of Telefold's own"),
        (f"{__name__}:Loose", "has a state that is no frozen msgspec.Struct"),
        (f"{__name__}:Unborn", "fails with TypeError"),
        (f"{__name__}:Yesterday", "has the clock 'event', which is neither 'arrival' nor 'processing': write clock ="),
        (f"{__name__}:Halfway", "lacks evolve, initial, rows"),
    ],
)
def test_what_is_no_fold_is_refused_with_a_reason(wanted: str, why: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the message is looked at below
        registry.find(wanted)
    assert why in str(refused.value)


def test_a_job_tells_its_folds_how_late_events_may_be() -> None:
    assert [fold.lateness_ms for fold in registry.find_all(["fleet", "alert"], 7_000)] == [7_000, 7_000]
    assert [fold.lateness_ms for fold in registry.find_all(["fleet", "alert"])] == [3_600_000, 3_600_000]
    alerts = registry.find_all(["alert"], 7_000)[0]
    assert isinstance(alerts, RuledFold)
    assert under_rules(alerts, []).lateness_ms == 7_000


def test_two_folds_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two folds are named device"):
        registry.find_all(["device", "device"])
