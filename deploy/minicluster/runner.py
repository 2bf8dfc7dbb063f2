"""Runs a job in the foreground on a mini-cluster until it is told to stop or fails."""

import logging
import re
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from enum import Enum, auto
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from telefold.deploy.flink_rest import JobApi, Progress
from telefold.deploy.local.servers import free_port
from telefold.deploy.minicluster import checkpoints, environment, jvm
from telefold.deploy.minicluster.environment import Paths
from telefold.jobs.settings import Settings
from telefold.schemas.errors import JobError

_POLL_S = 1.0
_FINAL_SAVEPOINT_S = 40.0
_STOPPED = "stopped"
"""The folder beside those of runs in which the savepoints are with which jobs were stopped."""
_CANCEL_S = 10.0
_INTERRUPT_EVERY_S = 0.1
_ENDED = ("FINISHED", "FAILED", "CANCELED")

# Python that runs in the JVM gives `<class 'telefold.schemas.errors.X'>: sentence`, in its own process a traceback.
_OWN_ERROR = re.compile(r"schemas\.errors\.\w+(?:'>)?: (.+)")
_JAVA_CAUSE = re.compile(r"^(?:Caused by)?: \S*?(\w+: .+)", re.MULTILINE)

logger = logging.getLogger(__name__)


class Ending(Enum):
    """Why a job stopped."""

    ASKED = auto()
    """The job was stopped by a signal."""
    REACHED = auto()
    """The job came to where it was to go."""
    FINISHED = auto()
    """The job's input ended, and all of it is in the stores."""


class JobFailed(JobError):
    """The job failed; `trace` is all that Flink says."""

    def __init__(self, sentence: str, trace: str) -> None:
        self.trace = trace
        super().__init__(sentence)


class End(NamedTuple):
    ending: Ending
    counts: Mapping[str, int] = {}
    """Flink's accumulators by name, of a job that has finished."""


class Asked(BaseException):
    """The process was asked to stop while a job was being started."""


class Stop:
    """Becomes true when the process is asked to stop by SIGTERM or Ctrl-C; asked again, the process ends at once."""

    def __init__(self) -> None:
        self.asked = False
        self._interrupts = False
        for wanted in (signal.SIGTERM, signal.SIGINT):
            signal.signal(wanted, self._ask)

    @contextmanager
    def interrupting(self) -> Iterator[None]:
        """A block that ends wherever it is, with Asked, when the process is asked to stop."""
        hook = sys.unraisablehook
        sys.unraisablehook = lambda lost: None if lost.exc_type is Asked else hook(lost)
        signal.signal(signal.SIGALRM, self._interrupt)
        self._interrupts = True
        try:
            yield
        except Exception:  # of a JVM that was asked to stop, too
            if not self.asked:
                raise
        finally:
            self._interrupts = False
            signal.setitimer(signal.ITIMER_REAL, 0)
            sys.unraisablehook = hook
        if self.asked:
            raise Asked

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise SystemExit(128 + number)
        self.asked = True
        if self._interrupts:
            logging.disable()  # py4j logs a traceback for each call that fails
            # Where a finalizer of py4j is interrupted the exception is lost.
            signal.setitimer(signal.ITIMER_REAL, _INTERRUPT_EVERY_S, _INTERRUPT_EVERY_S)
            raise Asked

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self._interrupts:
            raise Asked


def run(
    settings: Settings,
    paths: Paths,
    resume: Path | None,
    build: Callable[[Any], None],
    report: Callable[[Progress], None],
    say: Callable[[str], None],
    until: Callable[[Progress], bool] = lambda progress: False,
    metrics_port: int | None = None,
    *,
    leaves_rest: bool = False,
) -> End:
    """Run the job that `build` wires into an environment; return once it has stopped cleanly.

    It stops when the process is asked to, when `until` says so of its progress, or when its input ends.
    Asked to while it is starting, it has not begun, and nothing is lost.
    `report` is given the progress every second, `say` a line for each step. Raises JobError if the job fails. With a
    `metrics_port` Prometheus can read the job's metrics there. `leaves_rest` is of `environment.configuration`.
    """
    environment.check_metrics(metrics_port)
    stop = Stop()
    shutil.rmtree(paths.scratch, ignore_errors=True)
    paths.scratch.mkdir(parents=True)
    mode, why = environment.execution_mode(settings.job.python_execution_mode)
    if why:
        say(why)
    say("Starting Flink ...")
    port = free_port(besides=metrics_port)
    options = environment.configuration(settings.job, mode, paths, resume, port, leaves_rest=leaves_rest)
    options |= environment.s3_options(settings.archive.path) | environment.metrics_options(metrics_port)
    with ExitStack() as machine:
        try:
            with stop.interrupting():
                machine.enter_context(_jvm(paths, settings, metrics_port))
                client = _submit(options, build)
                api = JobApi(f"http://127.0.0.1:{port}", str(client.get_job_id()))
        except Asked:
            return End(Ending.ASKED)
        end = _watch(api, client, stop, _pruning(paths.checkpoints, report), until, paths.log)
        if end.ending is not Ending.FINISHED:
            _finish(api, paths.checkpoints / _STOPPED, say)
        return end


def _submit(options: dict[str, str], build: Callable[[Any], None]) -> Any:
    from telefold.edge.java import JavaError

    try:
        flink = environment.create(options)
        build(flink)
        return flink.execute_async()
    except JavaError as error:  # its text comes from the JVM, which is about to end
        logger.debug("%s", error)
        raise JobFailed(f"The job could not be started: {root_cause(str(error))}", str(error)) from None


@contextmanager
def _jvm(paths: Paths, settings: Settings, metrics_port: int | None) -> Iterator[None]:
    variables = environment.jvm_environment(paths, settings.source.endpoint, settings.archive.path, metrics_port)
    machine = jvm.start(paths.log, variables)
    try:
        yield
    finally:
        machine.stop()


def _pruning(folder: Path, report: Callable[[Progress], None]) -> Callable[[Progress], None]:
    """`report`, and at this run's first checkpoint an end to those of earlier runs: nobody resumes from them now."""
    pruned = False

    def prune_and_report(progress: Progress) -> None:
        nonlocal pruned
        if progress.checkpoint and not pruned:
            checkpoints.prune(folder, keep=checkpoints.newest(folder))
            pruned = True
        report(progress)

    return prune_and_report


def _watch(
    api: JobApi,
    client: Any,
    stop: Stop,
    report: Callable[[Progress], None],
    until: Callable[[Progress], bool],
    log: Path,
) -> End:
    """Report until the job is to stop or has ended by itself; raises JobError when it failed."""
    while not stop.asked:
        try:
            if api.state() in _ENDED:
                return _finished(client, log)
            progress = api.progress()
            report(progress)
            if until(progress):
                return End(Ending.REACHED)
        except (OSError, KeyError):  # not yet up, or no longer: the cluster ends with its job
            if _has_ended(client):
                return _finished(client, log)
        time.sleep(_POLL_S)
    return End(Ending.ASKED)


def _has_ended(client: Any) -> bool:
    return bool(client.get_job_execution_result().done())


def _finished(client: Any, log: Path) -> End:
    try:
        result = client.get_job_execution_result().result()
    except Exception as error:  # PyFlink wraps every Java exception in a type of its own
        raise JobFailed(f"{root_cause(str(error))} The full story is in {log}.", str(error)) from None
    return End(Ending.FINISHED, dict(result.get_all_accumulator_results()))


def root_cause(trace: str) -> str:
    """The sentence in a Java stack trace that tells a person what happened: our own, or else that of the last cause."""
    causes = _OWN_ERROR.findall(trace) or _JAVA_CAUSE.findall(trace) or trace.strip().splitlines()[:1]
    return f"{causes[-1].strip().rstrip('.')}." if causes else "Flink gives no reason."


def _finish(api: JobApi, folder: Path, say: Callable[[str], None]) -> None:
    """End the job with a savepoint in `folder`, before which what is due has been written; or else without."""
    say("Stopping: writing what is due, and taking a savepoint ...")
    try:
        if not api.stop(folder, _FINAL_SAVEPOINT_S):
            say("No savepoint was possible; the next run resumes from the last checkpoint, and nothing is lost.")
            api.cancel()
        deadline = time.monotonic() + _CANCEL_S
        while time.monotonic() < deadline and api.state() not in _ENDED:
            time.sleep(0.1)
    except OSError as error:
        logger.debug("the cluster ended before its job could be cancelled: %s", error)
