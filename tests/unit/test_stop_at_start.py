"""Asked to stop while a job is being started, a process ends soon, in silence, wherever it was."""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from telefold.deploy.minicluster.runner import Asked, Stop
from tests.support.properties import set_properties
from tests.support.waiting import PATIENCE_S, until

GROUPS = {
    "telefold.source": {"stream.name": "telemetry", "aws.region": "us-east-1", "aws.endpoint": "http://127.0.0.1:1"},
    "telefold.views": {"dynamodb.table": "views", "redis.url": "redis://127.0.0.1:2"},
    "telefold.dead-letter": {"stream.name": "dead"},
}
STARTER = """
import sys
from pathlib import Path
from telefold.deploy.minicluster import runner
from telefold.deploy.minicluster.environment import Paths
from telefold.jobs import settings

folder = Path(sys.argv[1])
paths = Paths.below(folder, "telemetry", "telemetry")
loaded = settings.load(folder / "application_properties.json")
print(runner.run(loaded, paths, None, print, print, print).ending.name, flush=True)
"""


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Nothing of this process stays as the tests make it."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)
    logging.disable(logging.NOTSET)


def ask(stop: Stop) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    while not stop.asked:
        time.sleep(0)


def start(stop: Stop, *steps: Callable[[], object]) -> None:
    with stop.interrupting():
        for step in steps:
            step()


def unreachable() -> None:
    raise AssertionError("it went on")


class Careless:
    """Loses what is raised while it is finalized, as all objects do."""

    def __init__(self, stop: Stop) -> None:
        self._stop = stop

    def __del__(self) -> None:
        ask(self._stop)


def test_a_block_is_left_where_it_is() -> None:
    stop = Stop()
    with pytest.raises(Asked):
        start(stop, lambda: ask(stop), unreachable)


def test_a_block_is_left_and_nothing_is_told_though_the_exception_is_lost(capfd: pytest.CaptureFixture[str]) -> None:
    stop = Stop()
    with pytest.raises(Asked):
        start(stop, lambda: Careless(stop), lambda: time.sleep(30), unreachable)
    assert capfd.readouterr().err == ""


def test_what_fails_when_it_is_cut_off_is_no_failure() -> None:
    stop = Stop()

    def call() -> None:
        try:
            ask(stop)
        finally:
            raise ConnectionResetError

    with pytest.raises(Asked):
        start(stop, call)


def test_what_fails_by_itself_is_a_failure() -> None:
    stop = Stop()
    with pytest.raises(ConnectionResetError), stop.interrupting():
        raise ConnectionResetError
    assert not stop.asked


def test_behind_the_block_nothing_is_cut_off_and_who_asks_twice_is_in_a_hurry() -> None:
    stop = Stop()
    with stop.interrupting():
        pass
    ask(stop)
    with pytest.raises(SystemExit) as ended:
        os.kill(os.getpid(), signal.SIGTERM)
    assert ended.value.code == 143


@pytest.mark.parametrize("whole_group", [False, True], ids=["the process", "its group"])
def test_a_process_whose_jvm_is_starting_ends_within_seconds_without_a_traceback(
    tmp_path: Path, whole_group: bool
) -> None:
    (tmp_path / "application_properties.json").write_text("[]")
    set_properties(tmp_path / "application_properties.json", GROUPS)
    java = tmp_path / "jdk" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\nexec sleep 60\n")
    java.chmod(0o755)
    process = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(tmp_path)],
        env={
            **os.environ,
            "JAVA_HOME": str(tmp_path / "jdk"),
            "PATH": f"{java.parent}{os.pathsep}{os.environ['PATH']}",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )

    def has_started() -> bool:
        assert process.poll() is None, process.communicate()[0]
        return (tmp_path / "started").exists()

    until(has_started)
    (os.killpg if whole_group else os.kill)(process.pid, signal.SIGTERM)
    said, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    assert said.splitlines()[-1] == "ASKED"
    assert "Traceback" not in said
