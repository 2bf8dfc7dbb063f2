"""Programs that outlive the one that starts them."""

import os
import select
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from telefold.deploy.processes import Process, is_alive, kill_all_of, last_lines, spawn, stop
from tests.support.waiting import until

SHELL = "/bin/sh"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "logs" / "program.log"


@pytest.fixture
def sleeper(log: Path) -> Iterator[Process]:
    process = spawn("sleeper", [SHELL, "-c", "echo begun; exec sleep 60"], log)
    yield process
    stop(process)


def ended(process: Process) -> None:
    until(lambda: not is_alive(process), every_s=0.01)


def test_it_runs_until_it_is_stopped(sleeper: Process) -> None:
    assert is_alive(sleeper)
    assert os.getsid(sleeper.pid) == sleeper.pid
    stop(sleeper)
    assert not is_alive(sleeper)
    stop(sleeper)


def test_a_stranger_of_its_pid_is_not_touched(sleeper: Process) -> None:
    stranger = Process(sleeper.name, 0, sleeper.pid, sleeper.created - 100)
    assert not is_alive(stranger)
    stop(stranger)
    assert is_alive(sleeper)


def test_its_output_is_in_its_log_anew_or_behind_what_is_there(log: Path) -> None:
    for text, keep_log in (("one", False), ("two", False), ("three", True)):
        ended(spawn("echo", [SHELL, "-c", f"echo {text}; echo {text} >&2"], log, keep_log=keep_log))
    assert log.read_text() == "two\ntwo\nthree\nthree\n"
    assert last_lines(log) == f"the end of {log}:\ntwo\ntwo\nthree\nthree"


def test_variables_come_on_top_of_ours(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OURS", "1")
    monkeypatch.setenv("BOTH", "1")
    ended(spawn("echo", [SHELL, "-c", "echo $OURS $BOTH"], log, variables={"BOTH": "2"}))
    assert log.read_text() == "1 2\n"


def test_it_holds_no_pipe_that_we_were_started_with(log: Path) -> None:
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    process = spawn("sleeper", [SHELL, "-c", "exec sleep 60"], log)
    os.close(writing)
    try:
        assert select.select([reading], [], [], 5)[0] == [reading]
        assert os.read(reading, 1) == b""
        assert is_alive(process)
    finally:
        os.close(reading)
        stop(process)


def test_all_that_run_a_program_are_killed_and_nobody_else(tmp_path: Path, log: Path, sleeper: Process) -> None:
    program = tmp_path / "sleep"
    program.symlink_to(shutil.which("sleep") or "")
    strays = [spawn("stray", [str(program), "60"], log) for _ in range(2)]
    kill_all_of(program)
    for stray in strays:
        ended(stray)
    assert is_alive(sleeper)
