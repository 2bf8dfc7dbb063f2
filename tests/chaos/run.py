"""One run of a schedule, from the packaging of the job to the verdict on every row."""

import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from telefold.jobs.stores import open_marker
from telefold.simulator.generator import Spec
from telefold.verify.judged import taken_on
from tests.chaos.commands import CommandFailed
from tests.chaos.failures import Failures
from tests.chaos.keeper import Keeper
from tests.chaos.recovery import Recoveries, Recovery, last_checkpoint
from tests.chaos.schedule import Schedule, Step
from tests.chaos.system import System
from tests.chaos.verdict import Verdict, await_all_read
from tests.support.crashes import crash_logs
from tests.support.producer import RATE, Producer
from tests.support.version_watcher import VersionWatcher

_PATIENCE_S = 180.0
_FILLED_WITHIN_S = 60.0
_RENEWED_WITHIN_S = 15.0
"""A Python that was left behind would have renewed the lease by then."""
_DEVICES = 60


class Outcome(NamedTuple):
    problems: list[str]
    """What was not as it must be; nothing else is wrong."""
    recoveries: list[Recovery]
    compared: str


class Run:
    """`say` is told what is done to what, and what came of it."""

    def __init__(self, schedule: Schedule, folder: Path, say: Callable[[str], None]) -> None:
        self._schedule = schedule
        self._folder = folder
        self._say = say
        self._problems: list[str] = []
        self._recoveries: list[Recovery] = []
        self._ended = 0.0

    def go(self) -> Outcome:
        with System(self._folder) as system:
            self._say("the local stack is up, `telefold package` makes the zip")
            system.command("package")
            producer = Producer(system.direct, self._fleet())
            with VersionWatcher(system.direct) as watcher:
                with closing(producer):
                    producer.start()
                    self._work(system, watcher, producer)
                compared = self._judge(system, producer)
                self._check(watcher.is_watching, f"the version watcher ended after {watcher.looks} looks")
        self._problems += [f"a version fell: {fall}" for fall in watcher.falls]
        self._problems += [f"a JVM crashed: {log}" for log in crash_logs(self._folder)]
        return Outcome(self._problems, self._recoveries, f"{compared}; {watcher.looks} looks at all versions")

    def _fleet(self) -> Spec:
        """More than it can send."""
        events = int(RATE * 60 * (self._schedule.minutes + 30))
        return Spec(
            events,
            devices=_DEVICES,
            seed=self._schedule.seed,
            duplicates=0.05,
            out_of_order=0.1,
            poison=0.01,
            schema="mixed",
        )

    def _work(self, system: System, watcher: VersionWatcher, producer: Producer) -> None:
        """The job's life up to its end."""
        with Keeper(system, self._say) as keeper, Recoveries(system, self._say) as recoveries:
            self._recoveries = recoveries.done
            self._check(_await_checkpoint(system), "the job did not start")
            self._say("the job runs, events flow, a checkpoint is complete: the schedule begins")
            failures = Failures(system, keeper, recoveries, watcher, self._say)
            self._strike_all(failures)
            self._check(recoveries.await_all(_PATIENCE_S), f"not recovered within {_PATIENCE_S:.0f} s from the last")
            self._check(producer.is_alive(), "the producer ended before its time")
            producer.close()
            self._say(f"{len(producer.sent):,} records were sent, waiting until all are read")
            left = await_all_read(system)
            self._check(left is None, f"not everything that was sent has been read: {left}")
            if failures.redis_lost_rows:
                self._say("Redis was emptied: waiting until the job has filled it again")
                self._check(_is_whole(system), f"Redis was not filled again within {_FILLED_WITHIN_S:.0f} s")
        self._try(system, "stop")
        self._ended = time.time()

    def _strike_all(self, failures: Failures) -> None:
        """In a thread each: those that last do not hold up those that follow."""
        began, threads = time.monotonic(), []
        for step in self._schedule.steps:
            time.sleep(max(0.0, began + step.at_s - time.monotonic()))
            threads.append(threading.Thread(target=self._strike, args=(failures, step), daemon=True))
            threads[-1].start()
        for thread in threads:
            thread.join()

    def _strike(self, failures: Failures, step: Step) -> None:
        try:
            failures.strike(step)
        except Exception as error:  # it is the run that is at fault, which must not look as if nothing were
            self._problems.append(f"{step} could not be done: {error!r}")

    def _judge(self, system: System, producer: Producer) -> str:
        self._say("comparing every row with the oracle's")
        time.sleep(_RENEWED_WITHIN_S)
        self._check(
            taken_on(system.direct, time.time()) <= self._ended,
            "the lease was renewed after the job had ended",
        )
        verdict = Verdict(system, producer.sent)
        self._problems += verdict.differences
        return verdict.compared

    def _try(self, system: System, line: str) -> None:
        try:
            system.command(line)
        except CommandFailed as error:
            self._problems.append(str(error))

    def _check(self, is_right: bool, problem: str) -> None:
        if not is_right:
            self._problems.append(problem)
            self._say(problem)


def _is_whole(system: System) -> bool:
    deadline = time.monotonic() + _FILLED_WITHIN_S
    with closing(open_marker(system.direct)) as marker:
        while marker.whole_since() is None:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.5)
    return True


def _await_checkpoint(system: System) -> bool:
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        if last_checkpoint(system) is not None:
            return True
        time.sleep(0.5)
    return False
