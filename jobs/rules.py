"""The rules of alerts: kept in the durable store, and told to the running job by a stream."""

import time
from typing import Self

import msgspec

from connectors import aws, event_log
from jobs import stores
from jobs.settings import Settings
from operators.alerts.condition import parse
from schemas.errors import SettingsError, StoreRefused, UsageError
from schemas.rules import RULE_NAME, RULES_PARTITION, RuleChange, Severity, encode_change
from schemas.view_rows import ViewRow, ViewUpdate


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
        """The newest change of every rule there ever was, by name; those of rules that were deleted among them."""
        return [_change(row) for row in self._reader.range(RULES_PARTITION)]

    def find(self, name: str) -> RuleChange | None:
        """The rule as it is; None if there is none of that name."""
        row = self._reader.get(RULES_PARTITION, name)
        change = None if row is None else _change(row)
        return change if change and change.condition is not None else None

    def put(
        self, name: str, condition: str | None, severity: Severity = "warning", by: str | None = None
    ) -> RuleChange:
        """Make this the rule of that name, or take it away where `condition` is None; return what was told.

        Raises BadRule if the condition cannot be read, and SettingsError if the name is none.
        """
        if not RULE_NAME.fullmatch(name):
            raise UsageError([f"{name!r} cannot name a rule: 1 to 63 of a-z, 0-9, _, . and - can, a-z or 0-9 first."])
        if condition is not None:
            parse(condition)
        stream = self._checked_stream()
        change = RuleChange(name, self._next_version(name), condition, severity, by)
        self._keep(change)
        event_log.append(self._kinesis, stream, [event_log.NewRecord(encode_change(change), name)])
        return change

    def _checked_stream(self) -> str:
        if self._stream is None:
            raise SettingsError(["telefold.alerts/rules.stream.name is missing: set it to the stream of rules."])
        event_log.check_stream(self._kinesis, self._stream)
        return self._stream

    def _next_version(self, name: str) -> int:
        """Now, in epoch milliseconds, and after the rule's last change whatever another machine's clock says."""
        row = self._reader.get(RULES_PARTITION, name)
        return max(time.time_ns() // 1_000_000, 0 if row is None else row.version + 1)

    def _keep(self, change: RuleChange) -> None:
        data = {field: value for field, value in msgspec.to_builtins(change).items() if value is not None}
        result = self._writer.write([ViewUpdate("rules", RULES_PARTITION, change.rule, change.version, data)])
        if result.stale:
            raise StoreRefused(f"Somebody else changed the rule {change.rule} meanwhile: look at it and try again.")


def _change(row: ViewRow) -> RuleChange:
    return msgspec.convert(row.data, RuleChange)
