"""`telefold run`: a job in the foreground on this machine, with one live line of what it is doing."""

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from telefold.cli.options import DespiteHoles, NonRestored
from telefold.cli.progress import counting
from telefold.connectors import aws
from telefold.deploy import leases
from telefold.deploy.flink_rest import Progress
from telefold.deploy.minicluster import checkpoints, runner
from telefold.deploy.minicluster.environment import Paths, check_s3
from telefold.deploy.minicluster.judging import recording
from telefold.deploy.minicluster.live_role import LiveRole
from telefold.deploy.minicluster.lock import only_run
from telefold.deploy.minicluster.runner import Ending
from telefold.jobs import judging, preflight, run_spec, settings, stores
from telefold.jobs.beginning import as_begun, resolved
from telefold.jobs.properties_file import DEFAULT_PATH
from telefold.jobs.run_spec import TELEMETRY
from telefold.jobs.wiring import build_telemetry
from telefold.schemas.errors import JobError
from telefold.schemas.generations import FIRST, Generations
from telefold.schemas.leases import Lease
from telefold.verify.event_log import check_holes, check_takeover

_PLAIN_EVERY_S = 5.0


def run(
    job: Annotated[str, typer.Argument(help="The job to run: telemetry.")] = "telemetry",
    properties: Annotated[Path, typer.Option(help="The job's application_properties.json.")] = DEFAULT_PATH,
    resume: Annotated[
        str, typer.Option(help="Where to go on from: latest, none (the beginning), or a checkpoint's folder.")
    ] = "latest",
    allow_non_restored_state: NonRestored = False,
    metrics_port: Annotated[
        int | None, typer.Option(help="Show the job's metrics to Prometheus at this port of 127.0.0.1.")
    ] = None,
    despite_holes: DespiteHoles = False,
) -> None:
    """Run a job on a mini-cluster in this process until Ctrl-C or SIGTERM; started again, it resumes."""
    if job != TELEMETRY:
        raise JobError(f"There is no job {job}: the only one is {TELEMETRY}.")
    signal.signal(signal.SIGTERM, _leave)  # until the job is about to start
    loaded = settings.load(properties).despite_holes(despite_holes)
    preflight.check(loaded, check_s3, writes_archive=True)
    say = partial(Console(stderr=True).print, soft_wrap=True, highlight=False)
    if warning := stores.eviction(loaded):
        say(warning)
    with closing(stores.open_generations(loaded)) as store:
        generations = store.load()
        store.publish(generations)
        if warning := judging.unknown_devices(loaded, generations.live):
            say(warning)
        work = _Work(loaded, generations, properties, resume, allow_non_restored_state, metrics_port)
        with only_run(work.paths.lock, TELEMETRY), leases.held(loaded, leases.this_run(), say) as lease:
            role = LiveRole(store, generations.live, say)
            with role.watching():
                ending = work.run(role, lease, say)
    if others := read_status(work.paths.status).get("other_keys"):
        say(
            f"{others:,} events had a partition key that is not their device: their order is not promised, see"
            " docs/explanation/life-of-an-event.md."
        )
    match ending:
        case Ending.FINISHED:
            raise JobError(f"The job ended by itself, which it should not; see {work.paths.log}.")
        case Ending.REACHED:
            say(f"The live job goes on with generation {role.wanted} of the views.")
            more = [] if metrics_port is None else ["--metrics-port", str(metrics_port)]
            more += ["--despite-holes"] if despite_holes else []
            _restart("run", job, "--properties", str(properties), *more)
    say("Stopped. `telefold run telemetry` goes on where it left off; `telefold query device ID` reads the views.")


class _Work:
    """The live job of one generation, from where its lineage stopped."""

    def __init__(
        self,
        loaded: settings.Settings,
        generations: Generations,
        properties: Path,
        resume: str,
        leaves_rest: bool,
        metrics_port: int | None,
    ) -> None:
        self._settings = loaded.for_generation(generations, generations.live)
        self._differs = self._settings != loaded
        self._generations = generations
        self._properties = properties
        self._leaves_rest = leaves_rest
        self._metrics_port = metrics_port
        self.paths = Paths.below(properties.parent, TELEMETRY, run_spec.lineage(generations.live))
        self._checkpoint = checkpoints.to_resume(resume, self.paths.checkpoints)

    def run(self, role: LiveRole, lease: Lease, say: Callable[[str], None]) -> Ending:
        self._say_what(say)
        console, number = Console(stderr=True), self._generations.live
        with reporting(console, self.paths.status, _line, number) as report:
            resumes = self._checkpoint is not None
            for hole in [] if resumes else check_holes(self._settings, counting=counting):
                say(f"The archive lacks records of {hole}.")
            self._say_what_was_dropped(say)
            spec = run_spec.live(self._settings, self._generations, resumes=resumes)
            begun = as_begun(self._settings) if resumes else resolved(self._settings)
            build = partial(build_telemetry, loaded=begun, spec=spec, lease=lease)
            recorded = recording(self._settings, self._generations.live, report)
            return self._run(build, recorded, role, say)

    def _run(
        self,
        build: Callable[[Any], None],
        report: Callable[[Progress], None],
        role: LiveRole,
        say: Callable[[str], None],
    ) -> Ending:
        try:
            return runner.run(
                self._settings,
                self.paths,
                self._checkpoint,
                build,
                report,
                say,
                role.is_over,
                self._metrics_port,
                leaves_rest=self._leaves_rest,
            ).ending
        except runner.JobFailed as failed:
            if self._checkpoint is None or not checkpoints.is_of_restoring(failed.trace):
                raise
            cause, known = runner.root_cause(failed.trace), checkpoints.known(self.paths.checkpoints)
            command = "telefold run telemetry"
            raise checkpoints.cannot_be_restored(self._checkpoint, cause, known, command) from None

    def _say_what_was_dropped(self, say: Callable[[str], None]) -> None:
        source = self._settings.source
        with closing(aws.client("kinesis", source.region, source.endpoint)) as kinesis:
            for gap in check_takeover(self._settings, kinesis):
                say(gap)

    def _say_what(self, say: Callable[[str], None]) -> None:
        where = f"from checkpoint {self._checkpoint.name}" if self._checkpoint else "from the beginning"
        number = self._generations.live
        say(f"Running [bold]{TELEMETRY}[/]{f' of generation {number}' if number != FIRST else ''} {where}")
        if self._differs:
            say(
                f"It folds what generation {number} was built with: `telefold rebuild` applies the changed views and"
                " rollup.sizes of telefold.job."
            )
        if self._metrics_port is not None:
            url = f"http://127.0.0.1:{self._metrics_port}/metrics"
            say(f"Prometheus finds its metrics at {url} (docs/reference/metrics.md).")
        say(f"Properties {self._properties}, log {self.paths.log}. Stop with Ctrl-C.")


def _leave(number: int, frame: FrameType | None) -> None:
    """End the process as Ctrl-C would, so that what was claimed is released and the terminal is as it was."""
    sys.stderr.write("Stopped before the job began.\n")
    raise SystemExit(128 + number)


def _line(progress: Progress) -> str:
    return describe(progress, time.time())


def _restart(*arguments: str) -> None:
    """Become `telefold` with `arguments`: a process runs one JVM in its life."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, "-m", "telefold", *arguments])


class reporting:  # noqa: N801 - reads as a phrase where it is used
    """Shows progress as a live line on a terminal, as a plain one every few seconds elsewhere, and in a file."""

    def __init__(
        self, console: Console, status: Path, line: Callable[[Progress], str], generation: int = FIRST
    ) -> None:
        self._console = console
        self._generation = generation
        self._status = status
        self._line = line
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._last = 0.0

    def __enter__(self) -> Callable[[Progress], None]:
        self._status.unlink(missing_ok=True)
        if self._live:
            self._live.start()
        return self._report

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def _report(self, progress: Progress) -> None:
        write_status(self._status, progress, self._generation)
        line = self._line(progress)
        if self._live:
            self._live.update(Text(line), refresh=True)
        elif time.monotonic() - self._last >= _PLAIN_EVERY_S:
            self._last = time.monotonic()
            self._console.print(line, soft_wrap=True)


def describe(progress: Progress, now: float) -> str:
    """A line for a person; `now` in epoch seconds."""
    parts = [
        f"events in {progress.events_in:,}",
        f"rows out {progress.rows_written:,}",
        f"dead letters {progress.dead_letters:,}",
        f"lag {_lag(progress)}",
        f"last checkpoint {_age(progress, now)}",
    ]
    if progress.other_keys:
        parts.append(f"keys that are not the device {progress.other_keys:,} (see the log)")
    if progress.store_retries:
        parts.append(f"store retries {progress.store_retries:,} (see the log)")
    return "  ".join(parts)


def _lag(progress: Progress) -> str:
    return "unknown" if progress.behind_ms < 0 else f"{progress.behind_ms / 1000:.1f} s"


def _age(progress: Progress, now: float) -> str:
    if progress.checkpoint is None:
        return "none yet"
    return f"{max(0.0, now - progress.checkpoint.completed_at):.0f} s ago"


def write_status(path: Path, progress: Progress, generation: int = FIRST) -> None:
    """Replace the status file in one step, so that whoever reads it never sees half of it."""
    fresh = path.with_suffix(".tmp")
    more = {"checkpoint": _checkpoint(progress), "generation": generation}
    fresh.write_bytes(msgspec.json.encode(progress._asdict() | more))
    fresh.replace(path)


def read_status(path: Path) -> dict[str, Any]:
    """The status that a run wrote last; empty before that."""
    try:
        return dict(msgspec.json.decode(path.read_bytes()))
    except FileNotFoundError:
        return {}


def _checkpoint(progress: Progress) -> dict[str, float] | None:
    return progress.checkpoint._asdict() if progress.checkpoint else None
