"""What each failure of a schedule does to the system."""

import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from itertools import cycle
from typing import Any

import psutil

from telefold.deploy.cluster import processes
from tests.chaos.commands import CommandFailed
from tests.chaos.keeper import Keeper
from tests.chaos.recovery import Recoveries
from tests.chaos.schedule import KILLS, Failure, Step
from tests.chaos.system import System
from tests.support import aws_faults, shards
from tests.support.aws_faults import Act, Faulty
from tests.support.fault_proxy import FaultProxy
from tests.support.version_watcher import VersionWatcher

_WRITES, _READS = ("BatchExecuteStatement",), ("GetRecords",)
_SLOW_S = 1.5
SCALES = (4, 1, 2)
"""What the job, which begins at 2, is rescaled to, one after the other."""
_MOST_SHARDS = 6


class Failures:
    """Does one step after the other; each `strike` returns when its failure is over."""

    def __init__(
        self,
        system: System,
        keeper: Keeper,
        recoveries: Recoveries,
        watcher: VersionWatcher,
        say: Callable[[str], None],
    ) -> None:
        self._system = system
        self._keeper = keeper
        self._recoveries = recoveries
        self._watcher = watcher
        self._say = say
        self._scales = cycle(SCALES)
        self.redis_lost_rows = False
        """Whether Redis was emptied, so that it has to be filled again."""

    def strike(self, step: Step) -> None:
        match step.failure:
            case Failure.RESCALED:
                self._rescale()
            case Failure.REDIS_EMPTIED:
                self._empty_redis()
            case Failure.SHARD_SPLIT:
                self._split(step.pick)
            case Failure.SHARDS_MERGED:
                self._merge(step.pick)
            case kill if kill in KILLS:
                self._kill(step)
            case _:
                self._last(step)

    def _kill(self, step: Step) -> None:
        victims = self._victims(step.failure)
        if not victims:
            self._say(f"{step.failure}: there was none to kill")
            return
        victim = victims[int(step.pick * len(victims))]
        began = time.time()
        self._system.kill(victim)
        self._recoveries.struck(step.failure, began)
        self._say(f"{step.failure}: pid {victim.pid}, one of {len(victims)}")

    def _victims(self, failure: Failure) -> list[Any]:
        if failure is Failure.WORKER_KILLED:
            return sorted(self._system.workers(), key=lambda worker: worker.pid)
        if failure is Failure.TASK_MANAGER_KILLED:
            return self._system.task_managers()
        cluster = processes.load(self._system.paths)
        return [cluster.job_manager] if cluster and self._system.job_manager_runs() else []

    def _rescale(self) -> None:
        """One that a kill breaks off is taken up by the keeper."""
        with self._keeper.working:
            self._system.parallelism = next(self._scales)
            self._say(f"{Failure.RESCALED} to {self._system.parallelism}")
            began = time.time()
            try:
                self._system.command(f"rescale {self._system.parallelism}")
            except CommandFailed as error:
                self._say(f"the rescaling was broken off: {error}")
            self._recoveries.struck(Failure.RESCALED, began)

    def _empty_redis(self) -> None:
        with self._watcher.without_cache():
            self._system.empty_redis()
            self.redis_lost_rows = True
        self._say(str(Failure.REDIS_EMPTIED))

    def _split(self, pick: float) -> None:
        if shards.open_shards(self._system.direct) >= _MOST_SHARDS:
            self._say(f"{Failure.SHARD_SPLIT}: there are {_MOST_SHARDS} open ones already")
            return
        shard = shards.split_one(self._system.direct, pick)
        self._recoveries.struck(Failure.SHARD_SPLIT)
        self._say(f"{Failure.SHARD_SPLIT}: {shard}")

    def _merge(self, pick: float) -> None:
        merged = shards.merge_two(self._system.direct, pick)
        if merged is None:
            self._say(f"{Failure.SHARDS_MERGED}: there is only one open shard")
            return
        self._recoveries.struck(Failure.SHARDS_MERGED)
        self._say(f"{Failure.SHARDS_MERGED}: {' and '.join(merged)}")

    def _last(self, step: Step) -> None:
        self._say(f"{step.failure} for {step.lasts_s:.1f} s")
        with self._going_on(step):
            time.sleep(step.lasts_s)
        self._recoveries.struck(step.failure)

    def _going_on(self, step: Step) -> AbstractContextManager[None]:
        match step.failure:
            case Failure.REDIS_KILLED:
                return self._without_redis()
            case Failure.REDIS_PAUSED:
                return self._redis_silent()
            case Failure.CHECKPOINTS_AWAY:
                return self._without_checkpoints()
            case _:
                return self._faulty(step)

    @contextmanager
    def _without_redis(self) -> Iterator[None]:
        with self._watcher.without_cache():
            self._system.kill(self._system.redis)
            yield
            self._system.restart_redis()
            self.redis_lost_rows = True

    @contextmanager
    def _redis_silent(self) -> Iterator[None]:
        server = psutil.Process(self._system.redis.pid)
        server.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            server.send_signal(signal.SIGCONT)

    @contextmanager
    def _without_checkpoints(self) -> Iterator[None]:
        """Nobody submits a job meanwhile: it would begin from the beginning."""
        with ExitStack() as away:
            with self._keeper.working:
                self._keeper.may_submit.clear()
                away.callback(self._keeper.may_submit.set)
                away.enter_context(self._system.checkpoints_moved())
            yield

    @contextmanager
    def _faulty(self, step: Step) -> Iterator[None]:
        proxy, fault = self._fault(step)
        proxy.fault = fault
        try:
            yield
        finally:
            proxy.fault = None
            self._say(f"{step.failure} is over, {fault.struck} calls were struck")

    def _fault(self, step: Step) -> tuple[FaultProxy, Faulty]:
        act, operations, share = _FAULTS[step.failure]
        of_dynamodb = operations is _WRITES
        proxy = self._system.dynamodb if of_dynamodb else self._system.kinesis
        return proxy, Faulty(act, operations, share, seed=int(step.pick * 1_000_000))


_FAULTS: Mapping[Failure, tuple[Act, tuple[str, ...], float]] = {
    Failure.DYNAMODB_THROTTLED: (aws_faults.refused("ThrottlingException"), _WRITES, 0.7),
    Failure.DYNAMODB_PARTLY: (aws_faults.partly_refused, _WRITES, 0.7),
    Failure.DYNAMODB_LOST: (aws_faults.answer_lost, _WRITES, 0.7),
    Failure.DYNAMODB_SLOW: (aws_faults.delayed(_SLOW_S), _WRITES, 0.7),
    Failure.KINESIS_THROTTLED: (aws_faults.refused("ProvisionedThroughputExceededException"), _READS, 0.8),
    Failure.KINESIS_EXPIRED: (aws_faults.refused("ExpiredIteratorException"), _READS, 0.3),
}
"""What happens to a call, to which, and to what share of them."""
