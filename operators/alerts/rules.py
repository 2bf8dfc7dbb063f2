"""The rules that are in force, and which of them concern a device and a metric."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import inf
from typing import NamedTuple

import msgspec

from operators.alerts.condition import DEVICE, BadRule, Condition, parse
from schemas.rules import (
    LATEST_VERSION,
    MAX_BY_CHARACTERS,
    MAX_RECORD_BYTES,
    RULE_NAME,
    RuleChange,
    Severity,
)

_DEVICES_REMEMBERED = 200_000
_SCOPES_REMEMBERED = 10_000

_decode_change = msgspec.json.Decoder(RuleChange).decode


class NoRule(ValueError):
    """What was to be a change of a rule is none; the message says why."""


def read_change(record: bytes) -> RuleChange:
    """The change of a rule that a record of the stream of rules says; raises NoRule, whatever the record holds."""
    if len(record) > MAX_RECORD_BYTES:
        raise NoRule(f"the record has {len(record)} bytes, a rule has at most {MAX_RECORD_BYTES}")
    try:
        change = _decode_change(record)
    except (ValueError, RecursionError) as error:
        raise NoRule(f"the record cannot be read: {error}") from error
    check_change(change)
    return change


def check_change(change: RuleChange) -> None:
    """Raise NoRule unless devices can be judged by `change`."""
    if not RULE_NAME.fullmatch(change.rule):
        raise NoRule(f"{change.rule[:100]!r} cannot name a rule: 1 to 63 of a-z, 0-9, _, . and - can, a-z or 0-9 first")
    if not 0 <= change.version <= LATEST_VERSION:
        raise NoRule(f"the version of {change.rule} is {change.version}: it is a time between 1970 and 2100")
    if change.by is not None and len(change.by) > MAX_BY_CHARACTERS:
        raise NoRule(f"by, who put {change.rule}, has more than {MAX_BY_CHARACTERS} characters")
    if change.condition is not None:
        try:
            parse(change.condition)
        except BadRule as error:
            raise NoRule(f"{change.rule} has a condition that cannot be read: {error}") from error


class Rule(NamedTuple):
    name: str
    version: int
    severity: Severity
    condition: Condition


class _Ladder:
    """Bounds of one direction in the order in which a value comes to break them."""

    def __init__(self, rules: Iterable[Rule], upper: bool) -> None:
        self._sign = 1 if upper else -1
        wanted = [rule for rule in rules if rule.condition.bound.is_upper == upper]
        self._rules = sorted(wanted, key=lambda rule: self._sign * rule.condition.bound.limit)
        self.first = self._sign * self._rules[0].condition.bound.limit if self._rules else inf

    def broken_by(self, value: float) -> Iterator[Rule]:
        for rule in self._rules:
            if self._sign * rule.condition.bound.limit > self._sign * value:
                return
            if rule.condition.bound.holds(value):
                yield rule


class Thresholds:
    """Rules on one quantity: those that a value breaks are found without a look at the others."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._up, self._down = _Ladder(rules, upper=True), _Ladder(rules, upper=False)

    def broken_by(self, value: float) -> Iterator[Rule]:
        if value >= self._up.first:
            yield from self._up.broken_by(value)
        if -value >= self._down.first:
            yield from self._down.broken_by(value)


class Applicable:
    """The rules that concern one device, or many for which the same do."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = {rule.name: rule for rule in rules}
        self.values = _by_metric(rules, "value")
        self.rates = _by_metric(rules, "rate")
        self.stale = tuple(rule for rule in rules if rule.condition.kind == "stale")


def _by_metric(rules: Sequence[Rule], kind: str) -> dict[str, Thresholds]:
    found: defaultdict[str, list[Rule]] = defaultdict(list)
    for rule in rules:
        if rule.condition.kind == kind:
            found[rule.condition.metric or ""].append(rule)
    return {metric: Thresholds(some) for metric, some in found.items()}


class RuleSet:
    """The newest change of each rule; rules that cannot be read are in `unreadable`, by name, and judge nothing."""

    def __init__(self, changes: Iterable[RuleChange] = ()) -> None:
        newest: dict[str, RuleChange] = {}
        for change in changes:
            if change.rule not in newest or change.version > newest[change.rule].version:
                newest[change.rule] = change
        self.revision = sum(change.version for change in newest.values())
        """Grows with every change, in whatever order they came."""
        self.deleted = {change.rule: change.version for change in newest.values() if change.condition is None}
        self.unreadable: dict[str, str] = {}
        self._index = _Index(self._read(newest.values()))
        self._shared: dict[tuple[str, ...], Applicable] = {}
        self._devices: dict[str, tuple[Mapping[str, str], Applicable]] = {}

    def concerning(self, device_id: str, attributes: Mapping[str, str]) -> Applicable:
        """The rules whose scope holds for a device with these attributes."""
        known = self._devices.get(device_id)
        if known is not None and known[0] == attributes:
            return known[1]
        found = self._shared_by_those_with(self._index.matching(device_id, attributes))
        if len(self._devices) >= _DEVICES_REMEMBERED:
            self._devices.clear()
        self._devices[device_id] = (attributes, found)
        return found

    def _shared_by_those_with(self, rules: list[Rule]) -> Applicable:
        names = tuple(rule.name for rule in rules)
        if names not in self._shared:
            if len(self._shared) >= _SCOPES_REMEMBERED:
                self._shared.clear()
            self._shared[names] = Applicable(rules)
        return self._shared[names]

    def _read(self, changes: Iterable[RuleChange]) -> Iterator[Rule]:
        for change in changes:
            if change.condition is None:
                continue
            try:
                yield Rule(change.rule, change.version, change.severity, parse(change.condition))
            except BadRule as error:
                self.unreadable[change.rule] = str(error)


class _Index:
    """Rules by one exact term of their scope, so that of a thousand only a few have to be tried on a device."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._by_term: defaultdict[tuple[str, str], list[Rule]] = defaultdict(list)
        self._others: list[Rule] = []
        for rule in rules:
            term = next((match for match in rule.condition.scope if match.is_exact), None)
            found = self._others if term is None else self._by_term[term.name, term.pattern]
            found.append(rule)

    def matching(self, device_id: str, attributes: Mapping[str, str]) -> list[Rule]:
        told = {**attributes, DEVICE: device_id}
        candidates = list(self._others)
        for term in told.items():
            candidates += self._by_term.get(term, ())
        found = [
            rule for rule in candidates if all(match.holds(told.get(match.name)) for match in rule.condition.scope)
        ]
        return sorted(found, key=lambda rule: rule.name)
