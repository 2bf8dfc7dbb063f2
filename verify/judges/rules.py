"""Meaning of the rules of alerts (`docs/reference/alerts.md`), and which are in force at what time of the log."""

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import NamedTuple

from telefold.schemas.rules import RuleChange

IN_FORCE_AFTER_MS = 2_000
"""A change judges what is heard so long after its version, or later."""

_UNIT_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_COMPARISON = r"(>=|<=|>|<)"
_NUMBER = r"([+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)"
_DURATION = r"(\d+)(s|m|h|d)"
_NAME = r'([A-Za-z_][A-Za-z0-9_.-]*|"[^"\n]*")'


class Bound(NamedTuple):
    comparison: str
    limit: float

    def holds(self, value: float) -> bool:
        return _COMPARE[self.comparison](value, self.limit)


class Term(NamedTuple):
    """A term of a scope. A device without the attribute matches no pattern."""

    name: str
    pattern: str
    is_negated: bool

    def holds(self, device_id: str, attributes: Mapping[str, str]) -> bool:
        told = device_id if self.name == "device" else attributes.get(self.name)
        return self.is_negated != (told is not None and fnmatchcase(told, self.pattern))


class Rule(NamedTuple):
    """A version of one rule."""

    name: str
    version: int
    severity: str
    kind: str
    """`value`, `rate`, `increase` or `stale`."""
    metric: str | None
    """The metric's name; None for any metric, of staleness alone."""
    bound: Bound
    """The limit of a value, of its change in a millisecond, of an increase, or of the milliseconds since a report."""
    over_ms: int
    until: Bound | None
    hold_ms: int
    quiet_ms: int
    scope: tuple[Term, ...]

    def concerns(self, device_id: str, attributes: Mapping[str, str]) -> bool:
        return all(term.holds(device_id, attributes) for term in self.scope)

    def is_quiet(self, value: float) -> bool:
        return self.until.holds(value) if self.until else not self.bound.holds(value)


class _Text:
    """A sentence of the language, read from its beginning."""

    def __init__(self, text: str) -> None:
        self._text = text.strip()

    def take(self, pattern: str) -> tuple[str, ...] | None:
        """The groups of `pattern` if the text goes on with it."""
        found = re.compile(rf"\s*(?:{pattern})").match(self._text)
        if found is None:
            return None
        self._text = self._text[found.end() :].lstrip()
        return found.groups(default="")

    @property
    def is_read(self) -> bool:
        return not self._text


def read(change: RuleChange) -> Rule | None:
    """The rule that `change` puts; None if it takes one away, or cannot be read."""
    if change.condition is None:
        return None
    text = _Text(change.condition)
    over_ms, until, unit = 0, None, ""
    if found := text.take(rf"rate\s*\(\s*{_NAME}\s*\)\s*{_COMPARISON}\s*{_NUMBER}\s*/\s*([smh])"):
        kind, (name, comparison, limit, unit) = "rate", found
        bound = Bound(comparison, float(limit) / _UNIT_MS[unit])
    elif found := text.take(rf"increase\s*\(\s*{_NAME}\s*\)\s*{_COMPARISON}\s*{_NUMBER}\s*over\s*{_DURATION}"):
        kind, (name, comparison, limit, long, unit) = "increase", found
        bound, over_ms = Bound(comparison, float(limit)), int(long) * _UNIT_MS[unit]
    elif found := text.take(rf"stale\s*\(\s*{_NAME}?\s*\)\s*>\s*{_DURATION}"):
        kind, (name, long, unit) = "stale", found
        bound = Bound(">", int(long) * _UNIT_MS[unit])
    elif found := text.take(rf"{_NAME}\s*{_COMPARISON}\s*{_NUMBER}"):
        kind, (name, comparison, limit) = "value", found
        bound = Bound(comparison, float(limit))
    else:
        return None
    if kind == "rate":
        if found := text.take(rf"until\s*{_COMPARISON}\s*{_NUMBER}\s*/\s*([smh])"):
            until = Bound(found[0], float(found[1]) / _UNIT_MS[found[2]])
    elif found := text.take(rf"until\s*{_COMPARISON}\s*{_NUMBER}"):
        until = Bound(found[0], float(found[1]))
    hold_ms = _duration(text.take(rf"for\s*{_DURATION}"))
    quiet_ms = _duration(text.take(rf"quiet\s+for\s*{_DURATION}"))
    scope: list[Term] = []
    joint = "where"
    while found := text.take(rf'{joint}\s+{_NAME}\s*(!=|=)\s*"([^"\n]*)"'):
        scope.append(Term(found[0], found[2], found[1] == "!="))
        joint = "and"
    if not text.is_read:
        return None
    metric = name.strip('"') or None
    return Rule(
        change.rule, change.version, change.severity, kind, metric, bound, over_ms, until, hold_ms, quiet_ms,
        tuple(scope),
    )  # fmt: skip


def _duration(found: tuple[str, ...] | None) -> int:
    return 0 if found is None else int(found[0]) * _UNIT_MS[found[1]]


class Change(NamedTuple):
    """A change of a rule, which is another one, or none, from `at` on."""

    at: int
    name: str
    version: int
    rule: Rule | None


class RuleLog:
    """The changes of all rules, in the order in which they come into force."""

    def __init__(self, changes: Iterable[RuleChange] = ()) -> None:
        newest: dict[tuple[str, int], RuleChange] = {(one.rule, one.version): one for one in changes}
        self.changes = [
            Change(one.version + IN_FORCE_AFTER_MS, one.rule, one.version, read(one))
            for one in sorted(newest.values(), key=lambda one: (one.version, one.rule))
        ]

    def next_at(self, place: int) -> int:
        """The time at which the change at that place comes into force; 2^62 behind the last."""
        return self.changes[place].at if place < len(self.changes) else 2**62
