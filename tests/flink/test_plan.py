"""The job's plan is part of its contract: saved state fits only the operators that wrote it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from telefold.jobs.telemetry import KEY_GROUPS
from telefold.operators.settings import JobSettings
from tests.support.waiting import PATIENCE_S

GOLDEN = Path(__file__).parents[1] / "golden" / "telemetry.plan.json"


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.support.plan", str(tmp_path_factory.mktemp("plan"))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, cwd=GOLDEN.parents[2])
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.fixture(scope="module")
def operators(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return list(plan["operators"])


def test_one_source_and_one_keyed_operator_do_it_all(operators: list[dict[str, Any]]) -> None:
    assert [operator["name"] for operator in operators if not operator["inputs"]] == ["Source: events"]
    shuffled = [operator for operator in operators if any(edge.endswith(" HASH") for edge in operator["inputs"])]
    assert [(operator["name"], operator["inputs"]) for operator in shuffled] == [("fold", ["valid HASH"])]
    assert [operator["name"] for operator in operators if "fold FORWARD" in operator["inputs"]] == [
        "fold-packed",
        "dead-letters",
    ]


def test_no_sql_is_planned(operators: list[dict[str, Any]]) -> None:
    """Operators of SQL are numbered by the planner."""
    assert not [operator["name"] for operator in operators if "[" in operator["name"] or "Table" in operator["name"]]


def test_every_operator_has_a_fixed_uid(operators: list[dict[str, Any]]) -> None:
    uids = [operator["uid"] for operator in operators]
    assert None not in uids
    assert len(set(uids)) == len(uids)
    assert {"events-source", "fold-latest-1m-1h", "dead-letter-sink", "view-writer"} <= set(uids)


def test_the_plan_is_the_recorded_one(operators: list[dict[str, Any]]) -> None:
    """When this fails, saved state no longer fits: say so in the CHANGELOG, then record the new plan in its place."""
    assert operators == json.loads(GOLDEN.read_text("utf-8"))


def test_a_time_zone_that_java_lacks_is_named_with_its_setting(plan: dict[str, Any]) -> None:
    (problem,) = plan["refused"]
    assert problem.startswith("telefold.job/rollup.sizes: ")
    assert "1d@Europe/Atlantis" in problem


def test_keyed_state_has_as_many_parts_whatever_the_parallelism(plan: dict[str, Any]) -> None:
    """This job begins with two tasks, of which Flink's own choice would be 128 parts and no task more."""
    assert plan["key_groups"] == {"fold": KEY_GROUPS}
    most = max(bound.le for bound in JobSettings.model_fields["parallelism"].metadata if hasattr(bound, "le"))
    assert most <= KEY_GROUPS
