"""Records of the stream of rules: rules that concern the noise alone, and everything that is no rule. Pure."""

import random
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from telefold.schemas.rules import RULE_NAME
from tests.fuzz.texts import FORGED, long_text, text

EVERY_S = 0.5
_DEEP = 100_000
_FEW = 12
NAMES = frozenset({*(f"noise-{number}" for number in range(_FEW)), "silly"})
"""Rules of the noise: fewer than anyone would forbid, each changed again and again."""


class RuleRecord(NamedTuple):
    number: int
    kind: str
    data: bytes
    partition_key: str
    is_rule: bool | None
    """None where that is for the job to say."""


class RuleRecipe(NamedTuple):
    seed: int
    start: int
    """Epoch milliseconds."""

    def record(self, number: int) -> RuleRecord:
        """The `number`th; every kind in turn, so that few hold them all."""
        chance = random.Random(f"{self.seed} rules {number}")
        kind = list(KINDS)[number % len(KINDS)]
        at = self.start + int(number * EVERY_S * 1_000)
        is_rule, make = KINDS[kind]
        made = make(chance, at)
        data = made if isinstance(made, bytes) else msgspec.json.encode(made)
        return RuleRecord(number, kind, data, chance.choice(("rules", "hot", text(chance)[:200] or "-")), is_rule)


def _rule(chance: random.Random, at: int, **changes: Any) -> dict[str, Any]:
    return {
        "rule": f"noise-{chance.randrange(_FEW)}",
        "version": at,
        "condition": chance.choice(_CONDITIONS),
        "severity": chance.choice(("info", "warning", "critical")),
        "by": "fuzz",
    } | changes


_CONDITIONS = (
    'temperature > 50 until < 40 where device = "noise-*"',
    'temperature >= 1e60 for 30d where site = "site-1"',
    'rate(temperature) < -2/m where site = "site-2" and device != "calm-*"',
    'stale(temperature) > 1s where device = "noise-1*"',
    'stale() > 1s where device = "own-*"',
    '"a metric of some length" > -0.0 where model = "none"',
    '"#{}" > 0 where model = "[z-a]"',
    'temperature > 0 where device = "????????????????????????????????????????????????????????????????*"',
)


def _nested(chance: random.Random, at: int) -> bytes:
    depth = chance.choice((500, 1_000, _DEEP))
    return chance.choice((b"[" * depth, b'{"rule":' * depth, b"[" * depth + b"]" * depth, b'{"a":[' * depth))


def _nested_value(chance: random.Random, at: int) -> bytes:
    """One field of an otherwise good rule is deep."""
    deep = b"[" * _DEEP + b"]" * _DEEP
    return b'{"rule":"noise-1","version":1,"unknown":' + deep + b',"condition":"temperature > 50"}'


_NO_NAMES = [text for text in FORGED if not RULE_NAME.fullmatch(text)]


def _name(chance: random.Random) -> str:
    return chance.choice(("", "N", "no ise", "-", "hot ", "HOT", "a" * 64, "a" * 3_000, "漢", *_NO_NAMES))


_SILLY_VERSIONS: tuple[object, ...] = (2**62, 2**63 - 1, 2**63, -(2**63), -1, 0, 10**30, 1.5, "1", None, True, [])

_Maker = Callable[[random.Random, int], Any]
KINDS: Mapping[str, tuple[bool | None, _Maker]] = {
    "rule": (True, _rule),
    "rule again": (True, _rule),
    "older": (True, lambda chance, at: _rule(chance, at, version=at - 100_000)),
    "deleted": (True, lambda chance, at: _rule(chance, at, condition=None)),
    "deep": (False, _nested),
    "deep value": (None, _nested_value),
    "name": (False, lambda chance, at: _rule(chance, at, rule=_name(chance))),
    "version": (None, lambda chance, at: _rule(chance, at, rule="silly", version=chance.choice(_SILLY_VERSIONS))),
    "condition": (False, lambda chance, at: _rule(chance, at, condition=text(chance) + " >")),
    "long condition": (False, lambda chance, at: _rule(chance, at, condition=long_text(chance, 500_000) + " >")),
    "deep condition": (False, lambda chance, at: _rule(chance, at, condition="(" * 900 + ")" * 900)),
    "infinite": (None, lambda chance, at: _rule(chance, at, condition='temperature > 1e999 where device = "noise-*"')),
    "long wait": (None, lambda chance, at: _rule(chance, at, condition="stale(none) > 999999999999999999999d")),
    "severity": (False, lambda chance, at: _rule(chance, at, severity=text(chance) + "!")),
    "by": (None, lambda chance, at: _rule(chance, at, by=long_text(chance, 900_000))),
    "type": (False, lambda chance, at: _rule(chance, at, rule=chance.choice((1, None, [], {})))),
    "empty": (False, lambda chance, at: b""),
    "garbage": (False, lambda chance, at: b"\xff" + chance.randbytes(chance.randrange(500))),
    "text": (False, lambda chance, at: text(chance).encode() + b"!"),
    "no object": (False, lambda chance, at: chance.choice((b"1", b"[]", b"null", b'"hot"', b"{}"))),
    "several": (False, lambda chance, at: msgspec.json.encode(_rule(chance, at)) + b'\n{"rule":"hot","version":1}'),
}
"""Whether they are rules, and how they are made; none is of a rule of the calm fleet."""
