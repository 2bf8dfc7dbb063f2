"""One run of one case of the growth benchmark: `python -m bench.growth_job`, the `Task` as JSON on standard input.

The job follows its archive as a rebuild does, so that it does not end by itself: only a job that was cancelled keeps
its checkpoints. With `resume` set nothing of the archive is left to read, and what is timed is how the job comes back.
"""

import json
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec
import psutil

from bench.peers import flink
from bench.peers.work import SETTINGS, cpu_seconds
from telefold.connectors.archive_reading import Following
from telefold.connectors.retry_policy import OnRetry
from telefold.deploy.flink_rest import JobApi
from telefold.deploy.minicluster import checkpoints
from telefold.jobs.run_spec import RunSpec
from telefold.schemas.errors import JobError
from telefold.schemas.view_rows import ViewUpdate
from telefold.schemas.view_stores import WriteResult

T = TypeVar("T")

_LOOK_EVERY_S = 0.25
_CHECKPOINT_S = 300.0
_FOLD = "fold"
"""In the name of the operators that hold the state."""
_CANCEL_S = 10.0


class Task(msgspec.Struct, frozen=True):
    archive: str
    events: int
    """All that is in the archive."""
    parallelism: int
    scratch: str
    """A folder of its own; its file `result.json` is what the run leaves."""
    resume: str | None = None
    """The folder of a checkpoint that covers the whole archive."""

    @property
    def result(self) -> Path:
        return Path(self.scratch, "result.json")


class Folded(msgspec.Struct, frozen=True):
    """A run over the whole archive. Rates are events a second, times are in seconds, sizes in bytes."""

    start_s: float
    """From the process's start until the first event was seen folded."""
    rate: float
    """From the job's submission until all events were folded."""
    warm_rate: float
    """Over the second half of the events, as the next two."""
    warm_cpu_s: float
    """CPU seconds a million events, of all processes, the last rows and a checkpoint included."""
    warm_rows: float
    """View rows written per event."""
    state_bytes: int
    """The whole size of a checkpoint taken when all was folded."""
    checkpoint_bytes: int
    """What was written for it, the rest being in earlier ones."""
    checkpoint_s: float
    """The median duration of the run's checkpoints."""
    slowest_checkpoint_s: float
    checkpoint: str
    """The folder of the last one."""


class Restored(msgspec.Struct, frozen=True):
    """By Flink's own clock."""

    seconds: float
    """From the job's submission until its last task ran, the one that loads Python among them."""
    state_s: float
    """For the fold's slowest task to load its state; part of `seconds`."""


class ForgetfulViews:
    """A ViewWriter that counts and forgets: the rows of a million devices have no room beside the job.

    Of an item it counts the rows in it that have changed.

    That rows are right is what `bench.throughput` sees to.
    """

    def write(self, updates: Sequence[ViewUpdate]) -> WriteResult:
        return WriteResult(written=sum(len(update.changed) or 1 for update in updates), stale=0)

    def close(self) -> None: ...


class _Mark(NamedTuple):
    """What was done by a moment. `at` is in epoch seconds."""

    at: float
    cpu_s: float
    events: int
    rows: int


def main(task: Task) -> Folded | Restored:
    job = SETTINGS.job.model_copy(update={"parallelism": task.parallelism})
    resume = Path(task.resume) if task.resume else None
    with flink.started(Path(task.scratch), "thread", job, resume) as cluster:
        began = time.time()
        client = _submit(cluster.environment, task.archive)
        run = _Run(cluster.address, client)
        if resume:
            return run.restored()
        first, half, end = (run.reached(events) for events in (1, task.events // 2, task.events))
        return _folded(run, began, (first, half, end), flink.checkpoints_in(Path(task.scratch)))


def _submit(environment: Any, archive: str) -> Any:
    from telefold.jobs import telemetry

    spec = RunSpec(reading=Following(archive), is_live=False)
    telemetry.build(environment, SETTINGS, _connect, spec)
    return environment.execute_async()


def _connect(on_retry: OnRetry) -> ForgetfulViews:
    return ForgetfulViews()


def _folded(run: "_Run", began: float, marks: tuple[_Mark, _Mark, _Mark], kept: Path) -> Folded:
    first, half, end = marks
    run.take_checkpoint()
    cpu_s = cpu_seconds() - half.cpu_s
    stats = run.statistics(end.at)
    rows = run.reached(end.events).rows - half.rows
    last, durations = stats["latest"]["completed"], stats["summary"]["end_to_end_duration"]
    run.cancel()
    events = end.events - half.events
    return Folded(
        start_s=first.at - psutil.Process().create_time(),
        rate=end.events / (end.at - began),
        warm_rate=events / (end.at - half.at),
        warm_cpu_s=cpu_s / events * 1e6,
        warm_rows=rows / events,
        state_bytes=last["state_size"],
        checkpoint_bytes=last["checkpointed_size"],
        checkpoint_s=durations["p50"] / 1000,
        slowest_checkpoint_s=durations["max"] / 1000,
        checkpoint=str(checkpoints.newest(kept)),
    )


class _Run:
    """A job that was submitted; each method raises JobError when the job has ended before its time."""

    def __init__(self, address: str, client: Any) -> None:
        job_id = str(client.get_job_id())
        self._api = JobApi(address, job_id)
        self._address = f"{address}/jobs/{job_id}"
        self._client = client

    def reached(self, events: int) -> _Mark:
        """As soon as so many events were folded, duplicates included."""
        return self._once(partial(self._mark, events))

    def _mark(self, events: int) -> _Mark | None:
        progress = self._api.progress()
        done = progress.accepted + progress.duplicates + progress.too_late + progress.too_many_names
        return _Mark(time.time(), cpu_seconds(), done, progress.rows_written) if done >= events else None

    def take_checkpoint(self) -> None:
        if not self._api.checkpoint(_CHECKPOINT_S):
            raise JobError("No checkpoint could be taken at the end of the run.")

    def statistics(self, at: float) -> Any:
        """Flink's of the run's checkpoints, one that was triggered after `at` (epoch seconds) among them."""
        return self._once(partial(self._statistics, at * 1_000))

    def _statistics(self, since_ms: float) -> Any:
        """None until they are that new: Flink gives the same answer for some seconds."""
        answer = self._ask("/checkpoints")
        last = answer["latest"]["completed"]
        return answer if last and last["trigger_timestamp"] >= since_ms else None

    def restored(self) -> Restored:
        submitted, tasks = self._once(self._running_tasks)
        if not self._ask("/checkpoints")["latest"]["restored"]:
            raise JobError("The job did not resume from the checkpoint.")
        self.cancel()
        loading = max(task["status-duration"]["INITIALIZING"] for name, task in tasks if _FOLD in name)
        return Restored((max(_ran_at(task) for _, task in tasks) - submitted) / 1000, loading / 1000)

    def _running_tasks(self) -> tuple[int, list[tuple[str, Any]]] | None:
        """When the job was submitted, in epoch milliseconds, and its tasks by name once all of them run."""
        job = self._ask("")
        if {one["status"] for one in job["vertices"]} != {"RUNNING"}:
            return None
        tasks = [
            (one["name"], task) for one in job["vertices"] for task in self._ask(f"/vertices/{one['id']}")["subtasks"]
        ]
        return job["timestamps"]["INITIALIZING"], tasks

    def cancel(self) -> None:
        self._api.cancel()
        deadline = time.monotonic() + _CANCEL_S
        while time.monotonic() < deadline and not self._has_ended():
            time.sleep(_LOOK_EVERY_S)

    def _once(self, look: Callable[[], T | None]) -> T:
        while True:
            try:
                if (found := look()) is not None:
                    return found
            except (OSError, KeyError):  # not yet up, or no longer: the cluster ends with its job
                if self._has_ended():
                    raise JobError("The job ended before its time.") from None
            time.sleep(_LOOK_EVERY_S)

    def _has_ended(self) -> bool:
        return bool(self._client.get_job_execution_result().done())

    def _ask(self, path: str) -> Any:
        with urllib.request.urlopen(self._address + path, timeout=5) as answer:
            return json.loads(answer.read())


def _ran_at(task: Any) -> int:
    """When a task had been deployed and initialised, in epoch milliseconds."""
    before = task["status-duration"]
    return int(task["start-time"] + before["DEPLOYING"] + before["INITIALIZING"])


if __name__ == "__main__":
    task = msgspec.json.decode(sys.stdin.buffer.read(), type=Task)
    task.result.write_bytes(msgspec.json.encode(main(task)))
