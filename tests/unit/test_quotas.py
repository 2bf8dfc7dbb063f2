"""What managed Flink would refuse of a properties file: one sentence each, which says what to change."""

import re

import pytest

from telefold.deploy.package.packaging import EXAMPLE_PROPERTIES
from telefold.deploy.package.quotas import MAX_CHARS, MAX_GROUPS, MAX_KEYS, Groups, problems
from telefold.jobs.properties_file import read_groups

WHAT_TO_DO = re.compile(r": (remove|rename|change) [^:\n]+\.$")


def test_the_example_fits() -> None:
    assert problems(read_groups(EXAMPLE_PROPERTIES)) == []


def test_what_just_fits_is_taken() -> None:
    largest = {f"{number}".zfill(MAX_CHARS): "v" * MAX_CHARS for number in range(MAX_KEYS)}
    groups = {f"group-{number}_.".ljust(50, "x"): largest for number in range(MAX_GROUPS)}
    assert problems(groups) == []


@pytest.mark.parametrize(
    ("groups", "told"),
    [
        ({f"g{number}": {"k": "v"} for number in range(51)}, "There are 51 property groups and managed Flink takes 50"),
        ({"g": {f"k{number}": "v" for number in range(51)}}, "g: there are 51 properties and managed Flink takes 50"),
        ({"a group": {"k": "v"}}, "a group: managed Flink takes group ids of 1 to 50 letters, digits"),
        ({"g" * 51: {"k": "v"}}, "g" * 51 + ": managed Flink takes group ids of 1 to 50 letters"),
        ({"g": {}}, "g: managed Flink takes no empty group"),
        ({"g": {"k" * 2_049: "v"}}, "g/" + "k" * 60 + "...: the key has 2049 characters"),
        ({"g": {"k": "v" * 2_049}}, "g/k: the value has 2049 characters and managed Flink takes 1 to 2048"),
        ({"g": {"k": ""}}, "g/k: the value has 0 characters"),
    ],
)
def test_what_does_not_fit_gets_one_sentence(groups: Groups, told: str) -> None:
    (problem,) = problems(groups)
    assert problem.startswith(told)
    assert WHAT_TO_DO.search(problem)


def test_everything_is_told_at_once() -> None:
    assert len(problems({"a b": {"k": ""}, "g": {"k" * 3_000: "v" * 3_000}})) == 4
