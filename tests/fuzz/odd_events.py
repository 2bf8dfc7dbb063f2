"""Events that are odd: their texts, names, sizes, counts, life, clocks, numbers and ids."""

import random
from collections.abc import Callable, Mapping
from typing import Any

from telefold.schemas.codec import VERSIONS
from tests.fuzz import own_fold
from tests.fuzz.draw import MOST_BYTES, Draw, Made
from tests.fuzz.texts import DIGITS, FORGED, NUMBERS, long_text, size, text

_ROOM_FOR_THE_REST = 3_000
_MINUTE, _HOUR, _DAY = 60_000, 3_600_000, 86_400_000
_LONG_MAX = 2**63 - 1


def texts(draw: Draw) -> Made:
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


def forged(draw: Draw) -> Made:
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


def sizes(draw: Draw) -> Made:
    """One field as long as an edge, or as long as a record can be."""
    chance = draw.chance
    most = MOST_BYTES - _ROOM_FOR_THE_REST if chance.random() < 0.2 else 20_000
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


def keys(draw: Draw) -> Made:
    """Names that are each as long as they may be, in the four bytes a character that they may have."""
    chance = draw.chance
    letter = chance.choice("🌡\U0010ffff漢é")
    length = chance.choice((64, 128, 250, 255, 256))
    device = letter * length
    metrics = {"temperature": 99.0, letter * min(128, length): 1.0}
    attributes = {"site": letter * length, letter * length: letter * length}
    return draw.sent(draw.of("keys", device_id=device, metrics=metrics, attributes=attributes))


def many(draw: Draw) -> Made:
    """Huge counts."""
    chance = draw.chance
    amount = chance.choice((65, 100, 100, 200, 1_000, 1_001, 5_000, 20_000))
    of = f"{chance.randrange(3)}-" if chance.random() < 0.9 else f"{draw.number}-"
    if chance.random() < 0.5:
        return draw.sent(draw.of("many", metrics={f"{of}{n}": float(n) for n in range(amount)}))
    event_type = chance.choice(("registered", "configured", "telemetry"))
    return draw.sent(draw.of("many", type=event_type, attributes={f"{of}{n}": f"{n}" for n in range(amount)}))


def types(draw: Draw) -> Made:
    """Types without end, each of them new."""
    return draw.sent(draw.of("types", type=f"type {draw.number}"))


def life(draw: Draw) -> Made:
    chance = draw.chance
    attributes = {"report_interval_s": chance.choice((*DIGITS, "nan", "inf", "-inf", "1e-9", "30")), "firmware": "f"}
    if chance.random() < 0.5:
        attributes[_name(chance)] = text(chance)
    event_type = chance.choice(("registered", "configured", "retired", "retired", "telemetry"))
    return draw.sent(draw.of("life", type=event_type, attributes=attributes))


def acknowledged(draw: Draw) -> Made:
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


def correction(draw: Draw) -> Made:
    chance = draw.chance
    corrects = chance.choice((draw.identity, f"calm-01/{draw.number // 400}", text(chance) or "-"))
    event_type = chance.choice(("correction", "telemetry", "retired"))
    return draw.sent(draw.of("corrected", corrects=corrects, type=event_type), VERSIONS[-1])


def clock(draw: Draw) -> Made:
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


def extreme_time(draw: Draw) -> Made:
    """Milliseconds that no microseconds can hold, which only the older versions can say."""
    return draw.sent(draw.of("astray", event_time=draw.chance.choice((_LONG_MAX, -_LONG_MAX - 1, 2**62))), VERSIONS[0])


def late(draw: Draw) -> Made:
    """Hours behind what the same device said before, or just not too late."""
    behind = draw.chance.choice((0, 0, 59 * _MINUTE, 61 * _MINUTE, 3 * _HOUR, 30 * _DAY))
    return draw.sent(draw.of("late", event_time=draw.now - behind))


def number(draw: Draw) -> Made:
    chance = draw.chance
    metrics = {f"n{n}": chance.choice(NUMBERS) for n in range(chance.randint(1, 3))}
    sequence = chance.choice((0, -1, _LONG_MAX, -_LONG_MAX - 1, 2**53 + 1, draw.number))
    return draw.sent(draw.of("numbers", metrics=metrics, sequence=sequence))


def ties(draw: Draw) -> Made:
    """Readings of one time and one sequence."""
    metrics = {"tie": draw.chance.uniform(0, 9)}
    return draw.sent(draw.of("ties", event_time=draw.now - draw.now % 5_000, sequence=0, metrics=metrics))


def colliding(draw: Draw) -> Made:
    """Ids whose hash codes are equal in Java."""
    identity = "".join(draw.chance.choice(("Aa", "BB")) for _ in range(64))
    return draw.sent(draw.of("colliding", event_id=identity))


def newcomer(draw: Draw) -> Made:
    """Devices and groups that come once and never again."""
    return draw.sent(draw.of("new", device_id=f"new-{draw.number}", attributes={"site": f"new-{draw.number % 97}"}))


def same_id(draw: Draw) -> Made:
    """Another event with the id that one of the same device had."""
    return draw.sent(draw.of("same", event_id=f"same-{draw.number // 500}"))


def own(draw: Draw) -> Made:
    """What the team's own fold cannot stand, of a device for each trick; half of its events are harmless."""
    trick = draw.chance.choice(own_fold.TRICKS)
    event_type = f"{own_fold.TYPE}{trick}" if draw.chance.random() < 0.5 else "telemetry"
    return draw.sent(draw.of("own", device_id=f"own-{trick}", type=event_type))
