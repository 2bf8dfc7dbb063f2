"""Jobs as processes of their own that a test can kill."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

_PATIENCE_S = 120.0


class Job:
    """`telefold run telemetry` in a process group of its own, so that a kill takes the JVM with it."""

    def __init__(self, properties: Path) -> None:
        self._properties = properties
        self._status = properties.parent / "telemetry.status.json"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> None:
        self._status.unlink(missing_ok=True)
        command = [sys.executable, "-m", "jobs", "run", "telemetry", "--properties", str(self._properties), *options]
        with (self._properties.parent / "run.log").open("ab") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)

    def kill(self) -> None:
        """SIGKILL for the whole group, wherever it is in its work."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Ask for a clean end; its exit code."""
        assert self._process is not None
        self._process.send_signal(how)
        return self._process.wait(60)

    def end(self) -> None:
        """Leave nothing running, whatever state a failed test left."""
        if self._process is not None and self._process.poll() is None:
            self.kill()

    def wait(self) -> int:
        """Its exit code once it ends by itself."""
        assert self._process is not None
        return self._process.wait(_PATIENCE_S)

    def status(self) -> dict[str, Any]:
        """The last progress it wrote in this run; counts are zero before that."""
        try:
            return dict(msgspec.json.decode(self._status.read_bytes()))
        except FileNotFoundError:
            return {"events_in": 0, "rows_written": 0, "behind_ms": 0, "checkpoint": None}

    def await_events(self, count: int) -> None:
        self._await(lambda status: status["events_in"] >= count, f"{count} events")

    def await_checkpoint(self, since: float) -> None:
        """Until a checkpoint that began after `since` (epoch seconds) has completed."""
        self._await(
            lambda status: bool(status["checkpoint"]) and status["checkpoint"]["triggered_at"] > since, "a checkpoint"
        )

    def await_caught_up(self) -> None:
        """Until nothing new arrives any more and a checkpoint has covered all that did."""
        seen, since = -1, time.time()
        while time.time() - since < 3.0:
            events = self.status()["events_in"] if self.status()["checkpoint"] else -1
            if events != seen or events < 0:
                seen, since = events, time.time()
            self._check_alive()
            time.sleep(0.2)
        self.await_checkpoint(time.time())

    def _await(self, condition: Any, what: str) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while not condition(self.status()):
            self._check_alive()
            assert time.monotonic() < deadline, f"no {what} within {_PATIENCE_S} s: {self.status()}\n{self.output()}"
            time.sleep(0.1)

    def _check_alive(self) -> None:
        assert self._process is not None
        assert self._process.poll() is None, f"the job ended with {self._process.returncode}:\n{self.output()}"

    def output(self) -> str:
        """What the job printed, over all its runs."""
        return (self._properties.parent / "run.log").read_text()
