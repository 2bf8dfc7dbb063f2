"""When the live job moves readers to the generation that it has taken over, and when it has to go on with another."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from telefold.deploy.flink_rest import Checkpoint, Progress
from telefold.deploy.minicluster.live_role import CoveredBy, LiveRole, has_read_past
from telefold.schemas.errors import GenerationError, StoreUnavailable
from telefold.schemas.generations import FoldSettings, Generations

FOLD = FoldSettings(("latest",), {})
BEGAN = 1_000.0
READY = Generations().begin({}, FOLD).set_ready()


class Record:
    """Where generations are kept, with a switch for an outage."""

    def __init__(self, held: Generations) -> None:
        self.held = held
        self.away = False
        self.published: list[int] = []

    def load(self) -> Generations:
        if self.away:
            raise StoreUnavailable("The table is away.")
        return self.held

    def change(self, transition: Callable[[Generations], Generations]) -> Generations:
        self.held = transition(self.load())
        return self.held

    def publish(self, generations: Generations) -> None:
        self.published.append(generations.current)


class Scene:
    def __init__(self, held: Generations, generation: int) -> None:
        self.now = BEGAN
        self.record = Record(held)
        self.said: list[str] = []
        store: Any = self.record
        self.role = LiveRole(store, generation, self.said.append, lambda: self.now)

    def is_over(self, at: float, **progress: Any) -> bool:
        self.now = at
        return self.role.is_over(Progress(**progress))

    def look(self) -> None:
        """What the role sees of the pointer once a second."""
        with self.role.watching():
            deadline = time.monotonic() + 10
            known = len(self.record.published)
            while len(self.record.published) == known and not self.record.away and time.monotonic() < deadline:
                time.sleep(0.01)


def checkpoint(triggered_at: float) -> Checkpoint:
    return Checkpoint(1, triggered_at, triggered_at + 0.1)


def test_readers_are_moved_once_a_checkpoint_covers_all_that_had_arrived_when_the_run_began() -> None:
    scene = Scene(READY, generation=2)
    assert not scene.is_over(BEGAN + 1, behind_ms=-1)
    assert not scene.is_over(BEGAN + 2, behind_ms=0, checkpoint=checkpoint(BEGAN + 1))
    assert not scene.is_over(BEGAN + 5, behind_ms=0, checkpoint=checkpoint(BEGAN + 4.9))
    assert scene.record.held.current == 1
    assert not scene.is_over(BEGAN + 7, behind_ms=0, checkpoint=checkpoint(BEGAN + 5.1))
    assert scene.record.held.current == 2
    assert "Readers see generation 2" in scene.said[0]
    assert not scene.is_over(BEGAN + 8, behind_ms=0, checkpoint=checkpoint(BEGAN + 7))
    assert len(scene.said) == 1


def test_a_store_that_is_away_at_the_switch_is_asked_again() -> None:
    scene = Scene(READY, generation=2)
    scene.record.away = True
    for at in (5, 6, 7):
        assert not scene.is_over(BEGAN + at, behind_ms=0, checkpoint=checkpoint(BEGAN + at))
    assert scene.record.held.current == 1
    scene.record.away = False
    assert not scene.is_over(BEGAN + 9, behind_ms=0, checkpoint=checkpoint(BEGAN + 8))
    assert scene.record.held.current == 2


@pytest.mark.parametrize(
    ("held", "runs", "wanted"),
    [
        (READY, 1, 2),
        (READY.switch(), 2, 2),
        (READY.switch().rollback(), 2, 1),
        (READY.abandon(), 2, 1),
        (Generations().begin({}, FOLD), 1, 1),
    ],
    ids=["ready", "switched", "rolled back", "abandoned", "building"],
)
def test_a_run_is_over_when_another_generation_is_to_be_run(held: Generations, runs: int, wanted: int) -> None:
    scene = Scene(Generations(), generation=runs)
    scene.record.held = held
    scene.look()
    assert scene.role.wanted == wanted
    assert scene.is_over(BEGAN + 1) == (runs != wanted)


def test_what_redis_has_of_the_pointer_is_mended() -> None:
    scene = Scene(READY.switch(), generation=2)
    scene.look()
    assert scene.record.published == [2]


def test_a_change_that_somebody_else_made_first_is_no_failure() -> None:
    scene = Scene(READY, generation=2)
    scene.record.held = READY.abandon()
    with pytest.raises(GenerationError):
        scene.record.held.switch()
    assert not scene.is_over(BEGAN + 5, behind_ms=0)
    assert not scene.is_over(BEGAN + 7, behind_ms=0, checkpoint=checkpoint(BEGAN + 6))
    assert scene.record.held.current == 1


def test_the_archive_is_read_before_the_stream() -> None:
    assert not has_read_past(Progress(behind_ms=0, archive_bytes_left=1), BEGAN, BEGAN + 100)
    assert not has_read_past(Progress(behind_ms=60_000), BEGAN, BEGAN + 61)
    assert has_read_past(Progress(behind_ms=60_000), BEGAN, BEGAN + 63)


def test_a_checkpoint_that_began_before_the_condition_covers_nothing() -> None:
    now = BEGAN
    covered = CoveredBy(lambda progress: progress.events_in > 0, lambda: now)
    assert not covered(Progress(checkpoint=checkpoint(BEGAN + 1)))
    assert not covered(Progress(events_in=1, checkpoint=checkpoint(BEGAN)))
    assert not covered(Progress(events_in=1))
    assert covered(Progress(events_in=1, checkpoint=checkpoint(BEGAN + 0.1)))
