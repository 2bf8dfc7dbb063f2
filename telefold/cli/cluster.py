"""`telefold cluster`: a Flink cluster of processes on this machine."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from telefold.cli.progress import waiting
from telefold.cli.tables import time_text
from telefold.deploy.cluster import processes
from telefold.deploy.cluster.config import DEFAULT_REST_PORT, Paths
from telefold.deploy.cluster.processes import Processes
from telefold.deploy.cluster.rest import ClusterApi, Job, Overview
from telefold.deploy.flink_rest import JobApi
from telefold.deploy.processes import Process, is_alive
from telefold.jobs import settings
from telefold.jobs.properties_file import DEFAULT_PATH
from telefold.schemas.errors import LocalStackError

app = typer.Typer(help="A Flink cluster of processes on this machine.", no_args_is_help=True)

Properties = Annotated[
    Path, typer.Option(help="The job's application_properties.json; the cluster's files lie beside it.")
]
_out = Console(soft_wrap=True, highlight=False)


@app.command()
def up(
    task_managers: Annotated[int, typer.Option(min=1, max=32, help="How many TaskManagers, two slots each.")] = 1,
    rest_port: Annotated[
        int | None,
        typer.Option(
            help=f"Port of Flink's web page and REST API, {DEFAULT_REST_PORT}, or a free one where that is taken."
        ),
    ] = None,
    properties: Properties = DEFAULT_PATH,
) -> None:
    """Start a JobManager and TaskManagers, or those of them that are missing, from the Flink that pip installed."""
    loaded = settings.load(properties)
    with waiting("Starting Flink"):
        processes.up(Paths.below(properties.parent), loaded, task_managers, rest_port, _tell)
    _out.print("next: [bold]telefold submit[/bold], once `telefold package` has made telefold.zip")


@app.command()
def down(properties: Properties = DEFAULT_PATH) -> None:
    """End all processes of the cluster, and its job with them; checkpoints and savepoints stay."""
    paths = Paths.below(properties.parent)
    with waiting("Ending Flink"):
        was_up = processes.down(paths)
    _tell("the cluster is down" if was_up else "the cluster was not up")
    if was_up:
        _out.print("next: `telefold cluster up`, then `telefold submit` goes on from the last checkpoint or savepoint")


@app.command()
def status(
    properties: Properties = DEFAULT_PATH, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
) -> None:
    """What runs: processes, slots, the job and its last checkpoint; exit code 1 when the cluster is not up."""
    paths = Paths.below(properties.parent)
    found = _look(paths, processes.running(paths))
    if as_json:
        typer.echo(msgspec.json.encode(found).decode())
    else:
        _show(found)


class JobStatus(msgspec.Struct, frozen=True):
    id: str
    name: str
    state: str
    events_in: int
    rows_written: int
    last_checkpoint: float | None
    """The time at which it was complete, in epoch seconds."""


class ProcessStatus(msgspec.Struct, frozen=True):
    name: str
    pid: int
    running: bool


class Status(msgspec.Struct, frozen=True):
    address: str
    logs: str
    processes: list[ProcessStatus]
    slots: int
    free_slots: int
    jobs: list[JobStatus]


def _look(paths: Paths, found: Processes) -> Status:
    api = ClusterApi(found.address)
    try:
        overview, jobs = api.overview(), [_job(api, job) for job in api.jobs()]
    except OSError as error:
        raise LocalStackError(f"The JobManager does not answer at {found.address} ({error}): try again.") from error
    return _status(paths, found, overview, jobs)


def _status(paths: Paths, found: Processes, overview: Overview, jobs: list[JobStatus]) -> Status:
    return Status(
        address=found.address,
        logs=str(paths.logs),
        processes=[_process(one) for one in (found.job_manager, *found.task_managers)],
        slots=overview.slots,
        free_slots=overview.free_slots,
        jobs=jobs,
    )


def _process(process: Process) -> ProcessStatus:
    return ProcessStatus(process.name, process.pid, is_alive(process))


def _job(api: ClusterApi, job: Job) -> JobStatus:
    progress = JobApi(api.address, job.id).progress()
    completed = progress.checkpoint.completed_at if progress.checkpoint else None
    return JobStatus(*job, progress.events_in, progress.rows_written, completed)


def _show(found: Status) -> None:
    _out.print(f"web page   {found.address}")
    _out.print(f"logs       {found.logs}")
    for process in found.processes:
        state = "running" if process.running else "[red]ended[/]: `telefold cluster up` starts it again"
        _out.print(f"{process.name}  pid {process.pid}  {state}")
    _out.print(f"slots      {found.free_slots} free of {found.slots}")
    for job in found.jobs:
        done = f"events in {job.events_in:,}  rows out {job.rows_written:,}"
        covered = "none yet" if job.last_checkpoint is None else f"{time_text(job.last_checkpoint * 1_000)} UTC"
        _out.print(f"job        {job.name} {job.state}  {done}  last checkpoint {covered}  id {job.id}")
    _out.print(f"next: {'telefold query device ID' if found.jobs else 'telefold submit'}")


def _tell(line: str) -> None:
    _out.print("[green]✓[/green]", line)
