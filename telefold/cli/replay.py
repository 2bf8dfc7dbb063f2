"""`telefold replay`: the archive through the job once more, into the rows that readers see."""

import sys
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console

from telefold.cli.options import DespiteHoles
from telefold.cli.progress import counting
from telefold.cli.run import reporting
from telefold.cli.times import ALLOWED, parse_time
from telefold.deploy.flink_rest import Progress
from telefold.deploy.minicluster import runner
from telefold.deploy.minicluster.environment import Paths, check_s3
from telefold.deploy.minicluster.lock import only_run
from telefold.deploy.minicluster.runner import Ending
from telefold.jobs import preflight, run_spec, settings, stores
from telefold.jobs.properties_file import DEFAULT_PATH
from telefold.jobs.wiring import build_telemetry
from telefold.schemas.errors import JobError, UsageError
from telefold.verify.event_log import check_holes

_ROLE = "replay"


def replay(
    since: Annotated[str | None, typer.Option(help=f"Rows of events that arrived from then on: {ALLOWED}.")] = None,
    until: Annotated[str | None, typer.Option(help="Records that arrived before then.")] = None,
    device: Annotated[str | None, typer.Option(help="Events of this device alone.")] = None,
    despite_holes: DespiteHoles = False,
    properties: Annotated[Path, typer.Option(help="The job's application_properties.json.")] = DEFAULT_PATH,
    json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Fold the archive, or a part of it, again as fast as this machine can, and write the rows that come of it.

    It restores rows that a store has lost and never replaces one by an older state, so it may run beside the live
    job. With --since the archive is read from its beginning all the same: what is late, and what windows hold, comes
    of all that was before; written are the rows that events from then on change.
    """
    loaded = settings.load(properties).despite_holes(despite_holes)
    preflight.check(loaded, check_s3)
    now = time.time_ns() // 1_000_000
    first, behind = _time("since", since, now, 0), _time("until", until, now, now)
    for hole in check_holes(loaded, until_ms=None if until is None else behind, counting=counting):
        _say(f"The archive lacks records of {hole}.")
    with closing(stores.open_generations(loaded)) as store:
        generations = store.load()
    batched = loaded.for_generation(generations, generations.current).with_batch_flush()
    spec = run_spec.replay(batched, generations, first, behind, device)
    paths = Paths.below(properties.parent, _ROLE, _ROLE)
    meter = _Meter()
    with only_run(paths.lock, _ROLE), reporting(Console(stderr=True), paths.status, meter.line) as report:
        build = partial(build_telemetry, loaded=batched, spec=spec)
        end = runner.run(batched, paths, None, build, report, _say)
    if end.ending is not Ending.FINISHED:
        raise JobError("The replay was stopped before its end; `telefold replay` begins it anew.")
    summary = meter.summary(end.counts.get("records", 0))
    if json:
        sys.stdout.write(orjson.dumps(summary).decode() + "\n")
    else:
        _say("Replayed {records:,} records in {seconds:.1f} s ({rate:,.0f} a second).".format(**summary))
        _say("Next: `telefold verify` compares every row with a fold of the archive in plain Python.")


def _say(line: str) -> None:
    Console(stderr=True).print(line, soft_wrap=True, highlight=False)


def _time(option: str, text: str | None, now: int, default: int) -> int:
    try:
        return default if text is None else parse_time(text, now)
    except ValueError as error:
        raise UsageError([f"--{option}: {error}."]) from None


class _Meter:
    """The progress of a replay since it was first heard of."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._last = Progress()

    def line(self, progress: Progress) -> str:
        if not self._last.events_in:
            self._began = time.monotonic()
        self._last = progress
        share = f"{progress.archive_share:.0%}"
        return f"archive read {share}  records {progress.events_in:,}  rows out {progress.rows_written:,}"

    def summary(self, records: int) -> dict[str, float]:
        seconds = time.monotonic() - self._began
        return {"records": records, "seconds": round(seconds, 3), "rate": round(records / seconds, 1)}
