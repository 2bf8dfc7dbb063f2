"""An environment in AWS: its stacks, its artifacts, its application, and what they say of themselves."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from telefold.connectors import aws
from telefold.deploy.managed import causes, holders
from telefold.deploy.managed.application import Application
from telefold.deploy.managed.environments import APPLICATION_TEMPLATE, ARTIFACTS_TEMPLATE, Environment
from telefold.deploy.managed.health import Metrics
from telefold.deploy.managed.health_gate import HealthGate
from telefold.deploy.managed.holders import Holders
from telefold.deploy.managed.poller import Poller
from telefold.deploy.managed.releases import Artifacts, Release, code_key, template_key
from telefold.deploy.managed.stacks import Stacks, Wanted
from telefold.schemas.errors import DeployError

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kinesis import KinesisClient
    from mypy_boto3_kinesisanalyticsv2 import KinesisAnalyticsV2Client
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client


class Clients(NamedTuple):
    """The clients of boto3, for one region."""

    s3: "S3Client"
    cloudformation: "CloudFormationClient"
    application: "KinesisAnalyticsV2Client"
    cloudwatch: "CloudWatchClient"
    logs: "CloudWatchLogsClient"
    kinesis: "KinesisClient"
    dynamodb: "DynamoDBClient"
    kms: "KMSClient"

    @classmethod
    def of(cls, region: str | None) -> "Clients":
        session = aws.session(region)
        return cls(
            s3=session.client("s3"),
            cloudformation=session.client("cloudformation"),
            application=session.client("kinesisanalyticsv2"),
            cloudwatch=session.client("cloudwatch"),
            logs=session.client("logs"),
            kinesis=session.client("kinesis"),
            dynamodb=session.client("dynamodb"),
            kms=session.client("kms"),
        )


class Site:
    """An environment and its clients; `say` is called with each step."""

    def __init__(self, environment: Environment, clients: Clients, poller: Poller, say: Callable[[str], None]) -> None:
        self.environment = environment
        self.clients = clients
        self.poller = poller
        self.say = say
        self.stacks = Stacks(clients.cloudformation, poller, say)
        self.holders = Holders(
            holders.Clients(clients.s3, clients.kinesis, clients.dynamodb, clients.logs, clients.kms), poller
        )
        self.application = Application(clients.application, environment.application, poller, say)

    def find_artifacts(self) -> Artifacts | None:
        """The bucket of packages; None where nothing was ever deployed."""
        bucket = self.stacks.outputs(self.environment.artifact_stack).get("ArtifactBucket")
        if bucket is None:
            return None
        return Artifacts(self.clients.s3, bucket, self.application.name, self.say)

    def artifacts(self) -> Artifacts:
        """The bucket of packages; raises DeployError where nothing was ever deployed."""
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
        """The application's stack, whose template lies in the bucket already."""
        url = self.artifacts().url(release.template)
        return Wanted(self.environment.application_stack, url, release.parameters, release.tags)

    def release(self, package: Path) -> Release:
        """Make a release of the package for this environment; its template is put into the bucket."""
        code, text = code_key(package), APPLICATION_TEMPLATE.read_text("utf-8")
        self.artifacts().put_template(text)
        outputs = self.stacks.outputs(self.environment.artifact_stack)
        parameters = {key: outputs[key] for key in ("ArtifactBucket", "ArtifactKeyArn")} | {"CodeKey": code}
        return Release(code, template_key(text), self.environment.parameters | parameters, self.environment.tags)

    def metrics(self) -> Metrics | None:
        """The metrics of the job; None as long as its stack has not been made."""
        stream = self._outputs().get("EventStream")
        return None if stream is None else Metrics(self.clients.cloudwatch, self.application.name, stream)

    def health_gate(self, began: float) -> HealthGate:
        """The proof of the job that runs now, whose start began then (epoch seconds)."""
        outputs = self._outputs()
        return HealthGate(
            self.application,
            Metrics(self.clients.cloudwatch, self.application.name, outputs["EventStream"]),
            self.poller,
            self.say,
            lambda: not causes.program_failed(self.clients.logs, outputs["JobLogs"], began),
        )

    def cause(self, since: float) -> str:
        """The failures since then (epoch seconds), as the service and the log say, a line each."""
        failed = [f"{one.kind}: {one.error}" for one in self.application.failures(since) if one.error]
        group = self._outputs().get("JobLogs")
        lines = failed + (causes.cause(self.clients.logs, group, since) if group else [])
        return "\n".join(f"  {line}" for line in lines or ["Neither the service nor the job's log says why."])

    def _outputs(self) -> dict[str, str]:
        return self.stacks.outputs(self.environment.application_stack)
