"""A device under rules, as the tests of alerts tell of it."""

from telefold.operators.folds.alert import Alerts, AlertState
from telefold.operators.folds.testing import FoldTest
from telefold.schemas.rules import RULES_SETTLE_MS, RuleChange

S = 1_000
HOT = RuleChange("hot", -RULES_SETTLE_MS, "t > 80 until < 75 for 60s", "critical")


def under(*rules: RuleChange) -> FoldTest[AlertState]:
    """Rules that were in force before anything was heard."""
    test = FoldTest(Alerts())
    test.rules(*rules)
    return test


def put(name: str, condition: str | None, at: int = 0) -> RuleChange:
    """A rule that is in force from the second `at` on."""
    return RuleChange(name, at * S - RULES_SETTLE_MS, condition)


def read(test: FoldTest[AlertState], *readings: tuple[int, float]) -> FoldTest[AlertState]:
    for second, value in readings:
        test.event(at=second * S, metrics={"t": value})
    return test


def state(test: FoldTest[AlertState], rule: str = "hot") -> object:
    return test.rows[f"alert#{rule}"].data["state"] if f"alert#{rule}" in test.rows else None


def course(test: FoldTest[AlertState], rule: str, began: str) -> dict[str, object]:
    return dict(test.rows[f"alert#{rule}#1970-01-01T{began}Z"].data)
