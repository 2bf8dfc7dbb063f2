"""The parts of a run that need no cluster."""

import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from telefold.deploy.cluster import processes
from telefold.deploy.cluster.config import Paths
from telefold.deploy.cluster.processes import Processes
from telefold.deploy.processes import spawn, stop
from tests.chaos import commands
from tests.chaos.commands import CommandFailed
from tests.chaos.recovery import Checkpoint, Recoveries, last_checkpoint, newest
from tests.chaos.schedule import Failure
from tests.chaos.system import System


@pytest.fixture
def system(tmp_path: Path) -> System:
    system = System(tmp_path)
    system.paths = Paths.below(tmp_path)
    system.rest_port = 1
    return system


def test_a_command_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match=r"^`telefold cluster status`: .*cluster up"):
        commands.run(tmp_path, "cluster status")


def test_a_command_that_has_lost_its_point_is_broken_off(tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(CommandFailed, match="broken off"):
        commands.run(tmp_path, "local up", pointless=lambda: True)
    assert time.monotonic() - began < 5


def test_checkpoints_move_and_come_back(system: System) -> None:
    metadata = system.paths.checkpoints / "telemetry" / "job" / "chk-7" / "_metadata"
    metadata.parent.mkdir(parents=True)
    metadata.touch()
    with system.checkpoints_moved():
        assert not metadata.exists()
        with pytest.raises(OSError, match="Not a directory"):
            (metadata.parents[1] / "chk-8").mkdir(parents=True)
    assert metadata.exists()
    assert len(list(system.paths.checkpoints.glob("*/*"))) == 1


def test_workers_are_the_last_of_the_pythons_below_a_task_manager(system: System, tmp_path: Path) -> None:
    child = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"
    above = spawn("task-manager-1", [sys.executable, "-c", child], tmp_path / "log")
    processes._save(system.paths, Processes(above, 0, (above,)))
    try:
        deadline = time.monotonic() + 10
        while not (workers := system.workers()) and time.monotonic() < deadline:
            time.sleep(0.05)
        (worker,) = workers
        system.kill(worker)
        while worker.is_running() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert system.workers() == []
        assert worker.pid not in (above.pid, os.getpid())
    finally:
        stop(above)


def test_a_job_recovers_with_a_checkpoint_that_began_afterwards(system: System) -> None:
    said: list[str] = []
    recoveries = Recoveries(system, said.append)
    recoveries.struck(Failure.TASK_MANAGER_KILLED)
    now = time.time()
    recoveries._note(Checkpoint(triggered=now - 1, completed=now + 1))
    assert not recoveries.await_all(0.0)
    recoveries._note(Checkpoint(triggered=now + 5, completed=now + 6))
    assert recoveries.await_all(0.0)
    (done,) = recoveries.done
    assert (done.failure, done.disturbed, round(done.seconds)) == (Failure.TASK_MANAGER_KILLED, False, 6)
    assert said == ["recovered from TaskManager killed 6.0 s after it"]


def test_kills_before_a_recovery_disturb_each_other(system: System) -> None:
    recoveries = Recoveries(system, lambda line: None)
    recoveries.struck(Failure.TASK_MANAGER_KILLED)
    recoveries.struck(Failure.WORKER_KILLED)
    recoveries._note(Checkpoint(time.time() + 1, time.time() + 2))
    assert [one.disturbed for one in recoveries.done] == [True, True]


def test_with_nobody_to_ask_there_is_no_checkpoint(system: System) -> None:
    assert last_checkpoint(system) is None


def _statistics(completed: int | None, savepoint: int | None) -> dict[str, Any]:
    """As Flink has them, in epoch milliseconds: each complete a second after it began."""
    both = {"completed": completed, "savepoint": savepoint, "failed": None, "restored": None}
    return {
        "latest": {
            kind: None if began is None else {"trigger_timestamp": began, "latest_ack_timestamp": began + 1000}
            for kind, began in both.items()
        }
    }


def test_the_savepoint_by_which_a_job_was_rescaled_is_the_newest_until_the_next_one_has_its_own() -> None:
    ended = _statistics(completed=2_000, savepoint=4_000)
    assert newest([ended, _statistics(None, None)]) == Checkpoint(4.0, 5.0)
    assert newest([ended, _statistics(6_000, None)]) == Checkpoint(6.0, 7.0)
    assert newest([_statistics(None, None)]) is None
    assert newest([]) is None
