"""Rules of alerts as they are published: the records of the control stream, which say what each rule is from now on."""

import re
from collections.abc import Iterable
from typing import Literal, get_args

import msgspec

Severity = Literal["info", "warning", "critical"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)

RULE_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}")
MAX_RULES = 10_000
"""The most names of rules, those that were deleted and are not forgotten yet among them."""
LATEST_VERSION = 4_102_444_800_000  # 2100-01-01T00:00:00Z
MAX_BY_CHARACTERS = 256
MAX_RECORD_BYTES = 16_384
DELETED_KEPT_MS = 400 * 86_400_000
"""How long it is known that a rule was deleted: longer than Kinesis keeps any record that says that it was put."""
CHANGES_KEPT = 100
"""How many changes of a rule, the newest, are known to a rebuild."""
RULES_SETTLE_MS = 2_000
"""A change is in force for what is heard so long after its version: by then every task has it."""
RULES_PARTITION = "telefold#rules"
"""The partition of the durable store that holds the rules, outside of every generation.

A rule's name is the sort key of its newest change, and that with `#` and the version is one of each change.
"""


class RuleChange(msgspec.Struct, frozen=True, omit_defaults=True):
    """A rule as it is from `version` on, in epoch milliseconds: the time at which it was put.

    Of several changes of a rule in force that of the greatest version counts, in whatever order they come.
    """

    rule: str
    version: int
    condition: str | None = None
    """The text that `operators.alerts.condition` reads; None takes the rule away."""
    severity: Severity = "warning"
    by: str | None = None
    """The person who made the change, for people who ask."""

    @property
    def in_force_at(self) -> int:
        """The arrival from which on events are evaluated by it, in epoch milliseconds."""
        return self.version + RULES_SETTLE_MS


def encode_change(change: RuleChange) -> bytes:
    return msgspec.json.encode(change)


def newest_changes(changes: Iterable[RuleChange]) -> dict[str, RuleChange]:
    """The newest change of each rule, by its name."""
    newest: dict[str, RuleChange] = {}
    for change in changes:
        if change.rule not in newest or change.version > newest[change.rule].version:
            newest[change.rule] = change
    return newest
