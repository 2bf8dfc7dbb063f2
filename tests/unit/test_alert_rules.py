"""Which rules are in force, which of them concern a device, and which of those a value breaks."""

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from telefold.operators.alerts.condition import parse
from telefold.operators.alerts.rules import Rule, RuleSet, Thresholds
from telefold.schemas.rules import RULES_SETTLE_MS, RuleChange
from tests.support.examples import examples

LIMITS = st.integers(-5, 5)
AT = 3 + RULES_SETTLE_MS


@given(st.lists(st.tuples(st.sampled_from([">", ">=", "<", "<="]), LIMITS), max_size=12), LIMITS)
def test_all_thresholds_that_a_value_breaks_are_found(bounds: list[tuple[str, int]], value: int) -> None:
    rules = [Rule(f"r{n}", 1, "info", parse(f"t {sign} {limit}")) for n, (sign, limit) in enumerate(bounds)]
    broken = {rule.name for rule in Thresholds(rules).broken_by(float(value))}
    tried = {">": value.__gt__, ">=": value.__ge__, "<": value.__lt__, "<=": value.__le__}
    assert broken == {f"r{n}" for n, (sign, limit) in enumerate(bounds) if tried[sign](limit)}


SITES = ["a", "b", "ab"]
TERMS: list[tuple[str, Callable[[str, str | None], bool]]] = [
    ("", lambda device, site: True),
    (' where site = "a"', lambda device, site: site == "a"),
    (' where site = "a*"', lambda device, site: site in ("a", "ab")),
    (' where site != "b"', lambda device, site: site != "b"),
    (' where device = "d1"', lambda device, site: device == "d1"),
    (' where device = "d*" and site = "b"', lambda device, site: site == "b"),
    (' where site = "a" and site = "b"', lambda device, site: False),
]


@examples(50)
@given(st.lists(st.sampled_from(range(len(TERMS))), max_size=8), st.sampled_from([None, *SITES]), st.integers(1, 2))
def test_the_rules_that_concern_a_device(chosen: list[int], site: str | None, number: int) -> None:
    rules = RuleSet(RuleChange(f"r{n}", 1, f"t > 1{TERMS[term][0]}") for n, term in enumerate(chosen))
    device, attributes = f"d{number}", {"site": site} if site else {}
    for _ in range(2):
        found = rules.concerning(device, attributes, AT)
        assert set(found.rules) == {f"r{n}" for n, term in enumerate(chosen) if TERMS[term][1](device, site)}


def test_a_device_is_judged_anew_when_its_attributes_change() -> None:
    rules = RuleSet([RuleChange("r", 1, 't > 1 where site = "a"')])
    assert set(rules.concerning("d", {"site": "a"}, AT).rules) == {"r"}
    assert not rules.concerning("d", {"site": "b"}, AT).rules


@given(st.permutations([("r", 1), ("r", 2), ("s", 1), ("r", 3)]))
def test_the_newest_change_counts_in_whatever_order_they_come(order: list[tuple[str, int]]) -> None:
    changes = [RuleChange(name, version, None if version == 3 else f"t > {version}") for name, version in order]
    rules = RuleSet(changes)
    assert (rules.in_force(AT).is_deleted("r"), rules.in_force(AT).is_deleted("s")) == (True, False)
    assert {rule.condition.bound.limit for rule in rules.concerning("d", {}, AT).rules.values()} == {1}
    assert rules.revision(AT) == 4


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 30), st.sampled_from([None, "t > 1", "t > 2"]))))
def test_what_is_in_force_at_a_time_is_the_newest_of_each_rule_by_then(
    made: list[tuple[str, int, str | None]],
) -> None:
    changes = {(name, version): RuleChange(name, version, condition) for name, version, condition in made}
    rules = RuleSet(changes.values())
    for at in [31, *range(30, -1, -5), *range(0, 31, 3)]:
        known = [one for one in changes.values() if one.version <= at]
        newest = {one.rule: one for one in sorted(known, key=lambda one: one.version)}
        found = rules.concerning("d", {}, at + RULES_SETTLE_MS).rules
        assert {name: rule.version for name, rule in found.items()} == {
            name: one.version for name, one in newest.items() if one.condition is not None
        }
        assert rules.revision(at + RULES_SETTLE_MS) == sum(one.version for one in newest.values())


def test_a_rule_that_cannot_be_read_leaves_the_others_in_force() -> None:
    rules = RuleSet([RuleChange("bad", 1, "t >"), RuleChange("good", 1, "t > 1")])
    assert set(rules.concerning("d", {}, AT).rules) == {"good"}
    assert "at character 4" in rules.unreadable["bad"]
