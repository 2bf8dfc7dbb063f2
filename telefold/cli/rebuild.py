"""`telefold rebuild`: the next generation of the views from the archive, beside the one that readers see."""

import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from telefold.cli.options import DespiteHoles
from telefold.cli.progress import counting
from telefold.cli.run import read_status, reporting
from telefold.connectors.archive import Archive
from telefold.connectors.generations import GenerationStore
from telefold.deploy.flink_rest import Progress
from telefold.deploy.leases import has_ended
from telefold.deploy.minicluster import checkpoints, runner
from telefold.deploy.minicluster.environment import Paths, check_s3
from telefold.deploy.minicluster.live_role import METRICS_ARE_AS_OLD_AS_S, CoveredBy
from telefold.deploy.minicluster.lock import is_held, only_run
from telefold.deploy.minicluster.runner import Ending
from telefold.jobs import judging, leases, preflight, run_spec, settings, stores
from telefold.jobs.properties_file import DEFAULT_PATH
from telefold.jobs.run_spec import TELEMETRY
from telefold.jobs.stores import open_archive
from telefold.jobs.wiring import build_telemetry
from telefold.schemas.errors import JobError, UsageError
from telefold.schemas.generations import FIRST, FoldSettings, Generations
from telefold.schemas.leases import Lease
from telefold.schemas.log_records import Positions
from telefold.schemas.setting_values import parse_views
from telefold.verify.checker import verify
from telefold.verify.event_log import check_holes
from telefold.verify.folding import views_of

_ROLE = "rebuild"
_SAMPLE = 0.1
_SMALL_ARCHIVE_BYTES = 16 * 1024 * 1024
_DIFFERENCES_SHOWN = 10
_ROUNDS_OF_A_READING = 2
"""A reading takes two rounds: one lists the files, the next one reads them."""
_LOOK_EVERY_S = 0.5
_LIVE_JOB_NOTICES_S = 60.0


def rebuild(
    views: Annotated[
        str | None, typer.Option(help="What the new generation holds; telefold.job/views unless given.")
    ] = None,
    rollback: Annotated[bool, typer.Option("--rollback", help="Let readers see the generation before again.")] = False,
    clean: Annotated[bool, typer.Option("--clean", help="Drop every generation that readers do not see.")] = False,
    abandon: Annotated[bool, typer.Option("--abandon", help="Give up the generation that is being built.")] = False,
    despite_holes: DespiteHoles = False,
    properties: Annotated[Path, typer.Option(help="The job's application_properties.json.")] = DEFAULT_PATH,
) -> None:
    """Build the next generation of the views from the archive, verify a sample, and let the live job take it over.

    The live job goes on meanwhile and readers see nothing of it until then. Interrupted, the same command goes on.
    """
    if rollback + clean + abandon + bool(views) > 1:
        raise UsageError(["--views, --rollback, --clean and --abandon exclude one another: give one of them."])
    loaded = settings.load(properties).despite_holes(despite_holes)
    preflight.check(loaded, check_s3)
    with closing(stores.open_generations(loaded)) as store:
        if rollback:
            _roll_back(store)
        elif clean:
            _drop(store, properties.parent, store.change(Generations.cleaned).droppable())
        elif abandon:
            _abandon(store, properties.parent)
        else:
            _rebuild(loaded, store, properties, views)


def _say(line: str) -> None:
    Console(stderr=True).print(line, soft_wrap=True, highlight=False)


def _rebuild(loaded: settings.Settings, store: GenerationStore, properties: Path, views: str | None) -> None:
    root = properties.parent
    paths = Paths.below(root, _ROLE, _ROLE)
    with only_run(paths.lock, _ROLE):
        generations = _begun(loaded, store, views)
        number = generations.building or generations.current
        if not generations.ready:
            _verify(loaded, generations, _fold(loaded, generations, root))
            generations = store.change(Generations.set_ready)
        _hand_over(loaded, store, number, properties)


def _begun(loaded: settings.Settings, store: GenerationStore, views: str | None) -> Generations:
    """The generations with one that is being built: the one that an earlier call began, or a new one."""
    generations = store.load()
    if generations.building is not None:
        if views:
            raise JobError(
                f"Generation {generations.building} is being built already: `telefold rebuild` goes on with it,"
                " `telefold rebuild --abandon` gives it up."
            )
        _say(f"Going on with generation {generations.building} of the views.")
        return generations
    cut = open_archive(loaded).ends()
    if not cut:
        raise JobError("The archive is empty: run the job until its first checkpoint, then rebuild.")
    for hole in check_holes(loaded, counting=counting):
        _say(f"The archive lacks records of {hole}.")
    fold = _fold_of(loaded, views)
    begun = store.change(lambda held: held.begin(cut, fold))
    _say(
        f"Building generation {begun.building} of the views. Readers stay with generation {begun.current}, which the"
        " live job keeps up. Stop with Ctrl-C; `telefold rebuild` goes on, `telefold rebuild --abandon` gives up."
    )
    return begun


def _fold_of(loaded: settings.Settings, views: str | None) -> FoldSettings:
    try:
        wanted = parse_views(views) if views else loaded.job.views
    except ValueError as error:
        raise UsageError([f"--views is {views}, but {error}."]) from None
    return FoldSettings(tuple(wanted), dict(loaded.job.rollup_sizes))


def _fold(loaded: settings.Settings, generations: Generations, root: Path) -> Positions:
    """Run the job on the archive until all of it is in the new rows; how far they go at least."""
    number = generations.building or 0
    batched = loaded.for_generation(generations, number).with_batch_flush()
    paths = Paths.below(root, _ROLE, run_spec.lineage(number))
    checkpoint = checkpoints.newest(paths.checkpoints)
    if checkpoint:
        _say(f"Folding the archive from checkpoint {checkpoint.name} on, log {paths.log}.")
    else:
        _say(f"Folding the archive from its beginning, log {paths.log}.")
    spec = run_spec.rebuild(batched, generations, number)
    build = partial(build_telemetry, loaded=batched, spec=spec)
    has_read_all = _HasReadAll(open_archive(loaded))
    with reporting(Console(stderr=True), paths.status, _line, number) as report:
        end = runner.run(batched, paths, checkpoint, build, report, _say, CoveredBy(has_read_all))
    if end.ending is not Ending.REACHED:
        _say("Stopped. `telefold rebuild` goes on where it left off, `telefold rebuild --abandon` gives up.")
        raise typer.Exit(130)
    judging.record(batched, number)
    return has_read_all.positions


class _HasReadAll:
    """Becomes true when all that was in the archive at a time after the first reading of it has been read too."""

    def __init__(self, archive: Archive, clock: Callable[[], float] = time.monotonic) -> None:
        self._archive = archive
        self._clock = clock
        self._since = 0.0
        self._rounds: int | None = None
        self.positions: Positions = {}
        """The last archived record of each shard at that time."""

    def __call__(self, progress: Progress) -> bool:
        if progress.archive_rounds < _ROUNDS_OF_A_READING:
            return False
        if not self.positions:
            self.positions, self._since = self._archive.ends(), self._clock()
        if self._rounds is None and self._clock() - self._since > METRICS_ARE_AS_OLD_AS_S:
            self._rounds = progress.archive_rounds
        return self._rounds is not None and progress.archive_rounds > self._rounds + _ROUNDS_OF_A_READING


def _line(progress: Progress) -> str:
    behind = f"{time.time() - progress.last_arrival / 1000:,.0f} s" if progress.last_arrival else "unknown"
    return (
        f"archive read {progress.archive_share:.0%}  records {progress.events_in:,}  rows out {progress.rows_written:,}"
        f"  behind live {behind}"
    )


def _verify(loaded: settings.Settings, generations: Generations, folded: Positions) -> None:
    """Refuse to go on unless a sample of the new rows is as plain Python folds the archive."""
    number = generations.building or 0
    _say("Verifying a sample of the new rows against a fold in plain Python ...")
    archive = open_archive(loaded)
    views = views_of(generations, number)
    sample = _SAMPLE if sum(file.size for file in archive.files()) > _SMALL_ARCHIVE_BYTES else 1.0
    found = verify(loaded, views, sample=sample, counting=counting, until=archive.ends(), settled=folded)
    if not found.right:
        differences = [f"{check.store}: {one}" for check in found.stores for one in check.differences]
        shown = "\n".join(f"  {difference}" for difference in differences[:_DIFFERENCES_SHOWN])
        raise JobError(
            f"Generation {number} differs from the archive in {len(differences)} places and will not be shown to"
            f" readers: report this, and give it up with `telefold rebuild --abandon`.\n{shown}"
        )
    for check in found.stores:
        _say(f"Verified {check.rows:,} rows of {sample:.0%} of the devices in {check.store}: no differences.")


def _how_to_go_on(lease: Lease | None) -> str:
    """Say how to go on where the live job does not run here, so that it does not notice; a second would be refused."""
    if lease is None or has_ended(lease.holder):
        return "No live job runs: `telefold run telemetry` takes it over as soon as it is started."
    return (
        f"The live job runs elsewhere: {lease.holder}. That one does not take it over while it runs:"
        f" {leases.way_out(lease.holder)}, and only then start `telefold run telemetry`, which takes it over. Once"
        " readers see it, stop that, and start the job where it was."
    )


def _await_readers(store: GenerationStore, number: int) -> None:
    """Wait until readers see generation `number`; raises JobError if it is given up instead."""
    while (generations := store.load()).current != number:
        if generations.building != number:
            raise JobError(f"Generation {number} was given up meanwhile; `telefold rebuild` begins another.")
        time.sleep(_LOOK_EVERY_S)


def _hand_over(loaded: settings.Settings, store: GenerationStore, number: int, properties: Path) -> None:
    """Wait until the live job has taken the new generation over, if one runs here."""
    _say(f"Generation {number} is complete. The live job takes it over, and moves readers to it when it has caught up.")
    live = _live_paths(properties.parent)
    if not is_held(live.lock):
        _say(_how_to_go_on(leases.look(loaded)))
        return
    _await_readers(store, number)
    _say(
        f"Readers see generation {number} of the views now. `telefold verify` checks every row; `telefold rebuild"
        " --rollback` brings the one before back, `telefold rebuild --clean` drops it."
    )


def _live_paths(root: Path) -> Paths:
    return Paths.below(root, TELEMETRY, run_spec.lineage(FIRST))


def _roll_back(store: GenerationStore) -> None:
    generations = store.change(Generations.rollback)
    _say(
        f"Readers see generation {generations.current} of the views again, as it was when the live job left it. A live"
        " job that runs goes on with it within seconds and catches up; else start `telefold run telemetry`."
    )


def _abandon(store: GenerationStore, root: Path) -> None:
    with only_run(Paths.below(root, _ROLE, _ROLE).lock, _ROLE):
        number = store.change(Generations.abandon).newest
        _drop(store, root, [number])


def _drop(store: GenerationStore, root: Path, numbers: Sequence[int]) -> None:
    """Delete the rows and the checkpoints of generations that readers do not see; may be broken off and done again."""
    for number in numbers:
        _await_live_job_off(root, number)
        _say(f"Dropping generation {number} of the views ...")
        with counting("Deleting rows", None) as tell:
            rows = store.drop(number, tell)
        shutil.rmtree(Paths.below(root, _ROLE, run_spec.lineage(number)).checkpoints, ignore_errors=True)
        store.change(partial(Generations.without, generation=number))
        _say(f"Dropped {rows:,} rows of generation {number} from DynamoDB, and its rows in Redis.")
    if not numbers:
        _say("There is nothing to drop: readers see the only generation of the views.")


def _await_live_job_off(root: Path, number: int) -> None:
    """A live job that has yet to notice a switch would write rows again."""
    live = _live_paths(root)
    deadline = time.monotonic() + _LIVE_JOB_NOTICES_S
    while is_held(live.lock) and read_status(live.status).get("generation") == number:
        if time.monotonic() > deadline:
            raise JobError(f"The live job still works on generation {number}: try again when it has moved on.")
        time.sleep(_LOOK_EVERY_S)
