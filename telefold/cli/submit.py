"""`telefold submit`, `savepoint`, `stop` and `rescale`: the job on the cluster of this machine."""

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from telefold.cli.cluster import Properties
from telefold.cli.options import NonRestored
from telefold.cli.package import DEFAULT_ZIP, check_quotas
from telefold.cli.progress import waiting
from telefold.deploy.cluster import home, processes, submission
from telefold.deploy.cluster.config import SLOTS, Paths
from telefold.deploy.cluster.processes import Processes
from telefold.deploy.cluster.rest import ClusterApi, Job
from telefold.deploy.cluster.submission import Kept, Submission
from telefold.deploy.leases import claim, cluster_here, release
from telefold.deploy.minicluster.environment import Paths as LocalPaths
from telefold.deploy.minicluster.lock import is_held
from telefold.jobs import leases, settings, stores
from telefold.jobs.properties_file import DEFAULT_PATH
from telefold.jobs.run_spec import TELEMETRY
from telefold.schemas.errors import JobError

_SAVEPOINT_S = 120.0
_out = Console(soft_wrap=True, highlight=False, markup=False)


def submit(
    archive: Annotated[Path, typer.Argument(metavar="ZIP", help="What `telefold package` made.")] = DEFAULT_ZIP,
    resume: Annotated[
        str,
        typer.Option(help="Where to go on from: latest, none (the beginning), or a checkpoint or savepoint (folder)."),
    ] = "latest",
    allow_non_restored_state: NonRestored = False,
    parallelism: Annotated[
        int | None, typer.Option(min=1, max=256, help="Instead of telefold.job/parallelism.")
    ] = None,
    properties: Properties = DEFAULT_PATH,
) -> None:
    """Run the job of a zip on the cluster, as managed Flink would; started again, it goes on where it was."""
    loaded = settings.load(properties)
    check_quotas(properties)
    paths = Paths.below(properties.parent)
    cluster = processes.running(paths)
    api = ClusterApi(cluster.address)
    _check_no_run(properties)
    submission.check_free(api)
    parallelism = parallelism or loaded.job.parallelism
    _check_slots(api, parallelism)
    home.check_archive(paths.home, loaded.archive.path)
    with waiting(f"Unpacking {archive}"):
        submission.unpack(archive, paths.application)
    lease = claim(loaded, cluster_here(cluster.address), _out.print)
    kept = Kept.of(paths, lease.generation)
    resumed = submission.to_resume(resume, kept)
    wanted = Submission(
        paths.application, properties, loaded, parallelism, kept, resumed, lease, allow_non_restored_state
    )
    _submit(paths, cluster, wanted)


def savepoint(properties: Properties = DEFAULT_PATH) -> None:
    """Take a savepoint of the job, which goes on."""
    paths, api, job = _find(properties)
    kept = _kept(paths, settings.load(properties))
    with waiting("Taking a savepoint"):
        folder = api.savepoint(job.id, kept.savepoints, _SAVEPOINT_S)
    _out.print(f"savepoint {folder}")
    _out.print(f"Next: `telefold stop`, and some day `telefold submit --resume {folder}`.")


def stop(properties: Properties = DEFAULT_PATH) -> None:
    """End the job with a savepoint, all or nothing."""
    folder = _stop(properties)
    _out.print(f"stopped with savepoint {folder}")
    _out.print("Next: `telefold submit` goes on from there, `telefold cluster down` ends the cluster.")


def rescale(
    parallelism: Annotated[int, typer.Argument(min=1, max=256, help="How many tasks of each kind there are to be.")],
    properties: Properties = DEFAULT_PATH,
) -> None:
    """End the job with a savepoint and go on from it at another parallelism."""
    loaded = settings.load(properties)
    paths, api, _ = _find(properties)
    cluster = processes.running(paths)
    _check_slots(api, parallelism)
    folder = _stop(properties)
    _out.print(f"stopped with savepoint {folder}")
    lease = claim(loaded, cluster_here(cluster.address), _out.print)
    kept = Kept.of(paths, lease.generation)
    resumed = folder if folder.parent == kept.savepoints else submission.to_resume("latest", kept)
    _submit(paths, cluster, Submission(paths.application, properties, loaded, parallelism, kept, resumed, lease))


def _kept(paths: Paths, loaded: settings.Settings) -> Kept:
    """The folders of the state of the job that runs: a rebuild may have another generation ready meanwhile."""
    lease = leases.look(loaded)
    if lease is not None:
        return Kept.of(paths, lease.generation)
    with closing(stores.open_generations(loaded)) as store:
        return Kept.of(paths, store.load().live)


def _check_no_run(properties: Path) -> None:
    if is_held(LocalPaths.below(properties.parent, TELEMETRY, TELEMETRY).lock):
        raise JobError(
            "`telefold run telemetry` runs with these properties: stop it first, or both write the same rows."
        )


def _check_slots(api: ClusterApi, parallelism: int) -> None:
    if parallelism > (slots := api.overview().slots):
        raise JobError(
            f"The cluster has {slots} slots and parallelism {parallelism} needs as many as that:"
            f" run `telefold cluster up --task-managers {-(-parallelism // SLOTS)}` first."
        )


def _submit(paths: Paths, cluster: Processes, wanted: Submission) -> None:
    where = f"from {wanted.resume.name}" if wanted.resume else "from the beginning"
    with waiting(f"Starting the job {where}"):
        job = submission.submit(paths, cluster, wanted)
    _out.print(f"{job.name} runs {where} at parallelism {wanted.parallelism} as {job.id}")
    _out.print(f"Flink's web page is {cluster.address}/#/job/running/{job.id}/overview, logs are in {paths.logs}")
    _out.print("Next: `telefold query device ID` reads the views, `telefold cluster status` says how the job does.")


def _find(properties: Path) -> tuple[Paths, ClusterApi, Job]:
    paths = Paths.below(properties.parent)
    api = ClusterApi(processes.running(paths).address)
    return paths, api, submission.the_job(api)


def _stop(properties: Path) -> Path:
    paths, api, job = _find(properties)
    loaded = settings.load(properties)
    kept = _kept(paths, loaded)
    with waiting("Stopping with a savepoint"):
        folder = api.stop(job.id, kept.savepoints, _SAVEPOINT_S)
    release(loaded, cluster_here(api.address))
    return folder
