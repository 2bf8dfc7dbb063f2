"""The stream of rules inside Flink: each record is a change of a rule, or a dead letter."""

import logging
from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import msgspec
from pyflink.common import Row, Types
from pyflink.datastream.functions import KeyedProcessFunction, RuntimeContext
from pyflink.datastream.state import MapStateDescriptor

from telefold.edge.worker import end_with_task_manager
from telefold.operators.alerts.rules import NoRule, read_change
from telefold.operators.flink.failures import metrics
from telefold.schemas.log_lines import set_up_log
from telefold.schemas.rules import DELETED_KEPT_MS, MAX_RULES, RuleChange, encode_change
from telefold.schemas.set_aside import bad_rule

_log = logging.getLogger(__name__)
_encode = msgspec.json.Encoder().encode_lines

RULE_TYPE = Types.ROW_NAMED(
    ["rule", "version", "change", "letters"], [Types.STRING(), Types.LONG(), Types.STRING(), Types.STRING()]
)
"""A change of a rule, in JSON, or null for one of which nothing is known any more; or no rule, but letters."""

_QUIET_MS = 60_000


class RuleFunction(KeyedProcessFunction):
    """Takes records as texts of one character a byte, all of one key, and emits `RULE_TYPE`.

    So that names have an end, a rule that was deleted is forgotten after `DELETED_KEPT_MS`, or sooner where there would
    be more than `MAX_RULES`; where all of those are in force, a further one is none. A change that is older than what
    is known of its rule goes on, too: it evaluates what was heard before the newer one was in force.
    """

    def __init__(self, known: Iterable[str]) -> None:
        self._known = frozenset(known)
        self._names: _Names | None = None

    def open(self, context: RuntimeContext) -> None:
        set_up_log()
        end_with_task_manager()
        self._unreadable = metrics(context).counter("rulesUnreadable")
        self._quiet_until = 0
        self._rules: Any = context.get_map_state(
            MapStateDescriptor("rule-versions", Types.STRING(), Types.TUPLE([Types.LONG(), Types.BOOLEAN()]))
        )

    def process_element(self, record: str, context: KeyedProcessFunction.Context) -> Iterator[Row]:
        now = context.timer_service().current_processing_time()
        data = record.encode("latin-1")
        names = self._names = self._names or _Names(self._known, self._rules.items())
        try:
            change = read_change(data)
            forgotten = names.make_room(change, now)
        except NoRule as error:
            yield self._no_rule(data, str(error), now)
            return
        for version, name in forgotten:
            self._rules.remove(name)
            yield Row(name, version, None, None)
        if names.put(change):
            self._rules.put(change.rule, (change.version, change.condition is None))
        yield Row(change.rule, change.version, encode_change(change).decode(), None)

    def _no_rule(self, record: bytes, why: str, now: int) -> Row:
        self._unreadable.inc()
        if now >= self._quiet_until:
            self._quiet_until = now + _QUIET_MS
            _log.warning("dead letter: no rule: %s", why, extra={"reason": "bad_rule"})
        return Row(None, None, None, _encode(list(bad_rule(record, why, now))).decode().rstrip("\n"))


class _Names:
    """The names that rules have, in memory: the state is read once after a start."""

    def __init__(self, known: Iterable[str], rules: Iterable[tuple[str, tuple[int, bool]]]) -> None:
        self._all = set(known)
        self._rules: dict[str, tuple[int, bool]] = {}
        self._deleted: list[tuple[int, str]] = []
        """Versions and names, the oldest first."""
        for name, (version, is_deleted) in rules:
            self._set(name, version, is_deleted)

    def make_room(self, change: RuleChange, now: int) -> Sequence[tuple[int, str]]:
        """Forget rules that were deleted long ago, or sooner as far as there are too many: their versions and names.

        Raises NoRule if there is no room for one that is new.
        """
        if change.rule in self._rules:
            return ()
        too_many = len(self._all) + (change.rule not in self._all) - MAX_RULES
        if too_many > len(self._deleted) and change.rule not in self._all:
            raise NoRule(f"there are {MAX_RULES} rules already: {change.rule} is one too many")
        over = max(too_many, bisect_left(self._deleted, (now - DELETED_KEPT_MS, "")))
        forgotten, self._deleted = self._deleted[:over], self._deleted[over:]
        for _, name in forgotten:
            del self._rules[name]
            self._all.discard(name)
        return forgotten

    def put(self, change: RuleChange) -> bool:
        """Whether `change` is newer than all that is known of its rule; that is then what is known."""
        version, is_deleted = self._rules.get(change.rule, (-1, False))
        if change.version <= version:
            return False
        if is_deleted:
            self._deleted.remove((version, change.rule))
        self._set(change.rule, change.version, change.condition is None)
        return True

    def _set(self, name: str, version: int, is_deleted: bool) -> None:
        self._all.add(name)
        self._rules[name] = version, is_deleted
        if is_deleted:
            insort(self._deleted, (version, name))
