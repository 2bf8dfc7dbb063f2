"""A lock that admits one run of a job in one folder: two would take each other's checkpoints for their own."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from telefold.schemas.errors import JobError


@contextmanager
def only_run(lock: Path, job: str) -> Iterator[None]:
    """Hold `lock` to the end of the block or of the process, however it ends; raises JobError if another one does."""
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise JobError(
                f"The job {job} already runs with the properties in {lock.parent}: stop it first, or use --properties."
            ) from None
        yield


def is_held(lock: Path) -> bool:
    """Whether a process holds `lock` now."""
    if not lock.exists():
        return False
    try:
        with only_run(lock, ""):
            return False
    except JobError:
        return True
