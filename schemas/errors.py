"""Every error Telefold raises, in one tree; each message is one sentence saying who must do what.

TelefoldError
├── SettingsError        the properties file is wrong: all its problems at once
│   └── UsageError           what was typed is wrong
│       └── RuleError            a rule is wrong
├── RejectedEvent        a record is not a valid event; it belongs in the dead letters
├── StreamError          a Kinesis stream is missing or cannot be reached
├── ArchiveError         the archive is missing, damaged or cannot be reached
├── LocalStackError      a local server did not start or is not there
├── PackageError         the zip for managed Flink cannot be made, or would not work there
├── JobError             the job did not start or failed
├── DeployError          the application in AWS is not what it was to be
├── GenerationError      the generations of the views do not allow a change, or changed meanwhile
└── StoreError           a view store
    ├── StoreUnavailable     throttled, timed out or unreachable: worth trying again
    ├── StoreFull            has no room for more rows until somebody makes some
    └── StoreRefused         refuses whatever it is given, for good: names the store
"""

from collections.abc import Sequence
from enum import StrEnum


class TelefoldError(Exception):
    """Base of all errors that Telefold raises on purpose."""


class SettingsError(TelefoldError):
    """The settings cannot be used; `problems` holds one sentence for each."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class UsageError(SettingsError):
    """An option or a name that was typed cannot be used."""


class RuleError(UsageError):
    """A rule of alerts cannot be used."""


class Reason(StrEnum):
    """Why a record is in the dead-letter stream."""

    EMPTY_RECORD = "empty_record"
    BAD_HEADER = "bad_header"
    UNKNOWN_FINGERPRINT = "unknown_fingerprint"
    TRUNCATED_BODY = "truncated_body"
    MALFORMED_BODY = "malformed_body"
    EMPTY_ID = "empty_id"
    ID_TOO_LONG = "id_too_long"
    TYPE_TOO_LONG = "type_too_long"
    CORRELATION_ID_TOO_LONG = "correlation_id_too_long"
    TOO_MANY_METRICS = "too_many_metrics"
    BAD_METRIC_NAME = "bad_metric_name"
    BAD_METRIC_VALUE = "bad_metric_value"
    TOO_MANY_ATTRIBUTES = "too_many_attributes"
    BAD_ATTRIBUTE_NAME = "bad_attribute_name"
    ATTRIBUTE_TOO_LONG = "attribute_too_long"
    BAD_ACKNOWLEDGEMENT = "bad_acknowledgement"
    TIME_TOO_OLD = "time_too_old"
    TIME_IN_FUTURE = "time_in_future"
    TOO_LATE = "too_late"
    TOO_MANY_NAMES = "too_many_names"
    """The event would make too many metrics of its device known at a time."""
    FOLD_FAILED = "fold_failed"
    """A fold in Python raised on an event, which the other folds have."""
    ROW_REFUSED = "row_refused"
    """A store refused a row for what it holds."""
    BAD_RULE = "bad_rule"
    """A record of the stream of rules is no rule."""


OF_DEVICES = frozenset({Reason.TOO_LATE, Reason.TOO_MANY_NAMES})
"""Reasons against an event that follow from what its device sent before."""

SET_ASIDE = frozenset({Reason.FOLD_FAILED, Reason.ROW_REFUSED, Reason.BAD_RULE})
"""Reasons of letters that hold no record of the event stream: see `schemas.set_aside`."""

OF_RECORDS = frozenset(Reason) - OF_DEVICES - SET_ASIDE
"""Reasons against a record by itself, whatever came before."""


class RejectedEvent(TelefoldError):
    """A record that is not a valid event, or came too late to be folded."""

    def __init__(self, reason: Reason, detail: str) -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(f"{reason}: {detail}")


class StreamError(TelefoldError):
    """A Kinesis stream is missing, or its API cannot be reached."""


class ArchiveError(TelefoldError):
    """The archive of the event log is missing, holds a damaged file, or cannot be reached."""


class LocalStackError(TelefoldError):
    """A server of the local stack did not start, or is not running."""


class PackageError(TelefoldError):
    """The zip for managed Flink cannot be made, or would not work there."""


class JobError(TelefoldError):
    """The job did not start, or failed for good."""


class DeployError(TelefoldError):
    """A deploy to AWS cannot begin, or did not make the application what it was to be."""


class GenerationError(TelefoldError):
    """The generations of the views do not allow what was asked, or another process changed them meanwhile."""


class StoreError(TelefoldError):
    """A view store did not do what it was asked."""


class StoreUnavailable(StoreError):
    """Throttled, timed out or unreachable; the same request may succeed later."""


class StoreFull(StoreError):
    """No room for more rows; those that are there can be read. Waiting makes no room, somebody must."""


class StoreRefused(StoreError):
    """Refused for good, and not for what one row holds: another request would be refused as well."""
