"""The rules of alerts: kept in the durable store, and told to the running job by a stream."""

import logging
import time
from typing import Self

import msgspec

from connectors import aws, event_log
from jobs import stores
from jobs.settings import Settings
from operators.alerts.condition import parse
from operators.alerts.rules import NoRule, check_change
from schemas.errors import SettingsError, StoreRefused, UsageError
from schemas.rules import DELETED_KEPT_MS, MAX_RULES, RULES_PARTITION, RuleChange, Severity, encode_change
from schemas.view_rows import ViewRow, ViewUpdate

_log = logging.getLogger(__name__)


class RuleBook:
    """The rules as they are, and changes to them; within a `with` block, or until `close`."""

    def __init__(self, settings: Settings) -> None:
        self._stream = settings.alerts.rules_stream
        self._reader = stores.open_bookkeeping_reader(settings)
        self._writer = stores.open_bookkeeping_writer(settings)
        self._kinesis = aws.client("kinesis", settings.source.region, settings.source.endpoint)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._reader.close()
        self._writer.close()
        self._kinesis.close()

    def known(self) -> list[RuleChange]:
        """The newest change of every rule, by name; those of rules that were deleted not long ago among them."""
        return [change for row in self._reader.range(RULES_PARTITION) if (change := _change(row)) is not None]

    def find(self, name: str) -> RuleChange | None:
        """The rule as it is; None if there is none of that name."""
        row = self._reader.get(RULES_PARTITION, name)
        change = None if row is None else _change(row)
        return change if change and change.condition is not None else None

    def put(
        self, name: str, condition: str | None, severity: Severity = "warning", by: str | None = None
    ) -> RuleChange:
        """Make this the rule of that name, or take it away where `condition` is None; return what was told.

        Raises BadRule if the condition cannot be read, and UsageError if there can be no such rule.
        """
        if condition is not None:
            parse(condition)
        _check(RuleChange(name, 0, condition, severity, by))
        stream = self._checked_stream()
        change = RuleChange(name, self._next_version(name), condition, severity, by)
        _check(change)
        if condition is not None:
            self._check_room(name)
        self._keep(change)
        event_log.append(self._kinesis, stream, [event_log.NewRecord(encode_change(change), name)])
        return change

    def _checked_stream(self) -> str:
        if self._stream is None:
            raise SettingsError(["telefold.alerts/rules.stream.name is missing: set it to the stream of rules."])
        event_log.check_stream(self._kinesis, self._stream)
        return self._stream

    def _check_room(self, name: str) -> None:
        others = sum(one.rule != name and one.condition is not None for one in self.known())
        if others >= MAX_RULES:
            raise UsageError([f"There are {others} rules, which is as many as there can be: delete one first."])

    def _next_version(self, name: str) -> int:
        """Now, in epoch milliseconds, and after the rule's last change whatever another machine's clock says."""
        row = self._reader.get(RULES_PARTITION, name)
        return max(time.time_ns() // 1_000_000, 0 if row is None else row.version + 1)

    def _keep(self, change: RuleChange) -> None:
        data = {field: value for field, value in msgspec.to_builtins(change).items() if value is not None}
        expires_at = None if change.condition is not None else (change.version + DELETED_KEPT_MS) // 1_000
        row = ViewUpdate("rules", RULES_PARTITION, change.rule, change.version, data, expires_at)
        result = self._writer.write([row])
        for _, why in result.refused:
            raise StoreRefused(f"The rule {change.rule} cannot be stored ({why}): make its condition shorter.")
        if result.stale:
            raise StoreRefused(f"Somebody else changed the rule {change.rule} meanwhile: look at it and try again.")


def _check(change: RuleChange) -> None:
    try:
        check_change(change)
    except NoRule as error:
        raise UsageError([f"{error}."]) from None


def _change(row: ViewRow) -> RuleChange | None:
    """None for a row that is no rule: it was not written by this class, and judges nobody."""
    try:
        change = msgspec.convert(row.data, RuleChange)
        check_change(change)
    except (msgspec.ValidationError, NoRule) as error:
        _log.warning("no rule: %s in the table", error, extra={"id": row.sort})
        return None
    return change
