"""Records of the stream of events: every kind there is, in an order that the seed alone decides. Pure.

Each record is a function of the seed, its number and the time of the first, so that any of them can be made again
alone. Every `CALM_EVERY`th is the calm fleet's, the rest is noise.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import Any, NamedTuple

import msgspec

from schemas.codec import HEADER_BYTES, MARKER, VERSIONS, encode
from schemas.events import DeviceEvent
from tests.fuzz import calm, own_fold
from tests.fuzz.texts import DIGITS, FORGED, NUMBERS, long_text, size, text

RATE = 120
"""Records a second."""
CALM = "calm"
CALM_EVERY = 10
_MOST_BYTES = 1_048_576
"""That Kinesis takes as a record, its partition key included."""
_MOST_KEY_CHARACTERS = 256
_ROOM_FOR_THE_REST = 3_000
_MINUTE, _HOUR, _DAY = 60_000, 3_600_000, 86_400_000
_LONG_MAX = 2**63 - 1
_FEW = 12
"""So many devices send events of one kind alone: enough for some in every shard."""
_USUAL = 40
"""So many devices of the noise come again and again."""


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

    def _draw(self, number: int) -> "tuple[str, _Draw]":
        chance = random.Random(f"{self.seed} {number}")
        (kind,) = chance.choices(list(KINDS), [weight for weight, _ in KINDS.values()])
        return kind, _Draw(self, number, self.due(number), chance)

    def _kinds(self, number: int) -> Iterator[str]:
        """Its own kind, and that of what it is a duplicate of."""
        while number % CALM_EVERY:
            kind, draw = self._draw(number)
            yield kind
            if kind != "duplicate":
                return
            number = draw.earlier()


class _Draw(NamedTuple):
    """What a record is made of."""

    recipe: Recipe
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

    def sent(self, event: DeviceEvent, version: int | None = None) -> "_Made":
        version = version or self.chance.choice(VERSIONS)
        return encode(event, version), event.device_id


_Made = tuple[bytes, str]
"""Bytes and partition key."""
_Maker = Callable[[_Draw], _Made]


def _usual(draw: _Draw) -> _Made:
    return draw.sent(draw.usual())


def _texts(draw: _Draw) -> _Made:
    """Any text in one to all of its fields."""
    chance = draw.chance
    fields: Mapping[str, Callable[[], Any]] = {
        "event_id": lambda: text(chance) + draw.identity,
        "device_id": lambda: f"{text(chance)}{draw.identity if chance.random() < 0.5 else chance.randrange(9)}~",
        "type": lambda: text(chance),
        "metrics": lambda: {text(chance): chance.choice(NUMBERS) for _ in range(chance.randrange(4))},
        "attributes": lambda: {_name(chance): text(chance) for _ in range(chance.randrange(5))},
        "correlation_id": lambda: text(chance),
    }
    names = chance.sample(list(fields), chance.choice((1, 1, 2, 3, len(fields))))
    return draw.sent(draw.of("texts", **{name: fields[name]() for name in names}))


def _name(chance: random.Random) -> str:
    return chance.choice(("site", "model", "firmware", "site", text(chance)))


def _forged(draw: _Draw) -> _Made:
    """Fields that would be several, or somebody else's, where things are framed by hand."""
    chance, word = draw.chance, draw.chance.choice(FORGED)
    changes = chance.choice(
        (
            {"device_id": word + "~"},
            {"attributes": {chance.choice(("site", "model", "firmware")): word}},
            {"attributes": {word: word}, "type": "configured"},
            {"type": word},
            {"metrics": {word: 1.0}},
            {"event_id": word + draw.identity},
            {"correlation_id": word},
        )
    )
    return draw.sent(draw.of("forged", **changes), VERSIONS[-1])


def _sizes(draw: _Draw) -> _Made:
    """One field as long as an edge, or as long as a record can be."""
    chance = draw.chance
    most = _MOST_BYTES - _ROOM_FOR_THE_REST if chance.random() < 0.2 else 20_000
    word = long_text(chance, most)
    name = chance.choice(("site", "model", "firmware", "other"))
    changes: Mapping[str, Any] = chance.choice(
        (
            {"device_id": word},
            {"event_id": word},
            {"type": word},
            {"correlation_id": word},
            {"corrects": word},
            {"metrics": {word: 1.0}},
            {"attributes": {name: word}},
            {"attributes": {word: "value"}},
            {"attributes": {name: word}, "type": "configured"},
            {"attributes": {word: "value"}, "type": "registered"},
        )
    )
    return draw.sent(draw.of("sizes", **changes))


def _keys(draw: _Draw) -> _Made:
    """Names that are each as long as they may be, in the four bytes a character that they may have."""
    chance = draw.chance
    letter = chance.choice("🌡\U0010ffff漢é")
    length = chance.choice((64, 128, 250, 255, 256))
    device = letter * length
    metrics = {"temperature": 99.0, letter * min(128, length): 1.0}
    attributes = {"site": letter * length, letter * length: letter * length}
    return draw.sent(draw.of("keys", device_id=device, metrics=metrics, attributes=attributes))


def _many(draw: _Draw) -> _Made:
    """Huge counts."""
    chance = draw.chance
    amount = chance.choice((65, 100, 100, 200, 1_000, 1_001, 5_000, 20_000))
    of = f"{chance.randrange(3)}-" if chance.random() < 0.9 else f"{draw.number}-"
    if chance.random() < 0.5:
        return draw.sent(draw.of("many", metrics={f"{of}{n}": float(n) for n in range(amount)}))
    event_type = chance.choice(("registered", "configured", "telemetry"))
    return draw.sent(draw.of("many", type=event_type, attributes={f"{of}{n}": f"{n}" for n in range(amount)}))


def _types(draw: _Draw) -> _Made:
    """Types without end, each of them new."""
    return draw.sent(draw.of("types", type=f"type {draw.number}"))


def _life(draw: _Draw) -> _Made:
    chance = draw.chance
    attributes = {"report_interval_s": chance.choice((*DIGITS, "nan", "inf", "-inf", "1e-9", "30")), "firmware": "f"}
    if chance.random() < 0.5:
        attributes[_name(chance)] = text(chance)
    event_type = chance.choice(("registered", "configured", "retired", "retired", "telemetry"))
    return draw.sent(draw.of("life", type=event_type, attributes=attributes))


def _acknowledged(draw: _Draw) -> _Made:
    """Of an alert that fires, because the device was hot the time before."""
    chance = draw.chance
    if chance.random() < 0.5:
        return draw.sent(draw.of("acknowledged", metrics={"temperature": chance.choice((60.0, 95.0, 95.0))}))
    said: dict[str, str] = {"rule": chance.choice(("hot", "hot", "hot", "calm-gone", text(chance)))}
    if chance.random() < 0.7:
        said["at"] = chance.choice((*DIGITS, str(draw.now), text(chance)))
    if chance.random() < 0.7:
        said["by"] = chance.choice(("somebody", text(chance), long_text(chance, 500_000)))
    if chance.random() < 0.2:
        said["began_at"] = chance.choice(DIGITS)
    return draw.sent(draw.of("acknowledged", type="alert_acknowledged", metrics={}, attributes=said), VERSIONS[-1])


def _correction(draw: _Draw) -> _Made:
    chance = draw.chance
    corrects = chance.choice((draw.identity, f"calm-01/{draw.number // 400}", text(chance) or "-"))
    event_type = chance.choice(("correction", "telemetry", "retired"))
    return draw.sent(draw.of("corrected", corrects=corrects, type=event_type), VERSIONS[-1])


def _clock(draw: _Draw) -> _Made:
    """A clock that is wrong, ahead or behind, by little or by all that its number can hold."""
    chance, now = draw.chance, draw.now
    family, event_time = chance.choice(
        (
            ("ahead", now + 9 * _MINUTE + chance.randrange(_MINUTE // 2)),
            ("ahead", now + chance.randrange(11 * _MINUTE)),
            ("behind", now - 5 * _MINUTE),
            ("behind", now - chance.randrange(_HOUR)),
            ("jumping", now + chance.randint(-3 * _HOUR, 9 * _MINUTE)),
            ("astray", now + chance.choice((-1, 1)) * size(chance, 100_000 * _DAY)),
            (
                "astray",
                chance.choice((0, -1, 1, 946_684_799_999, 946_684_800_000, 2**53, -(2**53), 253_402_300_800_000)),
            ),
            ("astray", chance.choice((1, -1)) * (_LONG_MAX // 1_000)),
        )
    )
    return draw.sent(draw.of(family, event_time=event_time))


def _extreme_time(draw: _Draw) -> _Made:
    """Milliseconds that no microseconds can hold, which only the older versions can say."""
    return draw.sent(draw.of("astray", event_time=draw.chance.choice((_LONG_MAX, -_LONG_MAX - 1, 2**62))), VERSIONS[0])


def _late(draw: _Draw) -> _Made:
    """Hours behind what the same device said before, or just not too late."""
    behind = draw.chance.choice((0, 0, 59 * _MINUTE, 61 * _MINUTE, 3 * _HOUR, 30 * _DAY))
    return draw.sent(draw.of("late", event_time=draw.now - behind))


def _number(draw: _Draw) -> _Made:
    chance = draw.chance
    metrics = {f"n{n}": chance.choice(NUMBERS) for n in range(chance.randint(1, 3))}
    sequence = chance.choice((0, -1, _LONG_MAX, -_LONG_MAX - 1, 2**53 + 1, draw.number))
    return draw.sent(draw.of("numbers", metrics=metrics, sequence=sequence))


def _ties(draw: _Draw) -> _Made:
    """Readings of one time and one sequence."""
    metrics = {"tie": draw.chance.uniform(0, 9)}
    return draw.sent(draw.of("ties", event_time=draw.now - draw.now % 5_000, sequence=0, metrics=metrics))


def _colliding(draw: _Draw) -> _Made:
    """Ids whose hash codes are equal in Java."""
    identity = "".join(draw.chance.choice(("Aa", "BB")) for _ in range(64))
    return draw.sent(draw.of("colliding", event_id=identity))


def _newcomer(draw: _Draw) -> _Made:
    """Devices and groups that come once and never again."""
    return draw.sent(draw.of("new", device_id=f"new-{draw.number}", attributes={"site": f"new-{draw.number % 97}"}))


def _duplicate(draw: _Draw) -> _Made:
    """The very record of a while ago, of noise or of the calm fleet."""
    earlier = draw.recipe.record(draw.earlier())
    return earlier.data, earlier.partition_key


def _same_id(draw: _Draw) -> _Made:
    """Another event with the id that one of the same device had."""
    return draw.sent(draw.of("same", event_id=f"same-{draw.number // 500}"))


def _garbage(draw: _Draw) -> _Made:
    chance = draw.chance
    most = _MOST_BYTES - 1_100 if chance.random() < 0.05 else 5_000
    data = chance.choice(
        (
            lambda: b"",
            lambda: chance.randbytes(size(chance, most)),
            lambda: b"\0" * size(chance, most),
            lambda: MARKER + chance.randbytes(size(chance, 40)),
            lambda: encode(draw.usual())[:HEADER_BYTES] + chance.randbytes(size(chance, most)),
            lambda: b"\xf3\x89\x9a\xc2" + chance.randbytes(size(chance, 200)),
            lambda: text(chance).encode(),
            lambda: b'{"device_id":"calm-01","metrics":{"temperature":1e9}}',
        )
    )()
    return data, chance.choice(("calm-01", "garbage", text(chance)))


def _damaged(draw: _Draw) -> _Made:
    """An event cut off, with bits turned over, with bytes put in or behind it; its device is never heard of again."""
    chance = draw.chance
    device = f"damaged-{chance.getrandbits(64):016x}"
    whole = bytearray(draw.sent(draw.of("damaged", device_id=device))[0])
    match chance.randrange(4):
        case 0:
            del whole[chance.randrange(len(whole)) :]
        case 1:
            for _ in range(chance.choice((1, 1, 3, 20))):
                whole[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        case 2:
            at = chance.randrange(len(whole))
            whole[at:at] = chance.randbytes(size(chance, 50))
        case _:
            whole += chance.randbytes(size(chance, 50))
    return bytes(whole), device


def _lying(draw: _Draw) -> _Made:
    """Avro lengths and counts that promise more than there is, or less than nothing."""
    head, amount = (
        encode(draw.usual())[:HEADER_BYTES],
        draw.chance.choice((-1, 2**31 - 1, 2**31, 2**62, -(2**62), 10**7)),
    )
    identity = _avro_text(draw.identity)
    body = draw.chance.choice(
        (
            _zigzag(amount),
            identity + _zigzag(amount),
            identity
            + _avro_text("lying")
            + _avro_text("telemetry")
            + _zigzag(draw.now * 1_000)
            + _zigzag(1)
            + _zigzag(amount),
            identity + b"\xff" * 40,
        )
    )
    return head + body, "lying"


def _zigzag(number: int) -> bytes:
    left, found = (number << 1) ^ (number >> 63), bytearray()
    left &= 2**64 - 1
    while left > 0x7F:
        found.append(0x80 | left & 0x7F)
        left >>= 7
    return bytes(found) + bytes([left])


def _avro_text(said: str) -> bytes:
    return _zigzag(len(said.encode())) + said.encode()


_NO_TEXT = (b"\xed\xa0\x80", b"\xc0\x80", b"\xff\xfe\xfd", b"\xf5\x80\x80", b"\xe2\x82\x01", b"\x80\x80\x80")
_PLACEHOLDER = "&&&"


def _no_text(draw: _Draw) -> _Made:
    """Bytes in a text that are none: half a character, one that is too long, one past the last."""
    field = draw.chance.choice(("event_id", "device_id", "type", "metrics", "attributes", "correlation_id"))
    said: Any = f"{_PLACEHOLDER}{draw.identity}"
    value = {"metrics": {said: 1.0}, "attributes": {"site": said}}.get(field, said)
    event = draw.of("no-text", **{field: value})
    return encode(event).replace(_PLACEHOLDER.encode(), draw.chance.choice(_NO_TEXT)), "no-text"


def _own(draw: _Draw) -> _Made:
    """What the team's own fold cannot stand, of a device for each trick; half of its events are harmless."""
    trick = draw.chance.choice(own_fold.TRICKS)
    event_type = f"{own_fold.TYPE}{trick}" if draw.chance.random() < 0.5 else "telemetry"
    return draw.sent(draw.of("own", device_id=f"own-{trick}", type=event_type))


KINDS: Mapping[str, tuple[int, _Maker]] = {
    "usual": (20, _usual),
    "texts": (12, _texts),
    "forged": (6, _forged),
    "sizes": (5, _sizes),
    "keys": (2, _keys),
    "many": (1, _many),
    "types": (1, _types),
    "life": (6, _life),
    "acknowledged": (6, _acknowledged),
    "correction": (2, _correction),
    "clock": (6, _clock),
    "extreme time": (1, _extreme_time),
    "late": (3, _late),
    "number": (4, _number),
    "ties": (2, _ties),
    "colliding": (2, _colliding),
    "newcomer": (3, _newcomer),
    "duplicate": (6, _duplicate),
    "same id": (1, _same_id),
    "garbage": (4, _garbage),
    "damaged": (5, _damaged),
    "lying": (2, _lying),
    "no text": (2, _no_text),
    "own": (8, _own),
}
"""The noise: how often, of all weights together, and how it is made."""
