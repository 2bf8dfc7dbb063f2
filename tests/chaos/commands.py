"""`telefold` typed in a folder."""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

_TELEFOLD = Path(sys.executable).parent / "telefold"
_VARIABLES = {"JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1"}
"""A JVM that is killed within the minute would spend a small machine on compiling well what it never runs for long."""


class CommandFailed(Exception):
    """A command ended with an error, took too long or lost its point; the sentence is what it said last."""


def run(folder: Path, line: str, *, patience_s: float = 240.0, pointless: Callable[[], bool] = lambda: False) -> str:
    """What `telefold line` prints. It is broken off once it is `pointless`, as a person would. Raises CommandFailed."""
    with (folder / "commands.log").open("a+") as log:
        began = log.seek(0, os.SEEK_END)
        process = subprocess.Popen(
            [str(_TELEFOLD), *shlex.split(line)],
            cwd=folder,
            env={**os.environ, **_VARIABLES},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        code = _wait(process, time.monotonic() + patience_s, pointless)
        log.seek(began)
        said = log.read()
    if code:
        raise CommandFailed(f"`telefold {line}`: {(said.strip().splitlines() or ['broken off'])[-1]}")
    return said


def _wait(process: "subprocess.Popen[bytes]", deadline: float, pointless: Callable[[], bool]) -> int:
    try:
        while (code := process.poll()) is None:
            if time.monotonic() > deadline or pointless():
                return 1
            time.sleep(0.1)
        return code
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
