"""A fast store that was emptied is filled once, by one of those who notice, and given what is due meanwhile."""

import threading

import pytest

from telefold.connectors.healing import Healing
from telefold.schemas.errors import StoreUnavailable
from tests.support.waiting import PATIENCE_S, until

DURABLE_S = 300.0


class Mark:
    """The mark of a fast store in memory."""

    def __init__(self) -> None:
        self.since: float | None = None
        self.owner: str | None = None
        self.is_away = False

    def whole_since(self) -> float | None:
        if self.is_away:
            raise StoreUnavailable("away")
        return self.since

    def claim(self, owner: str, for_s: int) -> bool:
        self.owner = self.owner or owner
        return self.owner == owner

    def release(self, owner: str) -> None:
        self.owner = None

    def close(self) -> None:
        """Close nothing."""


class World:
    def __init__(self) -> None:
        self.now = 1_000.0
        self.mark = Mark()
        self.fills = 0
        self.may_end = threading.Event()
        self.trouble: Exception | None = None
        self.watches = [Healing(self.mark, self.fill, DURABLE_S, lambda: self.now, pause_s=0.0) for _ in range(3)]

    def fill(self, stopping: threading.Event) -> int:
        self.fills += 1
        self.may_end.wait(PATIENCE_S)
        if self.trouble is not None:
            raise self.trouble
        if stopping.is_set():
            raise StoreUnavailable("ending")
        self.mark.since = self.now
        return 7


@pytest.fixture
def world() -> World:
    return World()


def test_one_of_many_fills_a_store_that_was_emptied(world: World) -> None:
    assert all(watch.look() for watch in world.watches for _ in range(3))
    world.may_end.set()
    until(lambda: world.mark.since is not None and world.mark.owner is None)
    assert world.fills == 1
    assert all(watch.look() for watch in world.watches)
    assert world.fills == 1


def test_what_was_due_when_it_was_emptied_is_mirrored_and_nothing_later(world: World) -> None:
    world.mark.since = world.now
    assert world.watches[0].look()
    world.now += DURABLE_S
    assert world.watches[0].look()
    world.now += 60
    assert not world.watches[0].look()
    assert world.fills == 0


def test_a_store_that_is_away_is_not_filled_yet(world: World) -> None:
    world.mark.is_away = True
    assert world.watches[0].look()
    assert world.fills == 0


@pytest.mark.parametrize("trouble", [StoreUnavailable("emptied again"), ValueError("a fault")])
def test_what_could_not_be_filled_is_tried_again(world: World, trouble: Exception) -> None:
    world.trouble = trouble
    world.may_end.set()
    world.watches[0].look()
    until(lambda: not any(thread.name == "healing" for thread in threading.enumerate()))
    world.trouble = None
    world.watches[0].look()
    until(lambda: world.mark.since is not None)
    assert world.fills == 2


def test_closing_breaks_it_off(world: World) -> None:
    world.watches[0].look()
    until(lambda: world.fills == 1)
    world.may_end.set()
    world.watches[0].close()
    assert not any(thread.name == "healing" for thread in threading.enumerate())
