"""Runs a Flink job to its end as a local run of Telefold does: same JVM, same options, RocksDB, checkpoints."""

import math
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from bench.peers.work import SETTINGS, Clock, Timing, Work
from telefold.deploy.local import servers
from telefold.deploy.minicluster import environment, jvm
from telefold.deploy.minicluster.environment import Paths
from telefold.operators.settings import JobSettings
from telefold.schemas.errors import JobError

_LOOK_EVERY_S = 0.2
_KEYED = 1
"""The place of the operators behind the shuffle by device among those of a job with one source: what they have read
counts as read."""


class Cluster(NamedTuple):
    environment: Any
    """A StreamExecutionEnvironment."""
    address: str
    """Of Flink's REST API."""


@contextmanager
def started(scratch: Path, wanted_mode: str, job: JobSettings, resume: Path | None = None) -> Iterator[Cluster]:
    """A JVM until the end of the block, and an environment in it; a job that fails there fails for good.

    It keeps its checkpoints in `checkpoints_in(scratch)`, and goes on from the one in `resume`.
    """
    mode, why = environment.execution_mode(wanted_mode)
    if why:
        raise JobError(why)
    paths = _paths(scratch)
    paths.scratch.mkdir(parents=True)
    port = servers.free_port()
    options = environment.configuration(job, mode, paths, resume, port)
    options |= {"restart-strategy.type": "none", "metrics.fetcher.update-interval": f"{_LOOK_EVERY_S * 1000:.0f}"}
    machine = jvm.start(paths.log, environment.jvm_environment(paths, None))
    try:
        yield Cluster(environment.create(options), f"http://127.0.0.1:{port}")
    finally:
        machine.stop()


def checkpoints_in(scratch: Path) -> Path:
    return _paths(scratch).checkpoints


def _paths(scratch: Path) -> Paths:
    return Paths.below(scratch, "bench", "bench")


def run(work: Work, build: Callable[[Any], None], keyed: str | None = None) -> Timing:
    """Time the job that `build` wires into a StreamExecutionEnvironment; if it fails this raises, at once.

    The name of the operators behind the shuffle by device begins with `keyed`.
    """
    with started(Path(work.scratch), work.execution_mode, SETTINGS.job) as cluster:
        clock = Clock(work.inputs.events)
        build(cluster.environment)
        client = cluster.environment.execute_async()
        with _Watch(f"{cluster.address}/jobs/{client.get_job_id()}", clock, keyed) as watch:
            client.get_job_execution_result().result()
        return clock.timing(watch.busy)


class _Watch:
    """Follows a job through Flink's REST API: when its first half was read, and what was busy."""

    def __init__(self, job: str, clock: Clock, keyed: str | None) -> None:
        self._job = job
        self._keyed = keyed
        self._clock = clock
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self.busy: dict[str, float] = {}

    def __enter__(self) -> "_Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._over.wait(_LOOK_EVERY_S):
            try:
                with urllib.request.urlopen(self._job, timeout=5) as answer:
                    self._look(msgspec.json.decode(answer.read())["vertices"])
            except OSError:  # not yet up, or no longer: the cluster ends with its job
                continue

    def _look(self, vertices: list[Any]) -> None:
        named = (one for one in vertices if self._keyed and one["name"].startswith(self._keyed))
        read = next(named, vertices[_KEYED])["metrics"]["read-records"]
        if read >= self._clock.half:
            self._clock.passed(read)
        shares = {one["name"]: _busy(one["metrics"]) for one in vertices}
        self.busy = {name: share for name, share in shares.items() if math.isfinite(share)}


def _busy(metrics: dict[str, Any]) -> float:
    """Not a number where Flink does not know it, as of sources of the older kind."""
    busy, idle, waiting = (float(metrics[f"accumulated-{what}-time"]) for what in ("busy", "idle", "backpressured"))
    return round(busy / (busy + idle + waiting), 2) if busy + idle + waiting else math.nan
