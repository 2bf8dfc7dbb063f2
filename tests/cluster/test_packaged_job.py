"""The job as users run it: packaged, on a cluster whose processes are killed. Every row is as the oracle has it."""

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from telefold.cli.demo import SPEC
from telefold.connectors import aws
from telefold.deploy.cluster.config import Paths
from telefold.deploy.cluster.processes import Processes, load
from telefold.deploy.cluster.rest import ClusterApi
from telefold.deploy.flink_rest import JobApi, Progress
from telefold.deploy.local import servers
from telefold.deploy.minicluster.live_role import CoveredBy, has_read_past
from telefold.jobs import settings, stores
from telefold.simulator import produce
from telefold.simulator.generator import generate
from telefold.verify.account import reckon
from tests.support.alerts import await_in_force
from tests.support.crashes import crash_logs
from tests.support.documents import CLUSTER, commands
from tests.support.fleet import SPAN_MS
from tests.support.fold_rows import transitions_in_the_log, transitions_told
from tests.support.properties import set_properties
from tests.support.version_watcher import VersionWatcher
from tests.support.waiting import PATIENCE_S, until

FLEET = msgspec.structs.replace(SPEC, events=4_000, devices=40)
# A threshold that many of the fleet cross all the time.
DAMP = "humidity > 55 until < 54"
BIN = Path(sys.executable).parent


class Shell:
    """Types commands in a folder of its own, where the local stack and the cluster get free ports."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.paths = Paths.below(folder / ".telefold")
        self.properties = folder / ".telefold" / "application_properties.json"

    def run(self, line: str) -> str:
        command = [str(BIN / "telefold"), *shlex.split(line)[1:], *self._ports(line)]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}\n{self.logs()}"
        return done.stdout

    def said(self, line: str) -> dict[str, Any]:
        return dict(msgspec.json.decode(self.run(f"{line} --json")))

    def logs(self) -> str:
        return "\n".join(f"{log}:\n{log.read_text()[-3_000:]}" for log in self.paths.logs.glob("*.log"))

    @staticmethod
    def _ports(line: str) -> list[str]:
        if line.startswith("telefold local up"):
            return [f"--{name}-port={servers.free_port()}" for name in ("kinesis", "dynamodb", "redis")]
        if line.startswith("telefold cluster up") and "--rest-port" not in line:
            return [f"--rest-port={servers.free_port()}"]
        return []


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    shell = Shell(tmp_path)
    yield shell
    for line in ("telefold cluster down", "telefold local down"):
        subprocess.run([str(BIN / "telefold"), *line.split()[1:]], cwd=tmp_path, capture_output=True, check=False)


def test_the_packaged_job_survives_its_processes(shell: Shell) -> None:
    """Its events are like the demo's; the commands are those of a page, between which processes are killed."""
    typed = [shlex.join(command) for command in commands(CLUSTER)]
    up, _, package, cluster_up, submit, query, rescale, status, stop, *down = typed
    shell.run(up)
    wanted = {"checkpoint.interval": "1s", "folds": "device,presence,alert"}
    set_properties(shell.properties, {"telefold.job": wanted})
    loaded = settings.load(shell.properties)
    with stores.open_rule_book(loaded) as book:
        await_in_force(book.put("damp", DAMP))
    records = list(generate(FLEET, time.time_ns() // 1_000_000 - SPAN_MS, SPAN_MS))
    half = len(records) // 2
    assert "sha256" in shell.run(package)
    assert "Flink's web page is http://127.0.0.1:" in shell.run(cluster_up)
    _send(loaded, records[:half])
    with VersionWatcher(loaded) as watcher:
        shell.run(submit)
        _await_rows(watcher)
        _kill(shell, *_api(shell).busy_task_managers())
        _send(loaded, records[half:])
        shell.run(f"{cluster_up} --rest-port {_rest_port(shell)}")
        _await_recovery(shell)
        assert "savepoint-" in shell.run("telefold savepoint")
        assert "at parallelism 2" in shell.run(rescale)
        _await_covered(shell, lambda progress: True)
        task_managers = _cluster(shell).task_managers
        _kill(shell, "job-manager")
        shell.run(f"{cluster_up} --rest-port {_rest_port(shell)}")
        assert _cluster(shell).task_managers == task_managers
        assert "runs from chk-" in shell.run(f"{submit} --parallelism 1")
        _await_all_read(shell)
        found = shell.said(status)
        assert "savepoint-" in shell.run(stop)
    assert [job["state"] for job in found["jobs"]] == ["RUNNING"]
    assert (found["slots"], found["free_slots"]) == (4, 3)
    assert len(shell.said(query)["rows"]) > 5
    account = reckon(loaded, (record.data for record in records))
    assert account.right, account
    assert set(transitions_told(loaded)) == transitions_in_the_log(loaded) != set()
    assert watcher.falls == []
    assert crash_logs(shell.folder) == []
    for line in down:
        shell.run(line)
    assert load(shell.paths) is None


def _send(loaded: settings.Settings, records: Any) -> None:
    client = aws.client("kinesis", loaded.source.region, loaded.source.endpoint)
    produce.send(client, loaded.source.name, records)
    client.close()


def _cluster(shell: Shell) -> Processes:
    cluster = load(shell.paths)
    assert cluster is not None
    return cluster


def _rest_port(shell: Shell) -> int:
    return _cluster(shell).job_manager.port


def _kill(shell: Shell, name: str) -> None:
    cluster = _cluster(shell)
    (process,) = (one for one in (cluster.job_manager, *cluster.task_managers) if one.name == name)
    os.kill(process.pid, signal.SIGKILL)


def _await_rows(watcher: VersionWatcher) -> None:
    until(lambda: watcher.advances)


def _await_recovery(shell: Shell) -> None:
    """Until the job, still the same one, has noticed what it lost and goes on."""
    api = _api(shell)
    (job,) = api.jobs()
    until(lambda: api.failure(job.id) and api.all_tasks_run(job.id), told=shell.logs)


def _await_all_read(shell: Shell) -> None:
    """Until everything that had been sent is in the stores."""
    sent_at = time.time()
    _await_covered(shell, lambda progress: has_read_past(progress, sent_at, time.time()))


def _await_covered(shell: Shell, condition: Callable[[Progress], bool]) -> None:
    """Until a checkpoint has covered what was true of the job."""
    api = _api(shell)
    (job,) = api.jobs()
    until(JobApi(api.address, job.id).progress, CoveredBy(condition), told=shell.logs)


def _api(shell: Shell) -> ClusterApi:
    return ClusterApi(f"http://127.0.0.1:{_rest_port(shell)}")
