"""Jobs as processes of their own that a test can kill."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from tests.support.waiting import PATIENCE_S, until


class Command:
    """`telefold` with `arguments` in a process group of its own, which it may replace by another program of ours."""

    def __init__(self, properties: Path, *arguments: str, folder: Path | None = None) -> None:
        """With `folder`, packages that lie in it take the place of ours."""
        self._folder = folder
        self._command = [sys.executable, "-m", "telefold", *arguments, "--properties", str(properties)]
        self._output = properties.parent / f"{arguments[0]}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> None:
        with self._output.open("ab") as output:
            command = [*self._command, *options]
            self._process = subprocess.Popen(
                command, stdout=output, stderr=output, start_new_session=True, cwd=self._folder
            )

    def run(self, *options: str) -> int:
        """Start it and wait for its end; the exit code."""
        self.start(*options)
        return self.wait()

    def said(self, *options: str) -> dict[str, Any]:
        """What it prints with --json; it must end well."""
        before = len(self.output())
        assert self.run("--json", *options) == 0, self.output()[before:]
        return dict(msgspec.json.decode(self.output()[before:].strip().splitlines()[-1]))

    def kill(self) -> None:
        """SIGKILL for the whole group, wherever it is in its work."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Ask for a clean end; its exit code."""
        assert self._process is not None
        self._process.send_signal(how)
        return self._process.wait(PATIENCE_S)

    def end(self) -> None:
        """Leave nothing running, whatever state a failed test left."""
        if self.is_running:
            self.kill()

    def wait(self) -> int:
        """Its exit code once it ends by itself."""
        assert self._process is not None
        return self._process.wait(PATIENCE_S)

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def output(self) -> str:
        """What it printed, over all its runs."""
        return self._output.read_text() if self._output.exists() else ""

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def await_output(self, text: str, times: int = 1) -> None:
        """Until it has printed `text`, over all its runs so often."""
        self.await_that(lambda: self.output().count(text) >= times, f"{text!r}, {times} times")

    def await_that(self, condition: Callable[[], bool], what: str) -> None:
        def look() -> bool:
            self._check_alive()
            return condition()

        until(look, told=lambda: f"no {what}:\n{self.output()}")

    def _check_alive(self) -> None:
        assert self._process is not None
        assert self.is_running, f"it ended with {self._process.returncode}:\n{self.output()}"


class Job(Command):
    """`telefold run telemetry`."""

    def __init__(self, properties: Path, folder: Path | None = None) -> None:
        super().__init__(properties, "run", "telemetry", folder=folder)
        self._status = properties.parent / "telemetry.status.json"

    def start(self, *options: str) -> None:
        self._status.unlink(missing_ok=True)
        super().start(*options)

    def status(self) -> dict[str, Any]:
        """The last progress it wrote in this run; counts are zero before that."""
        try:
            return dict(msgspec.json.decode(self._status.read_bytes()))
        except FileNotFoundError:
            counts = dict.fromkeys(("events_in", "rows_written", "behind_ms", "freshness_ms"), 0)
            return counts | {"checkpoint": None, "generation": None}

    def await_events(self, count: int) -> None:
        self._await(lambda status: status["events_in"] >= count, f"{count} events")

    def await_checkpoint(self, since: float) -> None:
        """Until a checkpoint that began after `since` (epoch seconds) has completed."""
        self._await(
            lambda status: bool(status["checkpoint"]) and status["checkpoint"]["triggered_at"] > since, "a checkpoint"
        )

    def await_generation(self, number: int) -> None:
        """Until it works on generation `number` of the views."""
        self._await(lambda status: status["generation"] == number, f"generation {number}")

    def await_caught_up(self) -> None:
        """Until all shards are read to their ends, nothing waits to be written, and a checkpoint has covered it all."""
        seen, since = -1, time.time()
        while time.time() - since < 3.0:
            status = self.status()
            is_idle = status["checkpoint"] and status["freshness_ms"] == status["behind_ms"] == 0
            events = status["events_in"] if is_idle else -1
            if events != seen or events < 0:
                seen, since = events, time.time()
            self._check_alive()
            time.sleep(0.2)
        self.await_checkpoint(time.time())

    def _await(self, condition: Callable[[dict[str, Any]], bool], what: str) -> None:
        self.await_that(lambda: condition(self.status()), f"{what} ({self.status()})")
