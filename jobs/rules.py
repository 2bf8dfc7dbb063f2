"""The rules of alerts: kept in the durable store, and told to the running job by a stream."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, NamedTuple

import msgspec

from connectors import aws, event_log
from jobs import stores
from jobs.settings import Settings
from operators.alerts.condition import parse
from schemas.errors import SettingsError, StoreRefused
from schemas.rules import RULE_NAME, RULES_PARTITION, RuleChange, Severity, encode_change
from schemas.view_rows import ViewUpdate


class _Record(NamedTuple):
    data: bytes
    partition_key: str


def known(settings: Settings) -> list[RuleChange]:
    """The newest change of every rule there ever was, by name; those of rules that were deleted among them."""
    with closing(stores.open_bookkeeping_reader(settings)) as reader:
        return [msgspec.convert(row.data, RuleChange) for row in reader.range(RULES_PARTITION)]


def find(settings: Settings, name: str) -> RuleChange | None:
    """The rule as it is; None if there is none of that name."""
    with closing(stores.open_bookkeeping_reader(settings)) as reader:
        row = reader.get(RULES_PARTITION, name)
    change = None if row is None else msgspec.convert(row.data, RuleChange)
    return change if change and change.condition is not None else None


def put(
    settings: Settings, name: str, condition: str | None, severity: Severity = "warning", by: str | None = None
) -> RuleChange:
    """Make this the rule of that name, or take it away where `condition` is None; return what was told.

    Raises BadRule if the condition cannot be read, and SettingsError if the name is none.
    """
    if not RULE_NAME.fullmatch(name):
        raise SettingsError(
            [
                f"The name of a rule is 1 to 63 of a-z, 0-9, _, . and -, of which it begins with one of the first two:"
                f" {name!r} is none."
            ]
        )
    if condition is not None:
        parse(condition)
    with _stream(settings) as (client, stream):
        change = RuleChange(name, _next_version(settings, name), condition, severity, by)
        _keep(settings, change)
        event_log.append(client, stream, [_Record(encode_change(change), name)])
    return change


@contextmanager
def _stream(settings: Settings) -> Iterator[tuple[Any, str]]:
    stream = settings.alerts.rules_stream
    if stream is None:
        raise SettingsError(["telefold.alerts/rules.stream.name is missing: set it to the stream of rules."])
    with closing(aws.client("kinesis", settings.source.region, settings.source.endpoint)) as client:
        event_log.check_stream(client, stream)
        yield client, stream


def _next_version(settings: Settings, name: str) -> int:
    """Now, in epoch milliseconds, and after the rule's last change whatever another machine's clock says."""
    with closing(stores.open_bookkeeping_reader(settings)) as reader:
        row = reader.get(RULES_PARTITION, name)
    return max(time.time_ns() // 1_000_000, 0 if row is None else row.version + 1)


def _keep(settings: Settings, change: RuleChange) -> None:
    data = {field: value for field, value in msgspec.to_builtins(change).items() if value is not None}
    with closing(stores.open_bookkeeping_writer(settings)) as writer:
        result = writer.write([ViewUpdate("rules", RULES_PARTITION, change.rule, change.version, data)])
    if result.stale:
        raise StoreRefused(f"Somebody else changed the rule {change.rule} at the same time: look at it and try again.")
