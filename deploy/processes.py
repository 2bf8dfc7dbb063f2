"""Programs that outlive the one that starts them: started with a log file, known again later, and ended."""

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

import msgspec
import psutil

_LOG_LINES_SHOWN = 5


class Process(msgspec.Struct, frozen=True):
    """A started program. A pid with another `created` time belongs to a stranger and is never touched."""

    name: str
    port: int
    """The port that it listens on; 0 if nobody need know."""
    pid: int
    created: float

    @classmethod
    def of(cls, name: str, pid: int, port: int = 0) -> "Process":
        """The process that has `pid` now."""
        return cls(name, port, pid, psutil.Process(pid).create_time())


def spawn(
    name: str,
    command: Sequence[str],
    log: Path,
    port: int = 0,
    variables: Mapping[str, str] = MappingProxyType({}),
    *,
    keep_log: bool = False,
) -> Process:
    """Start `command` with its output in `log`, behind what is there if `keep_log`, and `variables` on top of our own.

    It leads a session of its own, so that neither Ctrl-C nor the end of this terminal reaches it, and holds nothing of
    what we were started with: somebody may wait for the end of a pipe, or of a lock on a file.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    to_log = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if keep_log else os.O_TRUNC)
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), to_log, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
        *((os.POSIX_SPAWN_CLOSE, descriptor) for descriptor in _inheritable()),
    ]
    environment = {**os.environ, **variables}
    pid = os.posix_spawn(command[0], list(command), environment, file_actions=actions, setsid=True)
    return Process.of(name, pid, port)


def is_alive(process: Process) -> bool:
    return _find(process) is not None


def stop(process: Process, patience: float = 5.0) -> None:
    """Terminate, and kill what has not ended after `patience` seconds. Stopping a dead program does nothing."""
    for end in (psutil.Process.terminate, psutil.Process.kill):
        found = _find(process)
        if found is None:
            return
        with suppress(psutil.NoSuchProcess):
            end(found)
        _wait_until_it_ended(process, patience)


def kill_all_of(program: Path) -> None:
    """Kill every process that was started as `program`, whoever started it."""
    for process in psutil.process_iter(["cmdline"]):
        if (process.info["cmdline"] or [""])[0] == str(program):
            with suppress(psutil.NoSuchProcess):
                process.kill()


def last_lines(log: Path) -> str:
    """The end of `log`, to go behind what went wrong."""
    lines = log.read_text("utf-8", "replace").split("\n") if log.exists() else []
    shown = [line for line in lines if line.strip()][-_LOG_LINES_SHOWN:]
    return "\n".join([f"the end of {log}:", *shown]) if shown else f"{log} is empty."


def _inheritable() -> list[int]:
    found = []
    for descriptor in map(int, os.listdir("/dev/fd")):
        with suppress(OSError):  # the one that listed them is gone
            if descriptor > 2 and os.get_inheritable(descriptor):
                found.append(descriptor)
    return found


def _wait_until_it_ended(process: Process, patience: float) -> None:
    deadline = time.monotonic() + patience
    while is_alive(process) and time.monotonic() < deadline:
        time.sleep(0.02)


def _find(process: Process) -> "psutil.Process | None":
    """The running program; None once it has ended, even if whoever adopted it has not noticed."""
    try:
        found = psutil.Process(process.pid)
        if abs(found.create_time() - process.created) > 1.0:
            return None
        if found.status() != psutil.STATUS_ZOMBIE:
            return found
    except psutil.NoSuchProcess:
        return None
    with suppress(ChildProcessError):
        os.waitpid(process.pid, os.WNOHANG)
    return None
