"""What a record of the fuzz is made of: its number, its time, chance, and an event with nothing odd about it."""

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from telefold.schemas.codec import VERSIONS, encode
from telefold.schemas.events import DeviceEvent

if TYPE_CHECKING:
    from tests.fuzz.records import Recipe

MOST_BYTES = 1_048_576
"""That Kinesis takes as a record, its partition key included."""
_FEW = 12
"""So many devices send events of one kind alone: enough for some in every shard."""
_USUAL = 40
"""So many devices of the noise come again and again."""


class Draw(NamedTuple):
    """What a record is made of."""

    recipe: "Recipe"
    number: int
    now: int
    chance: random.Random

    def usual(self) -> DeviceEvent:
        """An event with nothing odd about it, of a device that comes again and again."""
        chance = self.chance
        device = f"noise-{chance.randrange(_USUAL)}"
        metrics = {"temperature": chance.uniform(0, 100), f"metric-{chance.randrange(5)}": chance.gauss(0, 1e3)}
        attributes = {"site": f"site-{chance.randrange(4)}"} if chance.random() < 0.3 else {}
        return DeviceEvent(self.identity, device, "telemetry", self.now, self.number, metrics, attributes)

    @property
    def identity(self) -> str:
        return f"{self.recipe.seed}/{self.number}"

    def of(self, family: str, **changes: Any) -> DeviceEvent:
        """The usual event with `changes`, of one of the few devices that send such events alone."""
        device = f"{family}-{self.chance.randrange(_FEW)}"
        return msgspec.structs.replace(self.usual(), **{"device_id": device} | changes)

    def earlier(self) -> int:
        return max(0, self.number - self.chance.randint(1, 400))

    def sent(self, event: DeviceEvent, version: int | None = None) -> "Made":
        version = version or self.chance.choice(VERSIONS)
        return encode(event, version), event.device_id


Made = tuple[bytes, str]
"""Bytes and partition key."""
Maker = Callable[[Draw], Made]
