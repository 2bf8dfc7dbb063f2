"""A zip handed to a cluster of this machine the way managed Flink does: unpacked, its run options given to Flink."""

import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from telefold.deploy.cluster import processes
from telefold.deploy.cluster.config import Paths
from telefold.deploy.cluster.rest import ClusterApi, Job, await_that
from telefold.deploy.minicluster import checkpoints
from telefold.deploy.minicluster.environment import checkpoint_times, kept_on_disk
from telefold.deploy.minicluster.runner import root_cause
from telefold.deploy.package.packaging import RUN_OPTIONS, RUN_OPTIONS_GROUP
from telefold.jobs.entry import JOB_NAME, PROPERTIES_VARIABLE, SAYS
from telefold.jobs.leases import LEASE_VARIABLE
from telefold.jobs.properties_file import read_groups
from telefold.jobs.run_spec import lineage
from telefold.jobs.settings import Settings
from telefold.schemas.errors import JobError, PackageError
from telefold.schemas.leases import Lease

_START_S = 120.0
_PYTHON_ENDED = "Python process exits with code"
_JOB_ID = re.compile(r"JobID ([0-9a-f]{32})")


class Submission(NamedTuple):
    """A job's application, settings, state and lease, with which it is started."""

    application: Path
    """The folder of the unpacked zip."""
    properties: Path
    settings: Settings
    parallelism: int
    kept: "Kept"
    resume: Path | None
    lease: Lease
    leaves_rest: bool = False
    """Whether the job begins without the state in `resume` that no operator of this build takes."""


class Kept(NamedTuple):
    """The folders in which one lineage of state is stored."""

    checkpoints: Path
    savepoints: Path

    @classmethod
    def of(cls, paths: Paths, generation: int) -> "Kept":
        """The folders of one generation of the views: another's state would not fit it."""
        name = lineage(generation)
        return cls(paths.checkpoints / name, paths.savepoints / name)

    @property
    def all(self) -> list[Path]:
        """Checkpoints and savepoints, complete or not."""
        return [*self.checkpoints.glob("*/chk-*"), *self.savepoints.glob("savepoint-*")]


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
    """The state for `--resume`: `latest` checkpoint or savepoint (None if there is none yet), `none`, or a folder."""
    if choice != "latest":
        return checkpoints.to_resume(choice, kept.checkpoints)
    return next(iter(checkpoints.newest_first(kept.all)), None)


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
        output = done.stdout + done.stderr + _client_log(paths)
        _check_restored(wanted, output)
        raise JobError(f"The job could not be started: {_why(output)} The full story is in {paths.logs}.")
    job = Job(started[1], JOB_NAME, "RUNNING")
    _await_running(api, job, wanted)
    return job


def _jobs(api: ClusterApi) -> list[Job]:
    return [job for job in api.jobs() if job.name == JOB_NAME]


def _command(paths: Paths, wanted: Submission) -> list[str]:
    options = RUN_OPTIONS | read_groups(wanted.properties).get(RUN_OPTIONS_GROUP, {})
    files = ",".join(str(wanted.application / name) for name in options["pyFiles"].split(","))
    checkpointing = checkpoint_times(wanted.settings.job) | kept_on_disk(wanted.kept.checkpoints)
    settings = [f"-D{key}={value}" for key, value in checkpointing.items()]
    resume = ["--fromSavepoint", str(wanted.resume)] if wanted.resume else []
    resume += ["--allowNonRestoredState"] if wanted.leaves_rest else []
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
    """The job's own sentences, or else the cause that Flink names; that its Python has ended is none."""
    said = [line.removeprefix(SAYS) for line in output.splitlines() if line.startswith(SAYS)]
    told = "\n".join(line for line in output.splitlines() if _PYTHON_ENDED not in line)
    return "\n".join(said) if said else root_cause(told)


def _client_log(paths: Paths) -> str:
    """The log of the client that ran last, for what it did not print."""
    logs = sorted(paths.logs.glob("*-client-*.log"), key=lambda log: log.stat().st_mtime_ns)
    return logs[-1].read_text("utf-8", "replace") if logs else ""


def _check_restored(wanted: Submission, trace: str) -> None:
    if wanted.resume is not None and checkpoints.is_of_restoring(trace):
        known = [*wanted.kept.all, wanted.resume]
        raise checkpoints.cannot_be_restored(wanted.resume, _why(trace), known, "telefold submit")


def _await_running(api: ClusterApi, job: Job, wanted: Submission) -> None:
    def has_settled() -> bool:
        return api.all_tasks_run(job.id) or api.state(job.id) in ("FAILED", "CANCELED", "FINISHED")

    if not await_that(has_settled, _START_S) or not api.all_tasks_run(job.id):
        trace = api.failure(job.id)
        _check_restored(wanted, trace)
        cause = root_cause(trace)
        raise JobError(f"The job {job.id} does not run yet: {cause} Look at {api.address}.")
