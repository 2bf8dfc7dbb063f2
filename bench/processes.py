"""What a process and its children take of the machine."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import psutil

_LOOK_EVERY_S = 0.2


class Usage(NamedTuple):
    """What a process that has ended took, with all its children. Resident memory is the most that they held at once."""

    exit_code: int
    cpu_seconds: float
    peak_bytes: int


def run_module(module: str, *arguments: str, standard_input: bytes, log: Path, root: Path) -> Usage:
    """Run `python -m module` to its end in `root`, whose modules Python in its JVMs finds too; it prints to `log`."""
    environment = os.environ | {"PYTHONPATH": str(root)}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            cwd=root,
            env=environment,
        )
    assert process.stdin
    with process.stdin:
        process.stdin.write(standard_input)
    peak = 0
    while True:
        ended, status, usage = os.wait4(process.pid, os.WNOHANG)
        if ended:
            process.returncode = os.waitstatus_to_exitcode(status)
            return Usage(process.returncode, usage.ru_utime + usage.ru_stime, peak)
        peak = max(peak, resident_bytes(process.pid))
        time.sleep(_LOOK_EVERY_S)


def resident_bytes(pid: int) -> int:
    """What a process and its children hold now; pages that they share count for each of them."""
    try:
        process = psutil.Process(pid)
        return sum(one.memory_info().rss for one in (process, *process.children(recursive=True)))
    except psutil.NoSuchProcess:
        return 0
