"""The stream of rules inside Flink: each record is a change of a rule, or a dead letter."""

import logging
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from pyflink.common import Row, Types
from pyflink.datastream.functions import KeyedProcessFunction, RuntimeContext
from pyflink.datastream.state import MapStateDescriptor

from operators.alerts.rules import NoRule, read_change
from operators.flink.failures import metrics
from schemas.log_lines import set_up_log
from schemas.rules import DELETED_KEPT_MS, MAX_RULES, RuleChange, encode_change
from schemas.set_aside import bad_rule

_log = logging.getLogger(__name__)
_encode = msgspec.json.Encoder().encode_lines

RULE_TYPE = Types.ROW_NAMED(
    ["rule", "version", "change", "letters"], [Types.STRING(), Types.LONG(), Types.STRING(), Types.STRING()]
)
"""A change of a rule, in JSON, or null for one of which nothing is known any more; or no rule, but letters."""

_QUIET_MS = 60_000


class RuleFunction(KeyedProcessFunction):  # type: ignore[misc]
    """Takes records as texts of one character a byte, all of one key, and emits `RULE_TYPE`.

    So that names have an end, a rule that was deleted is forgotten after `DELETED_KEPT_MS`, or sooner where there would
    be more than `MAX_RULES`; where all of those are in force, a further one is none.
    """

    def __init__(self, known: Iterable[str]) -> None:
        self._known = frozenset(known)

    def open(self, context: RuntimeContext) -> None:
        set_up_log()
        self._unreadable = metrics(context).counter("rulesUnreadable")
        self._quiet_until = 0
        self._deleted: Any = context.get_map_state(MapStateDescriptor("rule-deleted", Types.STRING(), Types.LONG()))

    def process_element(self, record: str, context: KeyedProcessFunction.Context) -> Iterator[Row]:
        now = context.timer_service().current_processing_time()
        data = record.encode("latin-1")
        try:
            change = read_change(data)
            yield from self._make_room(change, now)
        except NoRule as error:
            yield self._no_rule(data, str(error), now)
            return
        self._deleted.put(change.rule, change.version if change.condition is None else -1)
        yield Row(change.rule, change.version, encode_change(change).decode(), None)

    def _make_room(self, change: RuleChange, now: int) -> Iterator[Row]:
        """Forget rules that were deleted long ago; raises NoRule if there is no room for one that is new."""
        if self._deleted.contains(change.rule):
            return
        held = dict(self._deleted.items())
        oldest = sorted((version, name) for name, version in held.items() if version >= 0)
        too_many = len(held.keys() | self._known) + 1 - MAX_RULES
        if too_many > len(oldest) and change.rule not in self._known:
            raise NoRule(f"there are {MAX_RULES} rules already: {change.rule} is one too many")
        for place, (version, name) in enumerate(oldest):
            if place < too_many or version < now - DELETED_KEPT_MS:
                self._deleted.remove(name)
                yield Row(name, version, None, None)

    def _no_rule(self, record: bytes, why: str, now: int) -> Row:
        self._unreadable.inc()
        if now >= self._quiet_until:
            self._quiet_until = now + _QUIET_MS
            _log.warning("dead letter: no rule: %s", why, extra={"reason": "bad_rule"})
        return Row(None, None, None, _encode(list(bad_rule(record, why, now))).decode().rstrip("\n"))
