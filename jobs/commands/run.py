"""`telefold run`: a job in the foreground on this machine, with one live line of what it is doing."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.live import Live
from rich.text import Text

from jobs import preflight, settings, stores
from jobs.local import checkpoints, runner
from jobs.local.environment import Paths
from jobs.local.flink_rest import Progress
from jobs.local.lock import only_run
from schemas.errors import JobError

_PLAIN_EVERY_S = 5.0


def run(
    job: Annotated[str, typer.Argument(help="The job to run: telemetry.")] = "telemetry",
    properties: Annotated[Path, typer.Option(help="The job's application_properties.json.")] = Path(
        ".telefold/application_properties.json"
    ),
    resume: Annotated[
        str, typer.Option(help="Where to go on from: latest, none (the beginning), or a checkpoint's folder.")
    ] = "latest",
) -> None:
    """Run a job on a mini-cluster in this process until Ctrl-C or SIGTERM; started again, it resumes."""
    if job != "telemetry":
        raise JobError(f"There is no job {job}: the only one is telemetry.")
    loaded = settings.load(properties)
    preflight.check(loaded)
    paths = Paths.below(properties.parent, job)
    checkpoint = checkpoints.to_resume(resume, paths.checkpoints)
    console = Console(stderr=True)
    say = partial(console.print, soft_wrap=True, highlight=False)
    say(f"Running [bold]{job}[/] " + (f"from checkpoint {checkpoint.name}" if checkpoint else "from the beginning"))
    say(f"Properties {properties}, log {paths.log}. Stop with Ctrl-C.")
    with only_run(paths.lock, job), _reporting(console, paths.status) as report:
        runner.run(loaded, paths, checkpoint, lambda flink: _build(flink, loaded), report, say)
    say("Stopped. `telefold run telemetry` goes on where it left off; `telefold query device ID` reads the views.")


def _build(flink: Any, loaded: settings.Settings) -> None:
    from jobs import telemetry

    telemetry.build(flink, loaded, partial(stores.open_writer, loaded))


class _reporting:  # noqa: N801 - reads as a phrase at its one use
    """Shows progress as a live line on a terminal, as a plain one every few seconds elsewhere, and in a file."""

    def __init__(self, console: Console, status: Path) -> None:
        self._console = console
        self._status = status
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
        write_status(self._status, progress)
        line = describe(progress, time.time())
        if self._live:
            self._live.update(Text(line), refresh=True)
        elif time.monotonic() - self._last >= _PLAIN_EVERY_S:
            self._last = time.monotonic()
            self._console.print(line, soft_wrap=True)


def describe(progress: Progress, now: float) -> str:
    """One line for a person; `now` in epoch seconds."""
    parts = [
        f"events in {progress.events_in:,}",
        f"rows out {progress.rows_written:,}",
        f"dead letters {progress.dead_letters:,}",
        f"lag {_lag(progress)}",
        f"last checkpoint {_age(progress, now)}",
    ]
    if progress.store_retries:
        parts.append(f"store retries {progress.store_retries:,} (see the log)")
    return "  ".join(parts)


def _lag(progress: Progress) -> str:
    return "unknown" if progress.behind_ms < 0 else f"{progress.behind_ms / 1000:.1f} s"


def _age(progress: Progress, now: float) -> str:
    if progress.checkpoint is None:
        return "none yet"
    return f"{max(0.0, now - progress.checkpoint.completed_at):.0f} s ago"


def write_status(path: Path, progress: Progress) -> None:
    """Replace the status file in one step, so that whoever reads it never sees half of it."""
    fresh = path.with_suffix(".tmp")
    fresh.write_bytes(msgspec.json.encode(progress._asdict() | {"checkpoint": _checkpoint(progress)}))
    fresh.replace(path)


def _checkpoint(progress: Progress) -> dict[str, float] | None:
    return progress.checkpoint._asdict() if progress.checkpoint else None
