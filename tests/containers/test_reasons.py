"""Where containers cannot run, one sentence says why."""

import sys
from pathlib import Path

import pytest

from telefold.deploy.local import servers
from tests.containers import engine
from tests.containers.steps import CannotRun, run


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """All that is on the PATH, and no Docker engine answers."""
    monkeypatch.setenv("DOCKER_HOST", f"tcp://{servers.HOST}:{servers.free_port()}")
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def why(own: bool) -> str:
    with pytest.raises(CannotRun) as caught, engine.running(own, lambda sentence: None):
        pass
    return str(caught.value)


def provide(folder: Path, name: str, script: str = "") -> None:
    program = folder / name
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def test_no_engine_answers(programs: Path) -> None:
    assert "make test-containers OWN_ENGINE=1" in why(own=False)


def test_an_engine_cannot_be_installed(programs: Path) -> None:
    assert "docker.io and mmdebstrap can only be installed by root" in why(own=True)


def test_what_is_there_is_not_installed(programs: Path) -> None:
    provide(programs, "dockerd")
    assert "answers, and mmdebstrap can only" in why(own=True)


def test_an_engine_does_not_start(programs: Path) -> None:
    provide(programs, "mmdebstrap")
    provide(programs, "dockerd", "echo starting; echo no permission to mount >&2; exit 1")
    assert why(own=True) == "A Docker engine does not start on this machine: no permission to mount"


def test_a_step_that_fails_is_named_with_the_last_thing_it_said() -> None:
    with pytest.raises(CannotRun, match="`/bin/sh -c` failed: for want of a nail"):
        run(["/bin/sh", "-c", "echo; echo for want of a nail >&2; exit 3"], patience_s=10)


def test_a_step_that_takes_too_long_is_ended() -> None:
    with pytest.raises(CannotRun, match="did not end within 0 s"):
        run([sys.executable, "-c", "import time; time.sleep(60)"], patience_s=0.1)
