"""What every contender is given, what it gives back, and the store that it writes to."""

import ctypes
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import msgspec
import psutil

from bench.log import Inputs
from telefold.connectors.memory import MemoryViews
from telefold.jobs import settings
from telefold.schemas.view_rows import ViewRow, ViewUpdate
from telefold.schemas.view_stores import WriteResult
from telefold.views.packed_reader import PackedReader

_PR_SET_CHILD_SUBREAPER = 36

ROOT = Path(__file__).parents[2]
"""What Python that runs in the JVM must have on its path to find the modules of this checkout."""


SETTINGS = settings.parse(
    {
        "telefold.source": {"stream.name": "unused", "aws.region": "us-east-1"},
        "telefold.views": {"dynamodb.table": "unused", "redis.url": "redis://127.0.0.1:1"},
        "telefold.dead-letter": {"stream.name": "unused-too"},
    }
)
"""The job's defaults, by which all contenders fold; streams and stores are named because they must be."""


class Work(msgspec.Struct, frozen=True):
    """One run of one contender."""

    inputs: Inputs
    scratch: str
    """A folder of its own."""
    execution_mode: str = "thread"
    """How the contenders on Flink run Python: thread or process."""

    @property
    def rows(self) -> Path:
        """The folder with the rows that it ended with."""
        return Path(self.scratch, "rows")

    @property
    def timing(self) -> Path:
        """The file for its `Timing`."""
        return Path(self.scratch, "timing.json")


class Timing(msgspec.Struct, frozen=True):
    """Seconds of wall and of all processes' CPU time, from the job's submission, its JVM being up, to its end."""

    seconds: float
    cpu_seconds: float
    warm_events: int
    """How many events were left at some point soon after the first half: caches filled, code compiled ..."""
    warm_seconds: float
    """... and how long those took, to the end."""
    warm_cpu_seconds: float
    busy: Mapping[str, float] = {}
    """Operator chain -> the share of the time in which it had work and could go on."""


class Clock:
    """Takes the times of one run; made at the moment of submission."""

    def __init__(self, events: int) -> None:
        self.half = events // 2
        self._events = events
        self._cpu_began = self._cpu_at = cpu_seconds()
        self._began = self._at = time.monotonic()
        self._done = 0

    def passed(self, events: int) -> None:
        """`events` have been read so far, the first half among them; only the first call counts."""
        if not self._done:
            self._done, self._at, self._cpu_at = events, time.monotonic(), cpu_seconds()

    def timing(self, busy: Mapping[str, float] | None = None) -> Timing:
        """Of a run that has just ended."""
        now, cpu = time.monotonic(), cpu_seconds()
        return Timing(
            now - self._began, cpu - self._cpu_began, self._events - self._done, now - self._at, cpu - self._cpu_at,
            busy or {},
        )  # fmt: skip


def adopt_orphans() -> None:
    """Processes whose parents end become this one's children, and their CPU time is not lost.

    PyFlink kills the shells that its Python workers run in. Linux only.
    """
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def cpu_seconds() -> float:
    """Of this process and all that it and its children have started, those that are gone included."""
    own = psutil.Process()
    # Children first: the time of one that ends meanwhile has gone to its parent by then.
    return sum(_cpu_seconds_of(one) for one in (*reversed(own.children(recursive=True)), own))


def _cpu_seconds_of(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)


class Peer(Protocol):
    """A module of this package."""

    def run(self, work: Work) -> Timing:
        """Fold all of the work's records, and leave the rows in `work.rows`."""
        ...


class KeptViews:
    """A ViewWriter that keeps its rows in memory, and every batch in a file of `folder` before it returns.

    A worker of Python's process mode may be killed before it is closed.
    """

    def __init__(self, folder: str) -> None:
        self._views = MemoryViews(clock=lambda: 0.0)
        Path(folder).mkdir(parents=True, exist_ok=True)
        self._log = Path(folder, f"{uuid4()}.jsonl").open("wb", buffering=0)  # noqa: SIM115 - until close()

    def write(self, updates: Sequence[ViewUpdate]) -> WriteResult:
        result = self._views.write(updates)
        self._log.write(_encode_lines(updates))
        return result

    def close(self) -> None:
        self._log.close()


_encode_lines = msgspec.json.Encoder().encode_lines
_decode_line = msgspec.json.Decoder(ViewUpdate).decode


def kept_rows(folder: Path) -> dict[tuple[str, str], ViewRow]:
    """The rows that all writers with logs in `folder` came to; each row is one writer's."""
    views = MemoryViews(clock=lambda: 0.0)
    for log in folder.glob("*.jsonl"):
        with log.open("rb") as lines:
            views.write([_decode_line(line) for line in lines])
    reader = PackedReader(views, clock=lambda: 0.0)
    return {(partition, row.sort): row for partition in views.partitions() for row in reader.range(partition)}
