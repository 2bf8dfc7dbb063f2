"""The language in which rules are written, and what a sentence of it means.

temperature > 80 until < 75 for 5m quiet for 10m where site = "berlin" and device = "pump-*"
rate(pressure) < -2/m
increase(energy) > 500 over 1h
stale(temperature) > 10m
stale() > 1h

`until` is where the alert ends, if not at the threshold itself; `for` is how long the condition holds before the alert
fires, `quiet for` how long it does not before the alert ends; `where` says which devices are meant, by their id or by
their newest attributes, with `*` and `?` for any characters. They come in this order. Names with other characters than
letters, digits, `_`, `.` and `-` are written in quotes.
"""

import operator
import re
from collections.abc import Callable
from fnmatch import translate
from functools import cache, lru_cache
from math import isinf
from typing import Any, Literal, cast

import msgspec
from lark import Lark, Token, Transformer, v_args
from lark.exceptions import UnexpectedEOF, UnexpectedInput, VisitError

from telefold.schemas.errors import TelefoldError

Comparison = Literal[">", ">=", "<", "<="]
Kind = Literal["value", "rate", "increase", "stale"]

DEVICE = "device"
"""The name that stands for the device's id in a scope. Every other name is that of an attribute."""

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
    rule: (value | rate | increase | stale) hold? quiet? scope?
    value: metric COMPARISON NUMBER ("until" COMPARISON NUMBER)?
    rate: "rate" "(" metric ")" COMPARISON NUMBER "/" UNIT ("until" COMPARISON NUMBER "/" UNIT)?
    increase: INCREASE "(" metric ")" COMPARISON NUMBER "over" DURATION ("until" COMPARISON NUMBER)?
    stale: "stale" "(" metric? ")" ">" DURATION
    hold: "for" DURATION
    quiet: QUIET "for" DURATION
    scope: "where" match ("and" match)*
    match: NAME EQUALS STRING
    metric: NAME | STRING | INCREASE

    COMPARISON: ">=" | "<=" | ">" | "<"
    EQUALS: "!=" | "="
    QUIET: "quiet"
    INCREASE: "increase"
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
    "QUIET": "quiet for",
    "INCREASE": "a name",
    "FOR": "for",
    "NAME": "a name",
    "STRING": 'a text in quotes, such as "berlin"',
    "SLASH": "/",
    "LPAR": "(",
    "RPAR": ")",
    "MORETHAN": ">",
    "$END": "the end",
}
_IN_ORDER = ("OVER", "UNTIL", "FOR", "QUIET", "WHERE")
_RANGE = re.compile(r"increase\s*\(\s*([^()\[\]]+?)\s*\[(\d+[smhd])\]\s*\)")


class BadRule(TelefoldError):
    """A rule that cannot be read: what is wrong with it, and where."""

    def __init__(self, reason: str, column: int) -> None:
        self.reason = reason
        self.column = column
        """The place in the condition's text, from 1 on."""
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
    """A term of a scope."""

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
    """The metric's name; None for any metric, which only `stale` may say."""
    bound: Bound
    """The limit of the value, of its change in a millisecond, of an increase, or of the milliseconds since a report."""
    until: Bound | None = None
    hold_ms: int = 0
    quiet_ms: int = 0
    over_ms: int = 0
    """The duration that an increase is of, in milliseconds; else 0."""
    scope: tuple[Match, ...] = ()

    def is_over(self, value: float) -> bool:
        """Whether the value is on the quiet side, where an alert that has fired ends."""
        return self.until.holds(value) if self.until else not self.bound.holds(value)


@lru_cache(_PARSED_AT_HAND)
def parse(text: str) -> Condition:
    """Parse a condition; raises BadRule."""
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
    hint = _hint(found, text, is_out_of_order=token is not None and token.type in _IN_ORDER)
    return BadRule(f"{found!r} stands where {wanted} is expected{hint}", int(error.column))


def _hint(found: str, text: str, is_out_of_order: bool) -> str:
    if is_out_of_order:
        return "; the order is over, until, for, quiet for, where, each once"
    if found == "[" and (ranged := _RANGE.search(text)):
        return f"; a duration is said as in increase({ranged[1]}) > 500 over {ranged[2]}"
    return ""


class _Meaning(Transformer[Token, Condition]):
    """The meaning of each branch of the parse tree."""

    def rule(self, parts: list[Any]) -> Condition:
        condition, *more = parts
        for name, value, where in more:
            if name == "quiet_ms" and condition.kind == "stale":
                raise BadRule("staleness ends with the next report: quiet for is for readings", where)
            condition = msgspec.structs.replace(condition, **{name: value})
        read: Condition = condition
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

    @v_args(inline=True)
    def increase(self, _: Token, metric: str, comparison: Token, limit: Token, over: Token, *until: Token) -> Condition:
        bound, end = _bounds((comparison, limit), until)
        return Condition("increase", metric, bound, end, over_ms=_duration_ms(over))

    def stale(self, parts: list[Any]) -> Condition:
        *metric, duration = parts
        return Condition("stale", metric[0] if metric else None, Bound(">", _duration_ms(duration)))

    @v_args(inline=True)
    def hold(self, duration: Token) -> tuple[str, int, int]:
        return "hold_ms", _duration_ms(duration), _column(duration)

    @v_args(inline=True)
    def quiet(self, said: Token, duration: Token) -> tuple[str, int, int]:
        return "quiet_ms", _duration_ms(duration), _column(said)

    def scope(self, matches: list[Match]) -> tuple[str, tuple[Match, ...], int]:
        return "scope", tuple(matches), 0

    @v_args(inline=True)
    def match(self, name: Token, equals: Token, pattern: Token) -> Match:
        return Match(str(name), _unquoted(pattern), negated=equals == "!=")


def _bounds(begin: tuple[Token, ...], until: tuple[Token, ...]) -> tuple[Bound, Bound | None]:
    """Return both bounds; raises BadRule where an alert would end at once, or never."""
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
    return Bound(cast("Comparison", str(comparison)), number)


def _duration_ms(token: Token) -> int:
    length = int(token[:-1]) * _UNIT_MS[token[-1]]
    if not 0 < length <= 365 * _UNIT_MS["d"]:
        raise BadRule("a duration must be longer than 0 and at most 365d", _column(token))
    return length


def _unquoted(token: Token) -> str:
    return str(token).strip('"')


def _column(token: Token) -> int:
    return int(token.column or 1)
