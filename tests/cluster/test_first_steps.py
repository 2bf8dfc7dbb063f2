"""Every command of the first steps, as a newcomer would type it: in this order, in an empty folder."""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from telefold.cli.run import read_status
from telefold.deploy.local import servers
from telefold.deploy.local.stack import DEFAULT_PORTS
from tests.support.documents import FIRST_STEPS, READ_VIEWS, ROOT, SEND_EVENTS, commands, programs
from tests.support.waiting import PATIENCE_S, until

SERVER_NAMES = ("kinesis", "dynamodb", "redis")
BIN = Path(sys.executable).parent


class Shell:
    """Runs commands in `folder`; `telefold run` in the background, to the end of the test at most."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.job: subprocess.Popen[str] | None = None

    def run(self, command: list[str]) -> str:
        environment = os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
        if command[:2] == ["telefold", "run"]:
            self.job = subprocess.Popen(command, stderr=subprocess.PIPE, cwd=self.folder, env=environment, text=True)
            self.await_views()
            return ""
        done = subprocess.run(
            command, capture_output=True, timeout=PATIENCE_S, cwd=self.folder, env=environment, text=True
        )
        assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}{done.stderr}"
        return done.stdout

    def run_programs(self, page: Path, ports: dict[str, int], *show: str) -> list[Any]:
        """Run what is printed there, but for the ports, in the checkout; the values of `show`, one of each program.

        A program that has none defines what the others call.
        """
        values, printed = [], programs(page)
        defined, printed = printed[: len(printed) - len(show)], printed[len(printed) - len(show) :]
        for program, name in zip(printed, show, strict=True):
            program = "\n".join([*defined, program])
            for server, default in DEFAULT_PORTS._asdict().items():
                program = program.replace(str(default), str(ports[server]))
            program += f"\nprint(json.dumps({name}, default=str))"
            command = [sys.executable, "-c", f"import json\n{program}"]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{program}\n{done.stderr}"
            values.append(msgspec.json.decode(done.stdout))
        return values

    def stop_job(self) -> str:
        assert self.job is not None
        self.job.send_signal(signal.SIGINT)
        _, said = self.job.communicate(timeout=PATIENCE_S)
        assert self.job.returncode == 0, said
        return str(said)

    def await_views(self, generation: int = 1) -> None:
        """Wait until the job has taken a checkpoint of that generation of the views."""

        def status() -> dict[str, Any]:
            assert self.job is not None
            assert self.job.poll() is None, self.job.stderr and self.job.stderr.read()
            return read_status(self.folder / ".telefold" / "telemetry.status.json")

        until(status, lambda found: found.get("checkpoint") and found["generation"] == generation)


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path)
    yield shell
    if shell.job is not None and shell.job.poll() is None:
        shell.job.kill()
        shell.job.wait()
    subprocess.run([BIN / "telefold", "local", "down"], cwd=tmp_path, capture_output=True, check=False)


def test_the_commands_of_the_first_steps_work(shell: Shell) -> None:
    printed = {}
    ports = {name: servers.free_port() for name in SERVER_NAMES}
    for command in commands(FIRST_STEPS):
        if command == ["telefold", "local", "up"]:
            command = [*command, *(f"--{name}-port={port}" for name, port in ports.items())]
        if command == ["telefold", "local", "status"]:
            assert "goes on" in shell.stop_job()
        printed[shlex.join(command[:3])] = shell.run(command)
        if command[-1] == "--rollback":
            shell.await_views()  # the job has begun anew
        if command[:2] == ["telefold", "run"]:
            shell.run_programs(SEND_EVENTS, ports, "schema")
        if command == ["telefold", "rebuild"]:
            in_dynamodb, in_redis = shell.run_programs(READ_VIEWS, ports, "rows", "[value, rows]")
            assert len(in_dynamodb) == 1, "what was rebuilt is read under its new name"
            assert in_dynamodb[0][1:3] == [1, 61.5]
            assert (in_redis[0][:2], in_redis[1]) == ([1, 61.5], in_dynamodb)
    assert len(printed) >= 7
    assert "temperature" in printed["telefold query device"]
    assert "temperature" in printed["telefold query latest"]
    rows = msgspec.json.decode(printed["telefold query rollups"])["rows"]
    assert all({"sort", "version", "data", "expires_at", "behind_ms"} == row.keys() for row in rows)
    assert "bad_header" in printed["telefold dead-letters list"]
    assert not list((shell.folder / ".telefold").glob("**/*.pid"))
