"""The language in which rules are written, and what a sentence of it means.

temperature > 80 until < 75 for 5m where site = "berlin" and device = "pump-*"
rate(pressure) < -2/m
stale(temperature) > 10m
stale() > 1h

`until` is where the alert ends, if not at the threshold itself; `for` is how long the condition holds before the alert
fires; `where` says which devices are meant, by their id or by their newest attributes, with `*` and `?` for any
characters. Names with other characters than letters, digits, `_`, `.` and `-` are written in quotes.
"""

import operator
import re
from collections.abc import Callable
from fnmatch import translate
from functools import cache, lru_cache
from math import isinf
from typing import Any, Literal

import msgspec
from lark import Lark, Token, Transformer, v_args
from lark.exceptions import UnexpectedEOF, UnexpectedInput, VisitError

from schemas.errors import TelefoldError

Comparison = Literal[">", ">=", "<", "<="]
Kind = Literal["value", "rate", "stale"]

DEVICE = "device"
"""In a scope: the device's id. Every other name is that of an attribute."""

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_UNIT_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_MAX_CHARACTERS = 1_000
_PARSED_AT_HAND = 20_000

_GRAMMAR = r"""
    rule: (value | rate | stale) hold? scope?
    value: metric COMPARISON NUMBER ("until" COMPARISON NUMBER)?
    rate: "rate" "(" metric ")" COMPARISON NUMBER "/" UNIT ("until" COMPARISON NUMBER "/" UNIT)?
    stale: "stale" "(" metric? ")" ">" DURATION
    hold: "for" DURATION
    scope: "where" match ("and" match)*
    match: NAME EQUALS STRING
    metric: NAME | STRING

    COMPARISON: ">=" | "<=" | ">" | "<"
    EQUALS: "!=" | "="
    NUMBER: /[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?/
    DURATION: /\d+(s|m|h|d)/
    UNIT: "s" | "m" | "h"
    NAME: /[A-Za-z_][A-Za-z0-9_.-]*/
    STRING: /"[^"\n]*"/
    %ignore /\s+/
"""
_SAID = {
    "COMPARISON": ">, >=, < or <=",
    "EQUALS": "= or !=",
    "NUMBER": "a number, such as 80",
    "DURATION": "a duration, such as 30s, 5m, 2h or 1d",
    "UNIT": "s, m or h",
    "NAME": "a name",
    "STRING": 'a text in quotes, such as "berlin"',
    "SLASH": "/",
    "LPAR": "(",
    "RPAR": ")",
    "MORETHAN": ">",
    "$END": "the end",
}


class BadRule(TelefoldError):
    """A rule that cannot be read: what is wrong with it, and where."""

    def __init__(self, reason: str, column: int) -> None:
        self.reason = reason
        self.column = column
        """Of the condition's text, from 1 on."""
        super().__init__(f"{reason} (at character {column} of the condition)")


class Bound(msgspec.Struct, frozen=True):
    comparison: Comparison
    limit: float

    @property
    def is_upper(self) -> bool:
        return self.comparison[0] == ">"

    def holds(self, value: float) -> bool:
        return _COMPARE[self.comparison](value, self.limit)


class Match(msgspec.Struct, frozen=True):
    """One term of a scope."""

    name: str
    pattern: str
    negated: bool

    @property
    def is_exact(self) -> bool:
        return not self.negated and not any(sign in self.pattern for sign in "*?[")

    def holds(self, value: str | None) -> bool:
        """A device without the attribute is not matched, and matched where it must not be."""
        return self.negated != (value is not None and _regex(self.pattern).match(value) is not None)


class Condition(msgspec.Struct, frozen=True):
    kind: Kind
    metric: str | None
    """None: any metric, which only `stale` may say."""
    bound: Bound
    """Of the value; of its change in a millisecond; of the milliseconds since the last report."""
    until: Bound | None = None
    hold_ms: int = 0
    scope: tuple[Match, ...] = ()

    def is_over(self, value: float) -> bool:
        """Whether an alert that has fired ends with this value."""
        return self.until.holds(value) if self.until else not self.bound.holds(value)


@lru_cache(_PARSED_AT_HAND)
def parse(text: str) -> Condition:
    """What `text` says; raises BadRule."""
    if len(text) > _MAX_CHARACTERS:
        raise BadRule(f"the condition is longer than {_MAX_CHARACTERS} characters", _MAX_CHARACTERS + 1)
    try:
        condition: Condition = _Meaning().transform(_parser().parse(text))
    except UnexpectedInput as error:
        raise _bad_syntax(error, text) from None
    except VisitError as error:
        if isinstance(error.orig_exc, BadRule):
            raise error.orig_exc from None
        raise
    return condition


@cache
def _parser() -> Lark:
    return Lark(_GRAMMAR, start="rule", parser="lalr")


@lru_cache(_PARSED_AT_HAND)
def _regex(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern))


def _bad_syntax(error: UnexpectedInput, text: str) -> BadRule:
    token = getattr(error, "token", None)
    expected = getattr(error, "accepts", None) or getattr(error, "expected", None) or getattr(error, "allowed", None)
    said = sorted({_SAID.get(name, name.lower()) for name in expected or ()})
    wanted = " or ".join((", ".join(said[:-1]), said[-1])) if len(said) > 1 else "".join(said)
    if isinstance(error, UnexpectedEOF) or (token is not None and token.type == "$END"):
        return BadRule(f"the condition ends where {wanted} is expected", len(text.rstrip()) + 1)
    found = str(token) if token is not None else text[error.pos_in_stream or 0]
    return BadRule(f"{found!r} stands where {wanted} is expected", int(error.column))


class _Meaning(Transformer[Token, Condition]):
    """Of each branch of the parse tree."""

    def rule(self, parts: list[Any]) -> Condition:
        condition, *more = parts
        read: Condition = msgspec.structs.replace(condition, **dict(more))
        return read

    @v_args(inline=True)
    def metric(self, name: Token) -> str:
        text = _unquoted(name)
        if not text:
            raise BadRule("the name of a metric is empty", _column(name))
        return text

    @v_args(inline=True)
    def value(self, metric: str, comparison: Token, limit: Token, *until: Token) -> Condition:
        return Condition("value", metric, *_bounds((comparison, limit), until))

    @v_args(inline=True)
    def rate(self, metric: str, comparison: Token, limit: Token, unit: Token, *until: Token) -> Condition:
        return Condition("rate", metric, *_bounds((comparison, limit, unit), until))

    def stale(self, parts: list[Any]) -> Condition:
        *metric, duration = parts
        return Condition("stale", metric[0] if metric else None, Bound(">", _duration_ms(duration)))

    @v_args(inline=True)
    def hold(self, duration: Token) -> tuple[str, int]:
        return "hold_ms", _duration_ms(duration)

    def scope(self, matches: list[Match]) -> tuple[str, tuple[Match, ...]]:
        return "scope", tuple(matches)

    @v_args(inline=True)
    def match(self, name: Token, equals: Token, pattern: Token) -> Match:
        return Match(str(name), _unquoted(pattern), negated=equals == "!=")


def _bounds(begin: tuple[Token, ...], until: tuple[Token, ...]) -> tuple[Bound, Bound | None]:
    """Raises BadRule where an alert would end at once, or never."""
    bound = _bound(*begin)
    if not until:
        return bound, None
    end = _bound(*until)
    if end.is_upper == bound.is_upper:
        raise BadRule(f"until must look the other way than {bound.comparison}", _column(until[0]))
    if (end.limit > bound.limit) if bound.is_upper else (end.limit < bound.limit):
        raise BadRule("until must lie on the quiet side of the threshold", _column(until[1]))
    return bound, end


def _bound(comparison: Token, limit: Token, unit: Token | None = None) -> Bound:
    number = float(limit) / (_UNIT_MS[unit] if unit else 1)
    if isinf(number):
        raise BadRule("the number is too large", _column(limit))
    return Bound(str(comparison), number)  # type: ignore[arg-type]


def _duration_ms(token: Token) -> int:
    length = int(token[:-1]) * _UNIT_MS[token[-1]]
    if not 0 < length <= 365 * _UNIT_MS["d"]:
        raise BadRule("a duration must be longer than 0 and at most 365d", _column(token))
    return length


def _unquoted(token: Token) -> str:
    return str(token).strip('"')


def _column(token: Token) -> int:
    return int(token.column or 1)
