"""Rules of alerts as they are told: the records of the control stream, which say what each rule is from now on."""

import re
from typing import Literal, get_args

import msgspec

Severity = Literal["info", "warning", "critical"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)

RULE_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")
MAX_RULES = 10_000
"""By name, those among them that were deleted and are not forgotten yet."""
LATEST_VERSION = 4_102_444_800_000  # 2100-01-01T00:00:00Z
MAX_BY_CHARACTERS = 256
MAX_RECORD_BYTES = 16_384
DELETED_KEPT_MS = 400 * 86_400_000
"""So long it is known that a rule was deleted: longer than Kinesis keeps any record that says that it was put."""
RULES_PARTITION = "telefold#rules"
"""Where the durable store holds the rules, outside of every generation; a rule's name is its sort key."""


class RuleChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """One rule as it is from `version` on, in epoch milliseconds: the time at which it was put.

    Of several changes of a rule that of the greatest version counts, in whatever order they come.
    """

    rule: str
    version: int
    condition: str | None = None
    """As `operators.alerts.condition` reads it; None takes the rule away."""
    severity: Severity = "warning"
    by: str | None = None
    """Who said so, for people who ask."""


def encode_change(change: RuleChange) -> bytes:
    return msgspec.json.encode(change)
