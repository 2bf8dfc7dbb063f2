"""Which rules are in force, which of them concern a device, and which of those a value breaks."""

from hypothesis import given, settings
from hypothesis import strategies as st

from operators.alerts.condition import parse
from operators.alerts.rules import Rule, RuleSet, Thresholds
from schemas.rules import RuleChange

LIMITS = st.integers(-5, 5)


@given(st.lists(st.tuples(st.sampled_from([">", ">=", "<", "<="]), LIMITS), max_size=12), LIMITS)
def test_all_thresholds_that_a_value_breaks_are_found(bounds: list[tuple[str, int]], value: int) -> None:
    rules = [Rule(f"r{n}", 1, "info", parse(f"t {sign} {limit}")) for n, (sign, limit) in enumerate(bounds)]
    broken = {rule.name for rule in Thresholds(rules).broken_by(float(value))}
    tried = {">": value.__gt__, ">=": value.__ge__, "<": value.__lt__, "<=": value.__le__}
    assert broken == {f"r{n}" for n, (sign, limit) in enumerate(bounds) if tried[sign](limit)}


SITES = ["a", "b", "ab"]
TERMS = [
    ("", lambda device, site: True),
    (' where site = "a"', lambda device, site: site == "a"),
    (' where site = "a*"', lambda device, site: site in ("a", "ab")),
    (' where site != "b"', lambda device, site: site != "b"),
    (' where device = "d1"', lambda device, site: device == "d1"),
    (' where device = "d*" and site = "b"', lambda device, site: site == "b"),
    (' where site = "a" and site = "b"', lambda device, site: False),
]


@settings(max_examples=50)
@given(st.lists(st.sampled_from(range(len(TERMS))), max_size=8), st.sampled_from([None, *SITES]), st.integers(1, 2))
def test_the_rules_that_concern_a_device(chosen: list[int], site: str | None, number: int) -> None:
    rules = RuleSet(RuleChange(f"r{n}", 1, f"t > 1{TERMS[term][0]}") for n, term in enumerate(chosen))
    device, attributes = f"d{number}", {"site": site} if site else {}
    for _ in range(2):
        found = rules.concerning(device, attributes)
        assert set(found.rules) == {f"r{n}" for n, term in enumerate(chosen) if TERMS[term][1](device, site)}


def test_a_device_is_judged_anew_when_its_attributes_change() -> None:
    rules = RuleSet([RuleChange("r", 1, 't > 1 where site = "a"')])
    assert set(rules.concerning("d", {"site": "a"}).rules) == {"r"}
    assert not rules.concerning("d", {"site": "b"}).rules


@given(st.permutations([("r", 1), ("r", 2), ("s", 1), ("r", 3)]))
def test_the_newest_change_counts_in_whatever_order_they_come(order: list[tuple[str, int]]) -> None:
    changes = [RuleChange(name, version, None if version == 3 else f"t > {version}") for name, version in order]
    rules = RuleSet(changes)
    assert rules.deleted == {"r": 3}
    assert {rule.condition.bound.limit for rule in rules.concerning("d", {}).rules.values()} == {1}
    assert rules.revision == 4


def test_a_rule_that_cannot_be_read_leaves_the_others_in_force() -> None:
    rules = RuleSet([RuleChange("bad", 1, "t >"), RuleChange("good", 1, "t > 1")])
    assert set(rules.concerning("d", {}).rules) == {"good"}
    assert "at character 4" in rules.unreadable["bad"]
