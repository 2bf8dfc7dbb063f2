"""What tests of deploys do with an emulated cloud."""

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from telefold.deploy.managed import deployment, environments
from telefold.deploy.managed.deployment import Deployed
from telefold.deploy.managed.releases import Record, code_key
from telefold.deploy.managed.site import Clients, Site
from telefold.schemas.errors import DeployError
from tests.support.aws.application import Application, Behaviour, Job
from tests.support.aws.cloud import Cloud

PATIENCE_S = 1_200
_CHANGING = {
    "CreateApplicationSnapshot",
    "CreateChangeSet",
    "DeleteApplicationSnapshot",
    "DeleteBucket",
    "DeleteLogGroup",
    "DeleteObjects",
    "DeleteStack",
    "DeleteStream",
    "DeleteTable",
    "ExecuteChangeSet",
    "PutObject",
    "ScheduleKeyDeletion",
    "StartApplication",
    "StopApplication",
    "UpdateTable",
}


class Team:
    """Someone who deploys packages, named by a word each, to `dev`."""

    def __init__(self, cloud: Cloud, folder: Path) -> None:
        self.cloud = cloud
        self._folder = folder
        self.environment = environments.load("dev")
        self.said: list[str] = []

    def package(self, word: str, behaviour: Behaviour = Behaviour.WORKS) -> Path:
        path = self._folder / f"{word}.zip"
        path.write_bytes(word.encode())
        self.cloud.flink.behaviours[code_key(path)] = behaviour
        return path

    def site(self, clients: Clients | None = None) -> Site:
        return Site(self.environment, clients or self.cloud.clients(), self.cloud.poller(), self.said.append)

    def deploys(self, word: str, behaviour: Behaviour = Behaviour.WORKS, clients: Clients | None = None) -> Deployed:
        return deployment.deploy(self.site(clients), self.package(word, behaviour), PATIENCE_S)

    def rolls_back(self, clients: Clients | None = None, to: str | None = None) -> Deployed:
        release = to and Path(code_key(self._folder / f"{to}.zip")).stem[:8]
        return deployment.rollback(self.site(clients), PATIENCE_S, release)

    def sets(self, **parameters: str) -> None:
        """Edit the environment's file."""
        self.environment = replace(self.environment, parameters=self.environment.parameters | parameters)

    @property
    def application(self) -> Application:
        return self.cloud.flink.applications["telefold-dev"]

    @property
    def job(self) -> Job:
        assert self.application.status == "RUNNING"
        assert self.application.job is not None
        return self.application.job

    def runs(self, word: str) -> bool:
        """Whether job, application, stack and record agree on this package, and nothing is left to be done."""
        key = code_key(self._folder / f"{word}.zip")
        stack = self.cloud.stacks.stacks["telefold-dev"]
        assert stack.resolved is not None
        assert stack.status.endswith("_COMPLETE")
        assert self.record.attempt is None
        assert self.record.current is not None
        codes = {
            self.job.code,
            self.application.code,
            stack.resolved.parameters["CodeKey"],
            self.record.current.release.code,
        }
        return codes == {key}

    @property
    def record(self) -> Record:
        bucket = "telefold-dev-artifacts-123456789012-us-east-1"
        answer = self.cloud.clients().s3.get_object(Bucket=bucket, Key="releases/telefold-dev.json")
        return msgspec.json.decode(answer["Body"].read(), type=Record)

    def snapshot_names(self) -> set[str]:
        return {one.name for one in self.application.snapshots}


def fails(team: Team, word: str, behaviour: Behaviour) -> str:
    """What the deploy of this package says as it fails."""
    with pytest.raises(DeployError) as raised:
        team.deploys(word, behaviour)
    return str(raised.value)


class Interruption:
    """Ends whoever uses `clients` right after the `number`th request that changes something, as Ctrl-C would."""

    def __init__(self, cloud: Cloud, number: int) -> None:
        self.clients = cloud.clients()
        self.happened = False
        self._left = number
        for client in self.clients:
            client.meta.events.register("after-call", self._count)

    def _count(self, model: Any, **_: Any) -> None:
        """Uploads run in threads of their own; they are all or nothing anyway."""
        if self.happened or model.name not in _CHANGING or threading.current_thread() is not threading.main_thread():
            return
        self._left -= 1
        if self._left == 0:
            self.happened = True
            raise KeyboardInterrupt
