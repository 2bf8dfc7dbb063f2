"""The job sets no option of Flink that managed Flink refuses; from 2.2 on it would not start there."""

import re
from pathlib import Path

import telefold
from telefold.deploy.managed.permitted_options import PERMITTED
from telefold.jobs import entry

IN_THE_JOB = ("jobs", "edge", "operators", "connectors")
SETS = re.compile(r"\.(?:set_(?:string|integer|boolean|float)|setString|configure)\(\s*\"([a-z.-]+)\"")
CALLS = re.compile(r"\.(enable_checkpointing|get_checkpoint_config|set_parallelism|set_state_backend|get_config)\(")
OF_AN_OPERATOR = {"python.fn-execution.bundle.time"}
"""Set in the settings of single operators, which are none of the job's."""


def sources() -> dict[str, str]:
    root = Path(telefold.__path__[0])
    return {str(path): path.read_text("utf-8") for name in IN_THE_JOB for path in (root / name).rglob("*.py")}


def test_what_the_entry_sets_is_permitted() -> None:
    assert entry.OPTIONS.keys() <= PERMITTED
    assert "pipeline.max-parallelism" in PERMITTED  # set_max_parallelism of the environment


def test_no_other_option_is_set_by_name() -> None:
    named = {option for text in sources().values() for option in SETS.findall(text)}
    assert named <= PERMITTED | OF_AN_OPERATOR


def test_checkpoints_state_and_parallelism_are_the_applications() -> None:
    """Calls that set what the service fixes, or what its template says."""
    assert {path: CALLS.findall(text) for path, text in sources().items() if CALLS.search(text)} == {}
