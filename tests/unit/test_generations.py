"""What may follow what in the life of generations, from every state that can be reached at all."""

from collections.abc import Callable, Iterator

import pytest

from telefold.schemas.errors import GenerationError
from telefold.schemas.generations import (
    FoldSettings,
    Generations,
    generation_of,
    generation_partition,
    generation_prefix,
)

CUT = {"shard-1": "49600000000000000000000000000000000000000000000000000042"}

FOLD = FoldSettings(("latest", "rollups"), {"1m": 60_000})

Change = Callable[[Generations], Generations]


def in_use(state: Generations) -> list[int]:
    return [number for number in (state.current, state.building) if number is not None]


CHANGES: dict[str, Change] = {
    "begin": lambda state: state.begin(CUT, FOLD),
    "set_ready": lambda state: state.set_ready(),
    "switch": lambda state: state.switch(),
    "rollback": lambda state: state.rollback(),
    "abandon": lambda state: state.abandon(),
    "cleaned": lambda state: state.cleaned(),
}


def attempt(state: Generations, change: str) -> Generations | None:
    try:
        return CHANGES[change](state)
    except GenerationError:
        return None


def shape(state: Generations) -> tuple[object, ...]:
    """All that decides what may follow."""
    return state.building is not None, state.ready, state.previous is not None


def reachable() -> list[Generations]:
    """States that up to twelve changes lead to, one for each way in which numbers can be in use."""
    seen: dict[tuple[object, ...], Generations] = {}
    edge = [Generations()]
    for _ in range(12):
        followers = [after for state in edge for change in CHANGES if (after := attempt(state, change))]
        edge = []
        for state in followers:
            key = (state.current, state.previous, state.building, state.ready, state.newest)
            if key not in seen:
                seen[key] = state
                edge.append(state)
    return [Generations(), *seen.values()]


STATES = reachable()


def each_change() -> Iterator[tuple[Generations, str, Generations]]:
    for state in STATES:
        for name in CHANGES:
            if (after := attempt(state, name)) is not None:
                yield state, name, after


def test_enough_states_are_reached() -> None:
    assert len(STATES) > 100
    assert {shape(state) for state in STATES} == {
        (building, ready, previous)
        for building, ready in [(False, False), (True, False), (True, True)]
        for previous in (False, True)
    }


@pytest.mark.parametrize("change", CHANGES)
def test_each_change_is_allowed_in_these_states_and_refused_in_all_others(change: str) -> None:
    for state in STATES:
        building, ready, previous = shape(state)
        allowed = {
            "begin": not building,
            "set_ready": building and not ready,
            "switch": ready,
            "rollback": previous and not ready,
            "abandon": building,
            "cleaned": True,
        }[change]
        assert (attempt(state, change) is not None) == allowed, state


@pytest.mark.parametrize("state", STATES, ids=str)
def test_what_holds_in_every_state(state: Generations) -> None:
    used = [number for number in (state.current, state.previous, state.building) if number is not None]
    assert len(set(used)) == len(used)
    assert max(used) <= state.newest
    assert state.building is not None or not state.ready
    assert state.live in in_use(state)
    assert set(state.cuts) == set(state.folds) == set(used) - {1}
    assert sorted([*state.droppable(), *in_use(state)]) == list(range(1, state.newest + 1))


def test_every_change_is_counted_and_numbers_are_never_used_again() -> None:
    for state, name, after in each_change():
        assert after.revision == state.revision + 1, name
        assert after.newest == state.newest + (name == "begin")
        if name == "begin":
            assert after.building == after.newest
            assert after.cuts[after.newest] == CUT


def test_readers_are_led_elsewhere_by_a_switch_and_a_rollback_alone() -> None:
    for state, name, after in each_change():
        assert (after.current != state.current) == (name in ("switch", "rollback")), name


def test_the_life_of_a_rebuild() -> None:
    first = Generations()
    assert (first.current, first.live) == (1, 1)
    building = first.begin(CUT, FOLD)
    assert (building.current, building.building, building.live, building.cuts) == (1, 2, 1, {2: CUT})
    ready = building.set_ready()
    assert (ready.current, ready.live) == (1, 2)
    assert ready.switch() == Generations(
        revision=3, current=2, previous=1, building=None, ready=False, newest=2, cuts={2: CUT}, folds={2: FOLD}
    )


def switched() -> Generations:
    return Generations().begin(CUT, FOLD).set_ready().switch()


def test_a_rollback_can_be_undone_until_the_other_generation_is_given_up() -> None:
    back = switched().rollback()
    assert (back.current, back.previous, back.live) == (1, 2, 1)
    forth = back.rollback()
    assert (forth.current, forth.previous, forth.cuts) == (2, 1, {2: CUT})
    given_up = back.cleaned()
    assert (given_up.previous, given_up.cuts, given_up.droppable()) == (None, {}, [2])
    with pytest.raises(GenerationError, match="no generation to roll back to from generation 1"):
        given_up.rollback()


def test_the_number_of_a_generation_that_was_given_up_is_not_used_again() -> None:
    ready = Generations().begin(CUT, FOLD).set_ready()
    assert (ready.abandon().live, ready.abandon().droppable()) == (1, [2])
    assert ready.abandon().begin({}, FOLD).building == 3


def test_a_rollback_while_another_generation_is_built() -> None:
    """What is rolled away from is gone for good once the rebuild is switched to."""
    back = switched().begin({}, FOLD).rollback()
    assert (back.current, back.previous, back.building) == (1, 2, 3)
    after = back.set_ready().switch()
    assert (after.current, after.previous, after.droppable(), after.cuts) == (3, 1, [1, 2], {3: {}})


def test_every_refusal_is_one_sentence_that_says_what_to_do() -> None:
    sentences = set()
    for state in STATES:
        for change in CHANGES.values():
            try:
                change(state)
            except GenerationError as error:
                sentences.add(str(error))
    assert len(sentences) > 4
    assert all(sentence.endswith(".") and sentence.count(": ") == 1 for sentence in sentences)


def test_only_what_nobody_can_come_back_to_is_dropped() -> None:
    state = switched().begin({}, FOLD)
    for number, why in [
        (1, "brought back by a rollback"),
        (2, "in use"),
        (3, "in use"),
        (4, "never begun"),
        (0, "never begun"),
    ]:
        with pytest.raises(GenerationError, match=why):
            state.check_dropped(number)
    state.cleaned().check_dropped(1)


def test_what_was_dropped_is_not_dropped_again() -> None:
    state = switched().cleaned().without(1)
    assert state.droppable() == []
    with pytest.raises(GenerationError, match="is gone"):
        state.check_dropped(1)
    with pytest.raises(GenerationError, match="in use"):
        state.without(2)
    again = state.begin({}, FOLD).abandon()
    assert again.droppable() == [3]


def test_partitions_of_generations() -> None:
    assert generation_partition(1, "device#1") == "device#1"
    assert generation_partition(2, "device#1") == "g2/device#1"
    assert generation_partition(17, "fleet#all") == "g17/fleet#all"
    for generation in (1, 2, 9, 10, 12, 100):
        for partition in ("device#1", "device#g2/x", "fleet#g12/", "device#"):
            assert generation_of(generation_partition(generation, partition)) == generation
    with pytest.raises(GenerationError, match="no generation 0"):
        generation_prefix(0)
