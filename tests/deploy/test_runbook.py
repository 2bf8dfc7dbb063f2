"""The alarms of the templates, and what the runbook says of each."""

import json
import re
from typing import Any

import pytest

from telefold.deploy.managed import health
from tests.support.aws.environments import application
from tests.support.documents import RUNBOOK


def alarms() -> dict[str, dict[str, Any]]:
    resources = application().resources
    return {name: one["Properties"] for name, one in resources.items() if one["Type"] == "AWS::CloudWatch::Alarm"}


@pytest.mark.parametrize("name", alarms())
def test_an_alarm_has_a_heading_in_the_runbook_and_points_to_it(name: str) -> None:
    headings = re.findall(r"^### (\w+)$", RUNBOOK.read_text("utf-8"), re.MULTILINE)
    assert headings.count(name) == 1
    alarm = alarms()[name]
    assert alarm["AlarmName"] == f"telefold-dev-{name}"
    assert alarm["AlarmDescription"].strip().endswith(f"See docs/how-to/runbook.md, {name}.")
    assert alarm["AlarmActions"] == alarm["OKActions"] == ["id-of-Alarms"]


RESTARTS = {"FLINK-1_20": "fullRestarts", "FLINK-2_2": "numRestarts"}
"""The metric of restarts by runtime: a reader of another one would see none for ever."""


def test_restarts_are_read_where_the_runtime_publishes_them() -> None:
    runtime = application().resources["Application"]["Properties"]["RuntimeEnvironment"]
    readers = [alarms()["JobRestarts"], application().resources["Dashboard"], health._METRICS]
    for reader in readers:
        named = {name for name in RESTARTS.values() if name in json.dumps(reader)}
        assert named == {RESTARTS[runtime]}


def test_a_job_that_does_not_run_is_told_by_what_the_runtime_keeps() -> None:
    """2.2 deprecates `downtime`; one that says nothing of itself is down, too."""
    alarm = alarms()["JobDown"]
    assert (alarm["MetricName"], alarm["Statistic"], alarm["Threshold"]) == ("runningTime", "Minimum", 0)
    assert (alarm["ComparisonOperator"], alarm["TreatMissingData"]) == ("LessThanOrEqualToThreshold", "breaching")


@pytest.mark.parametrize(
    ("name", "metric", "percent"),
    [("MemoryHigh", "containerMemoryUtilization", 85), ("DiskHigh", "containerDiskUtilization", 75)],
)
def test_an_alarm_watches_the_whole_container(name: str, metric: str, percent: int) -> None:
    """Python and RocksDB live outside the heap."""
    alarm = alarms()[name]
    assert (alarm["MetricName"], alarm["Statistic"], alarm["Threshold"]) == (metric, "Maximum", percent)
    assert alarm["Dimensions"] == [{"Name": "Application", "Value": "telefold-dev"}]


def test_the_runbook_has_no_alarm_that_is_not_there() -> None:
    headings = re.findall(r"^### (\w+)$", RUNBOOK.read_text("utf-8"), re.MULTILINE)
    assert set(headings) == set(alarms())


def test_each_alarm_of_the_runbook_says_what_to_do() -> None:
    for section in re.split(r"^### ", RUNBOOK.read_text("utf-8"), flags=re.MULTILINE)[1:]:
        assert all(f"**{part}**" in section for part in ("Means", "Look", "Do")), section.splitlines()[0]


def test_the_dashboard_shows_every_alarm() -> None:
    body = json.loads(application().resources["Dashboard"]["Properties"]["DashboardBody"])
    (shown,) = [widget["properties"]["alarms"] for widget in body["widgets"] if widget["type"] == "alarm"]
    assert len(shown) == len(alarms())
    assert all(widget["width"] <= 24 for widget in body["widgets"])
