"""The job's plan is part of its contract: saved state fits only the operators that wrote it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

GOLDEN = Path(__file__).parents[1] / "golden" / "telemetry.plan.json"


@pytest.fixture(scope="module")
def operators(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "tests.support.plan", str(tmp_path_factory.mktemp("plan"))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=GOLDEN.parents[2])
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout)["operators"])


def test_there_is_one_source_and_one_aggregate_a_rollup_size(operators: list[dict[str, Any]]) -> None:
    names = [operator["name"] for operator in operators]
    assert sum(not operator["inputs"] for operator in operators) == 1
    assert sum(name == "deduplicate" for name in names) == 1
    assert sum("GroupAggregate" in name for name in names) == 2


def test_every_operator_has_a_fixed_uid(operators: list[dict[str, Any]]) -> None:
    stateful = {"events", "deduplicate", "dead-letter-stream", "view-writer"}
    assert stateful <= {operator["uid"] for operator in operators}
    aggregates = [operator["uid"] for operator in operators if "GroupAggregate" in operator["name"]]
    assert None not in aggregates
    assert len(set(aggregates)) == len(aggregates)


def test_the_plan_is_the_recorded_one(operators: list[dict[str, Any]]) -> None:
    """When this fails, saved state no longer fits: say so in the CHANGELOG, then record the new plan in its place."""
    assert operators == json.loads(GOLDEN.read_text("utf-8"))
