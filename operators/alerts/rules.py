"""The rules that are in force at a time, and which of them concern a device and a metric."""

from bisect import bisect_right
from collections import OrderedDict, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from math import inf
from typing import NamedTuple

import msgspec

from telefold.operators.alerts.condition import DEVICE, BadRule, Condition, parse
from telefold.schemas.rules import (
    CHANGES_KEPT,
    LATEST_VERSION,
    MAX_BY_CHARACTERS,
    MAX_RECORD_BYTES,
    RULE_NAME,
    RULES_SETTLE_MS,
    RuleChange,
    Severity,
)

_DEVICES_REMEMBERED = 200_000
_SCOPES_REMEMBERED = 10_000
_TIMES_REMEMBERED = 64

_decode_change = msgspec.json.Decoder(RuleChange).decode


class NoRule(ValueError):
    """A record or row that is not a change of a rule; the message says why."""


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
    """Raise NoRule unless devices can be evaluated by `change`."""
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

    def broken_by(self, value: float) -> Sequence[Rule]:
        if value < self._up.first and -value < self._down.first:
            return ()
        return [*self._up.broken_by(value), *self._down.broken_by(value)]


class Applicable:
    """The rules that concern one device, or many for which the same do."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = {rule.name: rule for rule in rules}
        self.values = _by_metric(rules, "value")
        self.rates = _by_metric(rules, "rate")
        self.increases = _increases(rules)
        """Rules of increases, by metric and by the duration, in milliseconds, that they are of."""
        self.stale = tuple(
            (rule, rule.condition.metric, int(rule.condition.bound.limit), rule.condition.hold_ms)
            for rule in rules
            if rule.condition.kind == "stale"
        )
        """Each rule with its metric (None for any), its limit, and how long an alert is pending (both in ms)."""
        limits: dict[str | None, int] = {}
        for _, metric, limit, _ in self.stale:
            limits[metric] = min(limit, limits.get(metric, limit))
        self.least_limits = tuple(limits.items())
        """The least limits of staleness, by metric."""


def _by_metric(rules: Sequence[Rule], kind: str) -> dict[str, Thresholds]:
    found: defaultdict[str, list[Rule]] = defaultdict(list)
    for rule in rules:
        if rule.condition.kind == kind:
            found[rule.condition.metric or ""].append(rule)
    return {metric: Thresholds(some) for metric, some in found.items()}


def _increases(rules: Sequence[Rule]) -> dict[str, dict[int, Thresholds]]:
    durations = {rule.condition.over_ms for rule in rules if rule.condition.kind == "increase"}
    found: defaultdict[str, dict[int, Thresholds]] = defaultdict(dict)
    for over_ms in sorted(durations):
        some = [rule for rule in rules if rule.condition.over_ms == over_ms]
        for metric, thresholds in _by_metric(some, "increase").items():
            found[metric][over_ms] = thresholds
    return dict(found)


class InForce:
    """The newest change of each rule that is in force at some time."""

    def __init__(self, newest: Mapping[str, RuleChange], rules: Mapping[str, Rule]) -> None:
        """`rules` are those of the `newest` changes that say what is wrong, and can be read."""
        self._newest = newest
        self._rules = rules

    def and_then(self, changes: Iterable[tuple[RuleChange, Rule | None]]) -> "InForce":
        """The rules in force once `changes` are too, each the newest of its rule and with the rule that it puts."""
        newest, rules = dict(self._newest), dict(self._rules)
        for change, rule in changes:
            newest[change.rule] = change
            rules.pop(change.rule, None)
            if rule is not None:
                rules[change.rule] = rule
        return InForce(newest, rules)

    def is_deleted(self, name: str) -> bool:
        """Whether the newest change of the rule of that name took it away, as one does that cannot be read."""
        return name in self._newest and name not in self._rules

    def version_of(self, name: str) -> int:
        """The version of the newest change of a rule; 0 if there is none."""
        change = self._newest.get(name)
        return change.version if change is not None else 0

    def matching(self, device_id: str, attributes: Mapping[str, str]) -> list[Rule]:
        return self._index.matching(device_id, attributes)

    @cached_property
    def _index(self) -> "_Index":
        return _Index(self._rules.values())


class RuleSet:
    """The known rules: which are in force for what is heard when.

    Of changes of one rule that come into force at one time the last one counts. Changes that cannot be read are in
    `unreadable`, by the rule's name, and take away what was in force of it.
    """

    def __init__(self, changes: Iterable[RuleChange] = ()) -> None:
        known = {(change.version, change.rule): change for change in changes}
        self.unreadable: dict[str, str] = {}
        self._changes: dict[int, list[tuple[RuleChange, Rule | None]]] = {}
        """Changes, each with the rule that it puts, by the time at which they come into force, in its order."""
        self._times_of: dict[str, list[int]] = {}
        """Times of the changes of each rule."""
        for _, change in sorted(known.items()):
            rule = None
            try:
                rule = _read(change)
            except BadRule as error:
                self.unreadable[change.rule] = str(error)
            self._changes.setdefault(change.in_force_at, []).append((change, rule))
            self._times_of.setdefault(change.rule, []).append(change.in_force_at)
        self._times = list(self._changes)
        self._revisions = [0, *_revisions(self._changes.values())]
        self.newest_at = self._times[-1] if self._times else 0
        """The time at which the last change comes into force, in epoch milliseconds."""
        self.newest_revision = self._revisions[-1]
        self._in_force: OrderedDict[int, InForce] = OrderedDict()
        self._shared: dict[tuple[tuple[str, int], ...], Applicable] = {}
        self._devices: dict[str, tuple[InForce, Mapping[str, str], Applicable]] = {}
        self._next: dict[str, tuple[Mapping[str, str], int, int | None]] = {}
        """Each device's attributes, and a time from which on until another one nothing comes to concern it."""

    def last_change(self, at: int) -> int:
        """The time of the last changes that are in force at `at`, in epoch milliseconds; 0 if none is."""
        if at >= self.newest_at:
            return self.newest_at
        place = bisect_right(self._times, at)
        return self._times[place - 1] if place else 0

    def knows(self, name: str) -> bool:
        """Whether there is any change of a rule of that name, be it in force or not yet."""
        return name in self._times_of

    def next_concerning(
        self, device_id: str, attributes: Mapping[str, str], after: int, names: Collection[str]
    ) -> int | None:
        """The time at which the first changes later than `after` come into force that concern such a device.

        They are of rules of these `names`, of one whose scope holds for it at `after`, or put one whose scope does.
        """
        known = self._next.get(device_id)
        if known is not None and known[0] == attributes and known[1] <= after and (known[2] or inf) > after:
            found = known[2]
        else:
            found = self._next_in_scope(device_id, attributes, after)
            if len(self._next) >= _DEVICES_REMEMBERED:
                self._next.clear()
            self._next[device_id] = attributes, after, found
        if names:
            times = [time for name in names if (time := self._next_of(name, after)) is not None]
            found = min(times if found is None else [*times, found], default=None)
        return found

    def _next_in_scope(self, device_id: str, attributes: Mapping[str, str], after: int) -> int | None:
        concerning = self.concerning(device_id, attributes, after).rules
        times = [time for name in concerning if (time := self._next_of(name, after)) is not None]
        put = self._puts.next_matching(device_id, attributes, after)
        return min(times if put is None else [*times, put], default=None)

    def _next_of(self, name: str, after: int) -> int | None:
        times = self._times_of.get(name, ())
        place = bisect_right(times, after)
        return times[place] if place < len(times) else None

    @cached_property
    def _puts(self) -> "_Index":
        """All rules that were ever put, in the order in which they come into force."""
        return _Index(rule for some in self._changes.values() for _, rule in some if rule is not None)

    def revision(self, at: int) -> int:
        """Tells what is known to be in force at `at` from what would be if one more change came, late."""
        return self._revisions[-1] if at >= self.newest_at else self._revisions[bisect_right(self._times, at)]

    def in_force(self, at: int) -> InForce:
        """The rules in force at `at`, in epoch milliseconds."""
        found = self._in_force.get(time := self.last_change(at))
        if found is None:
            found = self._in_force[time] = self._made(time)
            if len(self._in_force) > _TIMES_REMEMBERED:
                self._in_force.popitem(last=False)
        return found

    def _made(self, time: int) -> InForce:
        """Make the rules in force at `time` from the nearest earlier ones that are at hand."""
        before = max((known for known in self._in_force if known < time), default=None)
        made = _NOTHING if before is None else self._in_force[before]
        first = 0 if before is None else bisect_right(self._times, before)
        newest: dict[str, tuple[RuleChange, Rule | None]] = {}
        for one in self._times[first : bisect_right(self._times, time)]:
            newest |= {change.rule: (change, rule) for change, rule in self._changes[one]}
        return made.and_then(newest.values())

    def concerning(self, device_id: str, attributes: Mapping[str, str], at: int) -> Applicable:
        """The rules in force at `at` whose scope holds for a device with these attributes."""
        in_force, known = self.in_force(at), self._devices.get(device_id)
        if known is not None and known[0] is in_force and known[1] == attributes:
            return known[2]
        found = self._shared_by_those_with(in_force.matching(device_id, attributes))
        if len(self._devices) >= _DEVICES_REMEMBERED:
            self._devices.clear()
        self._devices[device_id] = (in_force, attributes, found)
        return found

    def _shared_by_those_with(self, rules: list[Rule]) -> Applicable:
        names = tuple((rule.name, rule.version) for rule in rules)
        if names not in self._shared:
            if len(self._shared) >= _SCOPES_REMEMBERED:
                self._shared.clear()
            self._shared[names] = Applicable(rules)
        return self._shared[names]


_NOTHING = InForce({}, {})


def _revisions(changes: Iterable[Sequence[tuple[RuleChange, Rule | None]]]) -> Iterator[int]:
    """The sum, for each time, of the versions that are the newest of their rules by then."""
    newest: dict[str, int] = {}
    total = 0
    for some in changes:
        for change, _ in some:
            total += change.version - newest.get(change.rule, 0)
            newest[change.rule] = change.version
        yield total


def _read(change: RuleChange) -> Rule | None:
    """The rule that `change` puts, None if it takes one away; raises BadRule if it cannot be read."""
    if change.condition is None:
        return None
    return Rule(change.rule, change.version, change.severity, parse(change.condition))


def kept_of(changes: Iterable[RuleChange]) -> list[RuleChange]:
    """The newest `CHANGES_KEPT` changes of one rule, the oldest first."""
    known = {change.version: change for change in changes}
    return [known[version] for version in sorted(known)[-CHANGES_KEPT:]]


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
        found = [rule for some in self._candidates(told) for rule in some if _holds(rule, told)]
        return sorted(found, key=lambda rule: rule.name)

    def next_matching(self, device_id: str, attributes: Mapping[str, str], after: int) -> int | None:
        """The time at which the first rule later than `after` comes into force; the index has rules in that order."""
        told, soonest = {**attributes, DEVICE: device_id}, None
        for some in self._candidates(told):
            for place in range(bisect_right(some, after, key=_in_force_at), len(some)):
                at = _in_force_at(some[place])
                if soonest is not None and at >= soonest:
                    break
                if _holds(some[place], told):
                    soonest = at
        return soonest

    def _candidates(self, told: Mapping[str, str]) -> list[list[Rule]]:
        return [self._others, *(some for term in told.items() if (some := self._by_term.get(term)) is not None)]


def _holds(rule: Rule, told: Mapping[str, str]) -> bool:
    return all(match.holds(told.get(match.name)) for match in rule.condition.scope)


def _in_force_at(rule: Rule) -> int:
    return rule.version + RULES_SETTLE_MS
