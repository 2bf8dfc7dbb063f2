"""A zip handed to a cluster of this machine the way managed Flink does: unpacked, its run options given to Flink."""

import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import msgspec

from deploy.packaging import RUN_OPTIONS, RUN_OPTIONS_GROUP
from jobs import stores
from jobs.assignments import lineage
from jobs.cluster import processes
from jobs.cluster.config import Paths
from jobs.cluster.rest import ClusterApi, Job, await_that
from jobs.leases import LEASE_VARIABLE
from jobs.local import checkpoints
from jobs.local.environment import checkpoint_times, kept_on_disk
from jobs.local.runner import root_cause
from jobs.managed import JOB_NAME, PROPERTIES_VARIABLE, SAYS
from jobs.properties import read_groups
from jobs.settings import Settings
from schemas.errors import JobError, PackageError
from schemas.leases import Lease

_START_S = 120.0
_JOB_ID = re.compile(r"JobID ([0-9a-f]{32})")


class Submission(NamedTuple):
    """Everything that a job is started with."""

    application: Path
    """The folder of the unpacked zip."""
    properties: Path
    settings: Settings
    parallelism: int
    checkpoints: Path
    resume: Path | None
    lease: Lease


class Kept(NamedTuple):
    """Where one lineage of state is kept."""

    checkpoints: Path
    savepoints: Path

    @classmethod
    def of(cls, paths: Paths, settings: Settings) -> "Kept":
        """That of the generation of the views that is live: another's state would not fit it."""
        with closing(stores.open_generations(settings)) as store:
            name = lineage(store.load().live)
        return cls(paths.checkpoints / name, paths.savepoints / name)


def unpack(archive: Path, folder: Path) -> None:
    """Replace `folder` by the contents of the zip; raises PackageError if it is none."""
    shutil.rmtree(folder, ignore_errors=True)
    try:
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(folder)
    except FileNotFoundError:
        raise PackageError(f"There is no {archive}: run `telefold package --out {archive}`.") from None
    except zipfile.BadZipFile as error:
        raise PackageError(f"{archive} is no zip ({error}): run `telefold package --out {archive}`.") from error


def to_resume(choice: str, kept: Kept) -> Path | None:
    """What `--resume` asks for: `latest` checkpoint or savepoint (None if there is none yet), `none`, or a folder."""
    if choice != "latest":
        return checkpoints.to_resume(choice, kept.checkpoints)
    complete = [*kept.checkpoints.glob("*/chk-*/_metadata"), *kept.savepoints.glob("savepoint-*/_metadata")]
    return max(complete, key=lambda file: file.stat().st_mtime_ns).parent if complete else None


def the_job(api: ClusterApi) -> Job:
    """Telefold's job on the cluster; raises JobError if there is none."""
    found = _jobs(api)
    if not found:
        raise JobError("No job runs on the cluster: run `telefold submit`.")
    return found[0]


def check_free(api: ClusterApi) -> None:
    """Raise JobError if the job runs already: two would write the same rows."""
    if found := _jobs(api):
        raise JobError(
            f"The job already runs on the cluster as {found[0].id}: run `telefold stop` first, or `telefold rescale`."
        )


def submit(paths: Paths, cluster: processes.Processes, wanted: Submission) -> Job:
    """Start the job; return once all of its tasks run. Raises JobError saying why it does not."""
    api = ClusterApi(cluster.address)
    done = subprocess.run(
        _command(paths, wanted),
        env={**os.environ, **processes.variables(paths, wanted.settings), **_variables(wanted)},
        cwd=wanted.application,
        capture_output=True,
        text=True,
        check=False,
    )
    started = _JOB_ID.search(done.stdout)
    if done.returncode or started is None:
        raise JobError(f"The job could not be started: {_why(done.stdout + done.stderr)}")
    job = Job(started[1], JOB_NAME, "RUNNING")
    _await_running(api, job)
    return job


def _jobs(api: ClusterApi) -> list[Job]:
    return [job for job in api.jobs() if job.name == JOB_NAME]


def _command(paths: Paths, wanted: Submission) -> list[str]:
    options = RUN_OPTIONS | read_groups(wanted.properties).get(RUN_OPTIONS_GROUP, {})
    files = ",".join(str(wanted.application / name) for name in options["pyFiles"].split(","))
    checkpointing = checkpoint_times(wanted.settings.job) | kept_on_disk(wanted.checkpoints)
    settings = [f"-D{key}={value}" for key, value in checkpointing.items()]
    resume = ["--fromSavepoint", str(wanted.resume)] if wanted.resume else []
    return [
        *(str(paths.home / "bin" / "flink"), "run", "--detached", *settings, *resume),
        *("--parallelism", str(wanted.parallelism)),
        *("--python", str(wanted.application / options["python"])),
        *("--pyFiles", files),
        *("--jarfile", str(wanted.application / options["jarfile"])),
    ]


def _variables(wanted: Submission) -> Mapping[str, str]:
    lease = msgspec.json.encode(wanted.lease).decode()
    return {PROPERTIES_VARIABLE: str(wanted.properties.resolve()), LEASE_VARIABLE: lease}


def _why(output: str) -> str:
    """The job's own sentences, or else the cause that Flink names."""
    said = [line.removeprefix(SAYS) for line in output.splitlines() if line.startswith(SAYS)]
    return "\n".join(said) if said else root_cause(output)


def _await_running(api: ClusterApi, job: Job) -> None:
    def has_settled() -> bool:
        return api.all_tasks_run(job.id) or api.state(job.id) in ("FAILED", "CANCELED", "FINISHED")

    if not await_that(has_settled, _START_S) or not api.all_tasks_run(job.id):
        cause = root_cause(api.failure(job.id))
        raise JobError(f"The job {job.id} does not run yet: {cause} Look at {api.address}.")
