"""Which properties and groups there are: names that are not known, and the reference that tells all."""

import re

import pytest
from pydantic_core import PydanticUndefined

from telefold.jobs.settings import parse
from telefold.schemas.setting_values import FOREVER
from tests.support.documents import SETTINGS
from tests.support.settings_groups import DEAD_LETTER, JOB, SMALLEST, SOURCE, VIEWS, known_properties, read, the_problem


def test_a_misspelt_property_is_one_problem_even_if_it_was_needed() -> None:
    assert the_problem(VIEWS, {"redis.url": None, "redis.uri": "redis://127.0.0.1"}) == (
        "telefold.views/redis.uri: there is no such property; did you mean redis.url?"
        " (the properties are aws.region, dynamodb.endpoint, dynamodb.table, redis.secret, redis.url,"
        " retention.fast, retention.latest, retention.rollups)."
    )
    assert "did you mean stream.name?" in the_problem(SOURCE, {"stream.name": None, "stream.nane": "events"})


def test_a_property_like_no_other_gets_no_suggestion() -> None:
    assert the_problem(DEAD_LETTER, {"colour": "red"}) == (
        "telefold.dead-letter/colour: there is no such property (the properties are stream.arn, stream.name)."
    )


def test_a_misspelt_group_is_refused_with_the_nearest() -> None:
    assert the_problem("telefold.jobs", {"parallelism": "2"}) == (
        "telefold.jobs: there is no such group; did you mean telefold.job?"
        " (the groups are telefold.source, telefold.job, telefold.views, telefold.dead-letter,"
        " telefold.archive, telefold.alerts)."
    )


def test_groups_of_others_are_left_alone() -> None:
    assert parse(SMALLEST | {"kinesis.analytics.flink.run.options": {"python": "main.py"}}) == parse(SMALLEST)


def documented_properties() -> dict[str, dict[str, str]]:
    """Group -> property -> what the tables of docs/reference/settings.md say is its default."""
    groups: dict[str, dict[str, str]] = {}
    for section in re.split(r"^#+ ", SETTINGS.read_text("utf-8"), flags=re.MULTILINE):
        heading, _, body = section.partition("\n")
        if heading.startswith("telefold."):
            groups[heading.strip()] = dict(re.findall(r"^\| *([\w.-]*\w) *\| *([^|]*?) *\|", body, flags=re.MULTILINE))
            assert groups[heading.strip()].pop("property") == "default"
    return groups


def test_the_reference_names_every_property() -> None:
    documented = {group: set(keys) for group, keys in documented_properties().items()}
    assert documented == {group: set(keys) for group, keys in known_properties().items()}


@pytest.mark.parametrize("group", [SOURCE, JOB, VIEWS, DEAD_LETTER])
def test_the_reference_tells_every_default_as_it_is_written_in_the_file(group: str) -> None:
    """Where there is none, the cell is empty or says where the value comes from: "the source's", "from the ARN"."""
    known = known_properties()[group]
    told = {key: cell for key, cell in documented_properties()[group].items() if not re.match(r"$|the |from ", cell)}
    assert {key for key, cell in told.items() if cell != FOREVER} == {
        key for key, default in known.items() if default not in (None, (), PydanticUndefined)
    }
    assert read(group, told) == parse(SMALLEST)
