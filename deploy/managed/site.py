"""One environment in AWS: its stacks, its artifacts, its application, and what they say of themselves."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from connectors import aws
from deploy.managed import causes, holders
from deploy.managed.application import Application
from deploy.managed.environments import APPLICATION_TEMPLATE, ARTIFACTS_TEMPLATE, Environment
from deploy.managed.health import Metrics
from deploy.managed.holders import Holders
from deploy.managed.pace import Pace
from deploy.managed.proof import Proof
from deploy.managed.releases import Artifacts, Release, code_key, template_key
from deploy.managed.stacks import Stacks, Wanted
from schemas.errors import DeployError


class Clients(NamedTuple):
    """boto3's, of one region."""

    s3: Any
    cloudformation: Any
    application: Any
    cloudwatch: Any
    logs: Any
    kinesis: Any
    dynamodb: Any
    kms: Any

    @classmethod
    def of(cls, region: str | None) -> "Clients":
        names = ("s3", "cloudformation", "kinesisanalyticsv2", "cloudwatch", "logs", "kinesis", "dynamodb", "kms")
        return cls(*aws.clients(names, region))


class Site:
    """`say` is told each step."""

    def __init__(self, environment: Environment, clients: Clients, pace: Pace, say: Callable[[str], None]) -> None:
        self.environment = environment
        self.clients = clients
        self.pace = pace
        self.say = say
        self.stacks = Stacks(clients.cloudformation, pace, say)
        self.holders = Holders(
            holders.Clients(clients.s3, clients.kinesis, clients.dynamodb, clients.logs, clients.kms), pace
        )
        self.application = Application(clients.application, environment.application, pace, say)

    def find_artifacts(self) -> Artifacts | None:
        """None where nothing was ever deployed."""
        bucket = self.stacks.outputs(self.environment.artifact_stack).get("ArtifactBucket")
        if bucket is None:
            return None
        return Artifacts(self.clients.s3, bucket, self.application.name, self.say)

    def artifacts(self) -> Artifacts:
        """Raises DeployError where nothing was ever deployed."""
        found = self.find_artifacts()
        if found is None:
            name = self.environment.name
            raise DeployError(f"Environment {name} is not there yet: run `telefold deploy --env {name}`.")
        return found

    def artifact_stack(self) -> Wanted:
        parameters = {"Environment": self.environment.name}
        text = ARTIFACTS_TEMPLATE.read_text("utf-8")
        return Wanted(self.environment.artifact_stack, text, parameters, self.environment.tags)

    def application_stack(self, release: Release) -> Wanted:
        """Its template lies in the bucket already."""
        url = self.artifacts().url(release.template)
        return Wanted(self.environment.application_stack, url, release.parameters, release.tags)

    def release(self, package: Path) -> Release:
        """What a deploy of the package makes of this environment; its template is put into the bucket."""
        code, text = code_key(package), APPLICATION_TEMPLATE.read_text("utf-8")
        self.artifacts().put_template(text)
        outputs = self.stacks.outputs(self.environment.artifact_stack)
        parameters = {key: outputs[key] for key in ("ArtifactBucket", "ArtifactKeyArn")} | {"CodeKey": code}
        return Release(code, template_key(text), self.environment.parameters | parameters, self.environment.tags)

    def metrics(self) -> Metrics | None:
        """Of the job; None as long as its stack has not been made."""
        stream = self._outputs().get("EventStream")
        return None if stream is None else Metrics(self.clients.cloudwatch, self.application.name, stream)

    def proof(self, began: float) -> Proof:
        """Of the job that runs now, whose start began then (epoch seconds)."""
        outputs = self._outputs()
        return Proof(
            self.application,
            Metrics(self.clients.cloudwatch, self.application.name, outputs["EventStream"]),
            self.pace,
            self.say,
            lambda: not causes.program_failed(self.clients.logs, outputs["JobLogs"], began),
        )

    def cause(self, since: float) -> str:
        """What the service and the log say of failures since then (epoch seconds), a line each."""
        failed = [f"{one.kind}: {one.error}" for one in self.application.failures(since) if one.error]
        group = self._outputs().get("JobLogs")
        lines = failed + (causes.cause(self.clients.logs, group, since) if group else [])
        return "\n".join(f"  {line}" for line in lines or ["Neither the service nor the job's log says why."])

    def _outputs(self) -> dict[str, str]:
        return self.stacks.outputs(self.environment.application_stack)
