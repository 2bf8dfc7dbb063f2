"""A Python worker ends with its TaskManager, however that ends, and with the process that it was started by."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.support.waiting import PATIENCE_S

_WORKER = """
import time
from telefold.edge.worker import end_with_task_manager
end_with_task_manager(0.1)
print("up", flush=True)
time.sleep(60)
"""
_STARTER = """
import subprocess, sys, time
subprocess.run(["sh", "-c", '"$0" -c "$1" | cat', *sys.argv[1:]])
time.sleep(60)
"""


@contextmanager
def started(folder: Path, name: str) -> "Iterator[tuple[subprocess.Popen[str], psutil.Process]]":
    """A program of that `name`, and the worker that it has started through a shell, as Flink does."""
    program = folder / name
    program.symlink_to(sys.executable)
    command = [str(program), "-c", _STARTER, sys.executable, _WORKER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        below = psutil.Process(process.pid).children(recursive=True)
        (worker,) = (one for one in below if one.name().startswith("python"))
        try:
            yield process, worker
        finally:
            for one in below:
                if one.is_running():
                    one.kill()
            process.kill()


def test_it_ends_when_the_jvm_was_killed(tmp_path: Path) -> None:
    with started(tmp_path, "java") as (jvm, worker):
        time.sleep(0.3)
        assert worker.is_running()
        jvm.kill()
        jvm.wait()
        assert psutil.wait_procs([worker], timeout=PATIENCE_S)[1] == []


def test_it_ends_when_what_the_jvm_started_it_by_was_killed(tmp_path: Path) -> None:
    """As Flink does once the job has ended: the TaskManager goes on."""
    with started(tmp_path, "java") as (jvm, worker):
        time.sleep(0.3)
        shell = worker.parent()
        assert shell is not None
        shell.kill()
        assert psutil.wait_procs([worker], timeout=PATIENCE_S)[1] == []
        assert jvm.poll() is None


def test_a_process_without_a_jvm_above_it_watches_nothing(tmp_path: Path) -> None:
    with started(tmp_path, "flink") as (program, worker):
        program.kill()
        program.wait()
        time.sleep(0.5)
        assert worker.is_running()
