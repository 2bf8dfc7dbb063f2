"""The rules of alerts: stored in the durable store, and published to the running job by a stream."""

import logging
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Protocol, Self

import msgspec

from telefold.operators.alerts.condition import parse
from telefold.operators.alerts.rules import NoRule, check_change, kept_of
from telefold.schemas.errors import RuleError, StoreError, StoreRefused
from telefold.schemas.rules import (
    DELETED_KEPT_MS,
    MAX_RULES,
    RULES_PARTITION,
    RULES_SETTLE_MS,
    RuleChange,
    Severity,
    newest_changes,
)
from telefold.schemas.view_rows import ViewRow, ViewUpdate
from telefold.schemas.view_stores import ViewReader, ViewWriter

_log = logging.getLogger(__name__)

_TOLD_WITHIN_MS = 1_000
"""How soon after its version a change is published: a job has the rest of the time until it is in force to get it."""


class RuleStream(Protocol):
    """A stream that publishes changes of rules to the running job."""

    def check(self) -> None:
        """Raise a TelefoldError that says what to do unless changes can be published."""

    def tell(self, change: RuleChange) -> None:
        """Publish a change; raises StreamError where that cannot be done."""

    def close(self) -> None:
        """Close the connection."""


class RuleBook:
    """The rules as they are, and changes to them; within a `with` block, or until `close`.

    It owns what it is given: `reader` and `writer` of the durable store's bookkeeping, and the `stream` of rules.
    """

    def __init__(self, reader: ViewReader, writer: ViewWriter, stream: RuleStream) -> None:
        self._reader = reader
        self._writer = writer
        self._stream = stream

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._reader.close()
        self._writer.close()
        self._stream.close()

    def known(self) -> list[RuleChange]:
        """All changes of every rule that are stored, by name, the oldest first; those of rules that were deleted not
        long ago among them.
        """
        by_rule: defaultdict[str, list[RuleChange]] = defaultdict(list)
        for row in self._reader.range(RULES_PARTITION):
            if (change := _change(row)) is not None:
                by_rule[change.rule].append(change)
        return [change for name in sorted(by_rule) for change in kept_of(by_rule[name])]

    def newest(self) -> list[RuleChange]:
        """The newest change of every rule, by name; those of rules that were deleted not long ago among them."""
        return list(newest_changes(self.known()).values())

    def find(self, name: str) -> RuleChange | None:
        """The rule as it is; None if there is none of that name."""
        row = self._reader.get(RULES_PARTITION, name)
        change = None if row is None else _change(row)
        return change if change and change.condition is not None else None

    def put(
        self, name: str, condition: str | None, severity: Severity = "warning", by: str | None = None
    ) -> RuleChange:
        """Make this the rule of that name, or take it away where `condition` is None; return what was published.

        Raises BadRule if the condition cannot be read, and RuleError if there can be no such rule. Where it cannot be
        stored or published all is as before.
        """
        if condition is not None:
            parse(condition)
        _check(RuleChange(name, 0, condition, severity, by))
        self._stream.check()
        if condition is not None:
            self._check_room(name)
        before = {row.sort: row for row in self._reader.range(RULES_PARTITION, f"{name}#")}
        if (newest := self._reader.get(RULES_PARTITION, name)) is not None:
            before[name] = newest
        change = RuleChange(name, _next_version(newest), condition, severity, by)
        _check(change)
        written: list[ViewUpdate] = []
        try:
            for rows in _rows(change, before):
                written += self._write(change, rows)
            self._stream.tell(change)
        except BaseException:
            self._take_back(written, before)
            raise
        if (passed := _now_ms() - change.version) > _TOLD_WITHIN_MS:
            _log.warning(
                "the rule %s was told %d ms after its version, and is in force from %d ms on: what was heard in between"
                " may have been judged without it, and a rebuild would judge it otherwise; put it again to be sure",
                name,
                passed,
                RULES_SETTLE_MS,
            )
        return change

    def _check_room(self, name: str) -> None:
        rows = self._reader.range(RULES_PARTITION)
        others = sum("#" not in row.sort and row.sort != name and "condition" in row.data for row in rows)
        if others >= MAX_RULES:
            raise RuleError([f"There are {others} rules, which is as many as there can be: delete one first."])

    def _write(self, change: RuleChange, rows: list[ViewUpdate]) -> list[ViewUpdate]:
        """Return `rows`; raises StoreRefused if not all of them are in the table."""
        result = self._writer.write(rows)
        for _, why in result.refused:
            raise StoreRefused(f"The rule {change.rule} cannot be stored ({why}): make its condition shorter.")
        if result.stale:
            raise StoreRefused(f"Somebody else changed the rule {change.rule} meanwhile: look at it and try again.")
        return rows

    def _take_back(self, written: list[ViewUpdate], before: Mapping[str, ViewRow]) -> None:
        """Make the rows as they were `before`, so that no rebuild goes by a change that was not published.

        What somebody else has put meanwhile stays.
        """
        ended = _now_ms() // 1_000
        undone = []
        for row in written:
            was = before.get(row.sort)
            data, expires_at = (row.data, ended) if was is None else (was.data, was.expires_at)
            undone.append(ViewUpdate("rules", RULES_PARTITION, row.sort, row.version + 1, data, expires_at))
        if not undone:
            return
        try:
            self._writer.write(undone)
        except StoreError as error:
            _log.error("what was put of the rule %s is in the table, and no job was told: %s", written[0].sort, error)


def _rows(change: RuleChange, before: Mapping[str, ViewRow]) -> Iterator[list[ViewUpdate]]:
    """The row of the newest change, which nobody else may have put meanwhile, and after it those of each change.

    Until those are there the newest row holds its change, too. They go when the rule is forgotten, or as there are more
    than are stored.
    """
    newest = before.get(change.rule)
    changes = [one for row in before.values() if (one := _change(row)) is not None]
    last = None if newest is None else _change(newest)
    kept = kept_of([*changes, change])
    forgotten = None if change.condition is not None else (change.version + DELETED_KEPT_MS) // 1_000
    ends_anew = last is not None and (last.condition is None) != (change.condition is None)
    yield [_row(change, change.rule, forgotten, {})]
    rows = [
        _row(one, _sort(one), forgotten, before)
        for one in kept
        if ends_anew or one is change or _sort(one) not in before
    ]
    rows += [_row(one, _sort(one), _now_ms() // 1_000, before) for one in changes if one.version < kept[0].version]
    yield list({row.sort: row for row in rows}.values())


def _next_version(newest: ViewRow | None) -> int:
    """The time now, in epoch milliseconds, but after the rule's last change, whatever another machine's clock says."""
    return max(_now_ms(), 0 if newest is None else newest.version + 1)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _sort(change: RuleChange) -> str:
    """The sort key of the row that is of this change alone; such keys are in the order of versions."""
    return f"{change.rule}#{change.version:013d}"


def _row(change: RuleChange, sort: str, expires_at: int | None, before: Mapping[str, ViewRow]) -> ViewUpdate:
    """Make the row that replaces the one of its key that was there `before`, if there was one."""
    data = {field: value for field, value in msgspec.to_builtins(change).items() if value is not None}
    version = max(change.version, before[sort].version + 1 if sort in before else 0)
    return ViewUpdate("rules", RULES_PARTITION, sort, version, data, expires_at)


def _check(change: RuleChange) -> None:
    try:
        check_change(change)
    except NoRule as error:
        raise RuleError([f"{error}."]) from None


def _change(row: ViewRow) -> RuleChange | None:
    """Read a change; None for a row that is no rule: it was not written by this class, and evaluates nobody."""
    try:
        change = msgspec.convert(row.data, RuleChange)
        check_change(change)
    except (msgspec.ValidationError, NoRule) as error:
        _log.warning("no rule: %s in the table", error, extra={"id": row.sort})
        return None
    return change
