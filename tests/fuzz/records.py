"""Records of the stream of events: every kind there is, in an order that the seed alone decides. Pure.

Each record is a function of the seed, its number and the time of the first, so that any of them can be made again
alone. Every `CALM_EVERY`th is the calm fleet's, the rest is noise.
"""

import random
from collections.abc import Iterator, Mapping
from itertools import count
from typing import NamedTuple

from telefold.schemas.codec import encode
from tests.fuzz import calm, no_events, odd_events
from tests.fuzz.draw import Draw, Made, Maker

RATE = 120
"""Records a second."""
CALM = "calm"
CALM_EVERY = 10
_MOST_KEY_CHARACTERS = 256


class Record(NamedTuple):
    number: int
    kind: str
    data: bytes
    partition_key: str


class Recipe(NamedTuple):
    """All that decides the records of a run."""

    seed: int
    start: int
    """When the first record is due, in epoch milliseconds."""

    def due(self, number: int) -> int:
        return self.start + number * 1_000 // RATE

    def record(self, number: int) -> Record:
        if number % CALM_EVERY == 0:
            event = calm.event(number // CALM_EVERY, self.due(number))
            return Record(number, CALM, encode(event), event.device_id)
        kind, draw = self._draw(number)
        data, key = KINDS[kind][1](draw)
        return Record(number, kind, data, key[:_MOST_KEY_CHARACTERS] or "-")

    def records(self, without: frozenset[str] = frozenset()) -> Iterator[Record]:
        """Without end; `without` the noise of some kinds and its duplicates, which moves no other record."""
        for number in count():
            if not without & set(self._kinds(number)):
                yield self.record(number)

    def _draw(self, number: int) -> tuple[str, Draw]:
        chance = random.Random(f"{self.seed} {number}")
        (kind,) = chance.choices(list(KINDS), [weight for weight, _ in KINDS.values()])
        return kind, Draw(self, number, self.due(number), chance)

    def _kinds(self, number: int) -> Iterator[str]:
        """Its own kind, and that of what it is a duplicate of."""
        while number % CALM_EVERY:
            kind, draw = self._draw(number)
            yield kind
            if kind != "duplicate":
                return
            number = draw.earlier()


def _usual(draw: Draw) -> Made:
    return draw.sent(draw.usual())


def _duplicate(draw: Draw) -> Made:
    """The very record of a while ago, of noise or of the calm fleet."""
    earlier = draw.recipe.record(draw.earlier())
    return earlier.data, earlier.partition_key


KINDS: Mapping[str, tuple[int, Maker]] = {
    "usual": (20, _usual),
    "texts": (12, odd_events.texts),
    "forged": (6, odd_events.forged),
    "sizes": (5, odd_events.sizes),
    "keys": (2, odd_events.keys),
    "many": (1, odd_events.many),
    "types": (1, odd_events.types),
    "life": (6, odd_events.life),
    "acknowledged": (6, odd_events.acknowledged),
    "correction": (2, odd_events.correction),
    "clock": (6, odd_events.clock),
    "extreme time": (1, odd_events.extreme_time),
    "late": (3, odd_events.late),
    "number": (4, odd_events.number),
    "ties": (2, odd_events.ties),
    "colliding": (2, odd_events.colliding),
    "newcomer": (3, odd_events.newcomer),
    "duplicate": (6, _duplicate),
    "same id": (1, odd_events.same_id),
    "garbage": (4, no_events.garbage),
    "damaged": (5, no_events.damaged),
    "lying": (2, no_events.lying),
    "no text": (2, no_events.no_text),
    "own": (8, odd_events.own),
}
"""The noise: how often, of all weights together, and how it is made."""
