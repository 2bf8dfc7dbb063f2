from itertools import permutations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from telefold.schemas.corrections import Correction, correction_of, winning
from telefold.schemas.events import DeviceEvent

EVENT = DeviceEvent("e1", "d", "telemetry", 1_000, 5, {"temperature": 50.0}, {"site": "osaka"}, "trace")

CORRECTIONS = st.builds(
    Correction,
    device_id=st.sampled_from(["d", "e"]),
    corrects=st.sampled_from(["e1", "e2"]),
    event_id=st.sampled_from(["c1", "c2"]),
    event_time=st.integers(0, 2),
    sequence=st.integers(0, 2),
    metrics=st.dictionaries(st.sampled_from(["temperature", "humidity"]), st.floats(-1, 1)),
)


def test_an_event_is_a_correction_when_it_corrects_one() -> None:
    assert correction_of(EVENT) is None
    correcting = msgspec.structs.replace(EVENT, event_id="c1", corrects="e1")
    assert correction_of(correcting) == Correction("d", "e1", "c1", 1_000, 5, {"temperature": 50.0})


def test_a_corrected_event_keeps_everything_but_time_sequence_and_readings() -> None:
    corrected = Correction("d", "e1", "c1", 2_000, 6, {"humidity": 1.0}).apply_to(EVENT)
    assert corrected == DeviceEvent("e1", "d", "telemetry", 2_000, 6, {"humidity": 1.0}, {"site": "osaka"}, "trace")


def test_sequence_comes_before_time_and_time_before_id() -> None:
    ranked = [
        Correction("d", "e1", "z", 9, 1, {}),
        Correction("d", "e1", "z", 1, 2, {}),
        Correction("d", "e1", "a", 2, 2, {}),
        Correction("d", "e1", "b", 2, 2, {}),
    ]
    for order in permutations(ranked):
        assert winning(order) == {("d", "e1"): ranked[-1]}


@given(st.lists(CORRECTIONS, max_size=8), st.data())
def test_who_wins_does_not_depend_on_order_or_copies(corrections: list[Correction], data: st.DataObject) -> None:
    again = [*corrections, *(data.draw(st.lists(st.sampled_from(corrections))) if corrections else [])]
    assert winning(data.draw(st.permutations(again))) == winning(corrections)


@given(st.lists(CORRECTIONS, max_size=8))
def test_each_corrected_event_has_one_winner_of_its_own(corrections: list[Correction]) -> None:
    winners = winning(corrections)
    assert winners.keys() == {(one.device_id, one.corrects) for one in corrections}
    assert all(winner in corrections and winner.key == key for key, winner in winners.items())
