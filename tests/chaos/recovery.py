"""How long the job took to recover: until a checkpoint that began after the failure, or after its end, is complete.

A savepoint is one too. Barriers flow through every task, so by then events do, and nothing that was read before can be
lost any more.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from statistics import median
from typing import Any, NamedTuple, Self

from telefold.deploy.flink_rest import call
from telefold.schemas.errors import TelefoldError
from tests.chaos.schedule import KILLS, Failure
from tests.chaos.system import System

_LOOK_EVERY_S = 0.5


class Recovery(NamedTuple):
    failure: Failure
    began: float
    """Epoch seconds, as all times here."""
    seconds: float
    disturbed: bool
    """Whether something else failed meanwhile, or had before and was not recovered from."""


class _Open(NamedTuple):
    """What the job has yet to recover from."""

    failure: Failure
    began: float
    over: float
    """A checkpoint that begins later proves that the job has recovered."""


class Checkpoint(NamedTuple):
    triggered: float
    completed: float


class Recoveries:
    """Watches the job's checkpoints within a `with` block; `done` are the recoveries so far, in their order."""

    def __init__(self, system: System, say: Callable[[str], None]) -> None:
        self._system = system
        self._say = say
        self._end = threading.Event()
        self._lock = threading.Lock()
        self._open: list[_Open] = []
        self._disturbed: set[_Open] = set()
        self._thread = threading.Thread(target=self._watch)
        self.done: list[Recovery] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def struck(self, failure: Failure, began: float | None = None) -> None:
        """From now on the job has to recover from `failure`, which began now unless told otherwise."""
        now = time.time()
        with self._lock:
            self._open.append(_Open(failure, now if began is None else began, now))
            if len(self._open) > 1:
                self._disturbed.update(self._open)

    def await_all(self, patience_s: float) -> bool:
        """Whether the job recovered from everything in time."""
        deadline = time.monotonic() + patience_s
        while self._open and time.monotonic() < deadline:
            time.sleep(_LOOK_EVERY_S)
        return not self._open

    def _watch(self) -> None:
        while not self._end.wait(_LOOK_EVERY_S):
            if (checkpoint := last_checkpoint(self._system)) is not None:
                self._note(checkpoint)

    def _note(self, checkpoint: Checkpoint) -> None:
        with self._lock:
            recovered = [one for one in self._open if checkpoint.triggered > one.over]
            self._open = [one for one in self._open if one not in recovered]
        for one in recovered:
            seconds = checkpoint.completed - one.began
            self.done.append(Recovery(one.failure, one.began, seconds, one in self._disturbed))
            self._say(f"recovered from {one.failure} {seconds:.1f} s after it")


def last_checkpoint(system: System) -> Checkpoint | None:
    """The newest complete one; None while there is none, or nobody to ask."""
    with suppress(OSError, TelefoldError, KeyError):
        return newest([call("GET", f"{system.api.address}/jobs/{job}/checkpoints") for job in _newest_jobs(system)])
    return None


def _newest_jobs(system: System) -> list[str]:
    """The one that runs, and the one that it may have been rescaled from."""
    jobs = call("GET", f"{system.api.address}/jobs/overview")["jobs"]
    return [job["jid"] for job in sorted(jobs, key=lambda job: job["start-time"])[-2:]]


def newest(of_jobs: Sequence[Any]) -> Checkpoint | None:
    """That one of the checkpoints and savepoints that began last; `of_jobs` is what Flink says of each job's."""
    return max((one for job in of_jobs for one in _complete(job)), default=None)


def _complete(job: Any) -> Iterator[Checkpoint]:
    for kind in ("completed", "savepoint"):
        if found := job["latest"][kind]:
            yield Checkpoint(found["trigger_timestamp"] / 1000, found["latest_ack_timestamp"] / 1000)


def summary(recoveries: Sequence[Recovery]) -> list[str]:
    """A line for each kind of failure, the kills first, then two for all kills."""
    kinds = sorted({one.failure for one in recoveries}, key=lambda kind: (kind not in KILLS, kind))
    lines = [_line(str(kind), [one for one in recoveries if one.failure is kind]) for kind in kinds]
    kills = [one for one in recoveries if one.failure in KILLS]
    return [
        *lines,
        _line("All kills", kills),
        _line("All kills while nothing else failed", [one for one in kills if not one.disturbed]),
    ]


def _line(what: str, recoveries: Sequence[Recovery]) -> str:
    if not recoveries:
        return f"{what}: none"
    times = [one.seconds for one in recoveries]
    return f"{what}: {len(times)}, median {median(times):.1f} s, worst {max(times):.1f} s"
