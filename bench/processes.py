"""What a process and its children take of the machine."""

import os
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

import psutil

_LOOK_EVERY_S = 0.2


class Usage(NamedTuple):
    """How a process ended, and the most resident memory that it and its children held at once."""

    exit_code: int
    peak_bytes: int


def run_module(python: str, module: str, *arguments: str, standard_input: bytes, log: Path, root: Path) -> Usage:
    """Run `python -m module` to its end in `root`, whose modules Python in its JVMs finds too; it prints to `log`."""
    environment = os.environ | {"PYTHONPATH": str(root)}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [python, "-m", module, *arguments],
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
    while (exit_code := process.poll()) is None:
        peak = max(peak, resident_bytes(process.pid))
        time.sleep(_LOOK_EVERY_S)
    return Usage(exit_code, peak)


def resident_bytes(pid: int) -> int:
    """What a process and its children hold now; pages that they share count for each of them."""
    try:
        process = psutil.Process(pid)
        return sum(one.memory_info().rss for one in (process, *process.children(recursive=True)))
    except psutil.NoSuchProcess:
        return 0
