"""Everything that a run needs, below one folder and on free ports of 127.0.0.1, gone at its end."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import msgspec
import psutil
import redis

from telefold.deploy.cluster import processes
from telefold.deploy.cluster.config import SLOTS, Paths
from telefold.deploy.cluster.rest import ClusterApi
from telefold.deploy.local import servers
from telefold.deploy.local.stack import LocalStack
from telefold.deploy.processes import Process, is_alive, stop
from telefold.jobs import settings, stores
from tests.chaos import commands
from tests.support.alerts import await_in_force
from tests.support.fault_proxy import FaultProxy
from tests.support.properties import set_properties

TASK_MANAGERS = 3
"""Of two slots each: without one of them there is still room for the greatest parallelism."""
CHECKPOINT_INTERVAL_S = 5
# A threshold that many of the fleet cross all the time.
DAMP = "humidity > 55 until < 54"
_JOB = {
    "checkpoint.interval": f"{CHECKPOINT_INTERVAL_S}s",
    "rollup.lateness": "400ms",
    # Windows of five seconds are in heads until their block is over, those of a minute in blocks.
    "rollup.sizes": "5s,1m,1h",
    "durable.interval": "10s",
    "folds": "device,presence,alert,fleet",
    "group.rollups": "site",
}
_NEED_THE_CLUSTER = ("submit", "rescale", "stop")


class System:
    """The local stack with its AWS parts behind proxies, and a cluster that is not up yet.

    `direct` are settings that go past the proxies: for who looks on.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.parallelism = 2
        self._opened = ExitStack()
        self._orphans: list[Any] = []

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            root = self.folder / ".telefold"
            status = opened.enter_context(LocalStack(root)).status
            self.paths = Paths.below(root)
            self.properties = Path(status.properties)
            set_properties(self.properties, {"telefold.job": _JOB})
            self.direct = settings.load(self.properties)
            with stores.open_rule_book(self.direct) as book:
                await_in_force(book.put("damp", DAMP))
            self.redis = _recorded(root, servers.REDIS)
            self.dynamodb = opened.enter_context(FaultProxy(status.dynamodb))
            self.kinesis = opened.enter_context(FaultProxy(status.kinesis))
            self._point_at_proxies()
            self.rest_port = servers.free_port()
            opened.callback(self._end)
            self._opened = opened.pop_all()
        return self

    def __exit__(self, *failure: object) -> None:
        self._opened.close()

    def _point_at_proxies(self) -> None:
        source, views = {"aws.endpoint": self.kinesis.url}, {"dynamodb.endpoint": self.dynamodb.url}
        set_properties(self.properties, {"telefold.source": source, "telefold.views": views})

    def _end(self) -> None:
        self._note_children()
        processes.down(self.paths)
        stop(self.redis)
        for child in self._orphans:
            with suppress(psutil.NoSuchProcess):
                child.kill()

    @property
    def api(self) -> ClusterApi:
        return ClusterApi(f"http://127.0.0.1:{self.rest_port}")

    def job_manager_runs(self) -> bool:
        cluster = processes.load(self.paths)
        return cluster is not None and is_alive(cluster.job_manager)

    def is_complete(self) -> bool:
        """Whether every process of the cluster runs."""
        cluster = processes.load(self.paths)
        return cluster is not None and is_alive(cluster.job_manager) and len(cluster.alive) == TASK_MANAGERS

    def has_room(self) -> bool:
        """Whether what runs of the cluster is enough for the job."""
        cluster = processes.load(self.paths)
        return cluster is not None and is_alive(cluster.job_manager) and len(cluster.alive) * SLOTS >= self.parallelism

    def command(self, line: str, pointless: Callable[[], bool] = lambda: False) -> str:
        """What `telefold line` prints; one that waits for a process that has gone is broken off. CommandFailed."""
        needs_the_cluster = line.split()[0] in _NEED_THE_CLUSTER

        def has_no_point() -> bool:
            return pointless() or (needs_the_cluster and not self.has_room())

        return commands.run(self.folder, line, pointless=has_no_point)

    def task_managers(self) -> list[Process]:
        """Those that run tasks; all that are alive while there is nobody to ask."""
        cluster = processes.load(self.paths)
        alive = list(cluster.alive) if cluster else []
        with suppress(Exception):
            busy = self.api.busy_task_managers()
            return [process for process in alive if process.name in busy] or alive
        return alive

    def workers(self) -> list[Any]:
        """The processes in which Flink runs Python, those that have no others below them."""
        return [child for child in self._children() if _is_worker(child)]

    def kill(self, process: Any) -> None:
        """SIGKILL; `process` is one of ours, or of what they started."""
        self._note_children()
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)

    def _children(self) -> list[Any]:
        found = []
        cluster = processes.load(self.paths)
        for process in cluster.alive if cluster else ():
            with suppress(psutil.NoSuchProcess):
                found += psutil.Process(process.pid).children(recursive=True)
        return [child for child in found if child.is_running()]

    def _note_children(self) -> None:
        """What a TaskManager started does not always end with it."""
        self._orphans += self._children()

    def restart_redis(self) -> None:
        self.redis = servers.start(servers.redis(self.redis.port), self.folder / ".telefold" / "local")

    def empty_redis(self) -> None:
        with closing(redis.Redis.from_url(self.direct.views.redis_url)) as client:
            client.flushall()

    @contextmanager
    def checkpoints_moved(self) -> Iterator[None]:
        """Where the running jobs' checkpoints were, there is a file: nothing can be written or read there."""
        moved = [path for path in self.paths.checkpoints.glob("*/*") if path.is_dir()]
        for path in moved:
            path.rename(_beside(path))
            path.touch()
        try:
            yield
        finally:
            for path in moved:
                path.unlink()
                _beside(path).rename(path)


def _beside(path: Path) -> Path:
    return path.with_name(f"{path.name}.away")


def _is_worker(process: Any) -> bool:
    try:
        return "python" in process.name() and not process.children()
    except psutil.NoSuchProcess:
        return False


def _recorded(root: Path, name: str) -> Process:
    return msgspec.json.decode((root / "local" / "stack.json").read_bytes(), type=dict[str, Process])[name]
