"""The processes of a cluster on this machine: one JobManager and some TaskManagers, which outlive this program."""

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from telefold.deploy.cluster import config, home
from telefold.deploy.cluster.config import DEFAULT_REST_PORT, HOST, Paths, Ports
from telefold.deploy.cluster.rest import ClusterApi, await_that
from telefold.deploy.local.servers import check_ports, free_ports, why_not
from telefold.deploy.minicluster.environment import aws_variables
from telefold.deploy.minicluster.jvm import check_java
from telefold.deploy.package import bare_python
from telefold.deploy.processes import Process, is_alive, kill_all_of, last_lines, spawn, stop
from telefold.jobs.settings import Settings
from telefold.schemas.errors import LocalStackError

_START_S = 90.0
JOB_MANAGER = "job-manager"

Say = Callable[[str], None]
"""A callback for one sentence on each thing that a person should know."""


class Processes(msgspec.Struct, frozen=True):
    """The processes that were started; any may have ended since."""

    job_manager: Process
    rpc_port: int
    """The port at which TaskManagers find the JobManager."""
    task_managers: tuple[Process, ...] = ()

    @property
    def address(self) -> str:
        return f"http://{HOST}:{self.job_manager.port}"

    @property
    def alive(self) -> tuple[Process, ...]:
        """The TaskManagers that run."""
        return tuple(process for process in self.task_managers if is_alive(process))


def up(paths: Paths, settings: Settings, task_managers: int, rest_port: int | None, say: Say) -> Processes:
    """Start what is not running, end surplus TaskManagers; return once all of them are at the JobManager's disposal.

    A JobManager that ended has forgotten its jobs; its TaskManagers find the next one where it was, and stay. Raises
    LocalStackError, or JobError where there is no Java that fits.
    """
    check_java()
    recorded = load(paths)
    found = _with_job_manager(paths, settings, recorded, rest_port, say)
    started = _with_task_managers(paths, found, settings, task_managers)
    _await_all(paths, started)
    if recorded is not None and started.job_manager == recorded.job_manager:
        say(f"the JobManager is already up at {started.address}")
    else:
        say(f"the JobManager is up; Flink's web page is {started.address}")
    for process in started.task_managers:
        already = "already " if process in found.task_managers else ""
        say(f"{process.name} is {already}up, its log is {_log(paths, process.name)}")
    return started


def down(paths: Paths) -> bool:
    """End every process; checkpoints and savepoints stay. False if none was running."""
    recorded = load(paths)
    if recorded is None:
        return False
    running = [process for process in (*recorded.task_managers, recorded.job_manager) if is_alive(process)]
    for process in running:
        stop(process)
    # A Python whose TaskManager was killed may wait for it for ever.
    kill_all_of(paths.python / "bin" / "python")
    paths.state.unlink(missing_ok=True)
    shutil.rmtree(paths.scratch, ignore_errors=True)
    return bool(running)


def running(paths: Paths) -> Processes:
    """The cluster; raises LocalStackError, saying what to run, unless its JobManager runs."""
    recorded = load(paths)
    if recorded is None:
        raise LocalStackError("The cluster is not up: run `telefold cluster up`.")
    if not is_alive(recorded.job_manager):
        raise LocalStackError(
            "The cluster's JobManager ended, and its jobs with it: run `telefold cluster up`, then `telefold submit`,"
            " which goes on from the last checkpoint."
        )
    return recorded


def load(paths: Paths) -> Processes | None:
    try:
        return msgspec.json.decode(paths.state.read_bytes(), type=Processes)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise LocalStackError(f"{paths.state} is damaged: end the processes it names, then delete it.") from error


def _save(paths: Paths, processes: Processes) -> Processes:
    paths.state.parent.mkdir(parents=True, exist_ok=True)
    scratch = paths.state.with_suffix(".tmp")
    scratch.write_bytes(msgspec.json.encode(processes))
    scratch.replace(paths.state)
    return processes


def _ports(rest_port: int | None, say: Say) -> Ports:
    """The ports of a new cluster: the one that is asked for, or the usual one, or a free one if it must be."""
    if rest_port is not None:
        check_ports({"rest": rest_port})
    rest, rpc = free_ports(2, besides=[rest_port, DEFAULT_REST_PORT])
    if rest_port is None and (reason := why_not(DEFAULT_REST_PORT)):
        say(f"port {DEFAULT_REST_PORT} of Flink's web page {reason}: it takes port {rest}")
        return Ports(rest, rpc)
    return Ports(rest_port or DEFAULT_REST_PORT, rpc)


def _check_not_moved(recorded: Processes, rest_port: int | None) -> None:
    if rest_port not in (None, recorded.job_manager.port):
        raise LocalStackError(
            f"The cluster's web page is at {recorded.address}: run `telefold cluster down` before you move it."
        )


def _with_job_manager(
    paths: Paths, settings: Settings, recorded: Processes | None, rest_port: int | None, say: Say
) -> Processes:
    """The JobManager that runs, or a new one, with those TaskManagers that run."""
    if recorded is not None and is_alive(recorded.job_manager):
        _check_not_moved(recorded, rest_port)
        return Processes(recorded.job_manager, recorded.rpc_port, recorded.alive)
    if recorded is not None and recorded.alive and rest_port in (None, recorded.job_manager.port):
        again = _start_job_manager(paths, settings, recorded.job_manager.port)
        return Processes(again, recorded.rpc_port, recorded.alive)
    down(paths)
    ports = _ports(rest_port, say)
    _lay_out(paths, settings, ports)
    return Processes(_start_job_manager(paths, settings, ports.rest), ports.rpc)


def _lay_out(paths: Paths, settings: Settings, ports: Ports) -> None:
    shutil.rmtree(paths.scratch, ignore_errors=True)
    for folder in (paths.scratch, paths.checkpoints, paths.savepoints):
        folder.mkdir(parents=True, exist_ok=True)
    archive_path = settings.archive.path
    home.make(paths.home, config.options(paths, ports, archive_path), archive_path)
    bare_python.create(paths.python)


def _start_job_manager(paths: Paths, settings: Settings, rest_port: int) -> Process:
    arguments = ["-D", f"web.log.path={_log(paths, JOB_MANAGER)}"]
    return _start(paths, JOB_MANAGER, "jobmanager.sh", arguments, settings, rest_port)


def _with_task_managers(paths: Paths, found: Processes, settings: Settings, count: int) -> Processes:
    """Recorded one by one, so that `down` finds those that had started when another could not."""
    wanted = [f"task-manager-{number}" for number in range(1, count + 1)]
    for process in found.task_managers:
        if process.name not in wanted:
            stop(process)
    kept = [process for process in found.task_managers if process.name in wanted]
    _save(paths, msgspec.structs.replace(found, task_managers=tuple(kept)))
    for name in wanted:
        if name not in [process.name for process in kept]:
            kept.append(_start_task_manager(paths, settings, name))
            _save(paths, msgspec.structs.replace(found, task_managers=tuple(kept)))
    return msgspec.structs.replace(found, task_managers=tuple(kept))


def _start_task_manager(paths: Paths, settings: Settings, name: str) -> Process:
    arguments = ["-D", f"taskmanager.resource-id={name}", "-D", f"taskmanager.log.path={_log(paths, name)}"]
    return _start(paths, name, "taskmanager.sh", arguments, settings)


def _start(
    paths: Paths, name: str, script: str, arguments: Sequence[str], settings: Settings, port: int = 0
) -> Process:
    command = [_bash(), str(paths.home / "bin" / script), "start-foreground", *arguments]
    return spawn(name, command, _log(paths, name), port, variables(paths, settings), keep_log=True)


def variables(paths: Paths, settings: Settings) -> Mapping[str, str]:
    """Environment variables for Flink's programs: the Python that they find first is the bare one."""
    return aws_variables(settings.source.endpoint) | {
        "PATH": f"{paths.python / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONPATH": "",
        "FLINK_CONF_DIR": str(paths.home / "conf"),
        "FLINK_LOG_DIR": str(paths.logs),
        "FLINK_PID_DIR": str(paths.scratch),
        "FLINK_PLUGINS_DIR": str(paths.home / "plugins"),
    }


def _await_all(paths: Paths, started: Processes) -> None:
    """Wait until every TaskManager has registered; raises LocalStackError with the log of one that ended instead."""
    api = ClusterApi(started.address)
    everyone = (started.job_manager, *started.task_managers)

    def is_settled() -> bool:
        return not all(map(is_alive, everyone)) or api.overview().task_managers >= len(started.task_managers)

    if not await_that(is_settled, _START_S):
        raise LocalStackError(f"The cluster was not complete within {_START_S:.0f} s: see the logs in {paths.logs}.")
    for process in everyone:
        if not is_alive(process):
            raise LocalStackError(f"{process.name} ended while it started; {last_lines(_log(paths, process.name))}")


def _log(paths: Paths, name: str) -> Path:
    return paths.logs / f"{name}.log"


def _bash() -> str:
    bash = shutil.which("bash")
    if bash is None:
        raise LocalStackError("No bash was found, which Flink's programs need: install it.")
    return bash
