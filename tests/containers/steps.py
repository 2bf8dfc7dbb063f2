"""Commands on the way to containers, each with a bound on its time."""

import os
import subprocess
from collections.abc import Callable, Sequence

Say = Callable[[str], None]
"""Told one sentence for each thing that takes a while."""


class CannotRun(Exception):
    """No container can run here; the message is one sentence that says why, and who must do what."""


def run(command: Sequence[str], patience_s: float) -> None:
    """Raises CannotRun, with the last thing it said, if it fails or takes longer."""
    try:
        done = subprocess.run(
            command,
            env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=patience_s,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        raise CannotRun(f"`{' '.join(command[:2])}` did not end within {patience_s:.0f} s.") from late
    if done.returncode:
        raise CannotRun(f"`{' '.join(command[:2])}` failed: {last_line(done.stderr or done.stdout)}")


def last_line(text: str) -> str:
    return (text.strip().splitlines() or ["without a word"])[-1]
