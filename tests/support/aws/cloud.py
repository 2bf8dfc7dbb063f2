"""All of AWS that a deploy meets: ours for stacks and the application, moto's S3, CloudWatch and logs beside them."""

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlparse

import boto3

from telefold.deploy.managed.poller import Poller
from telefold.deploy.managed.site import Clients
from tests.support.aws.application import Application, Behaviour, Job
from tests.support.aws.clock import Clock
from tests.support.aws.flink import Flink
from tests.support.aws.server import Server
from tests.support.aws.stacks import Stacks
from tests.support.aws.templates import REGION
from tests.support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_cloudwatch.type_defs import DimensionTypeDef, MetricDatumTypeDef
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kinesis import KinesisClient
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client

_TRACEBACK = """--------------------------- Python Process Started --------------------------
Traceback (most recent call last):
  File "main.py", line 3, in <module>
    from telefold.jobs.settings import load
ModuleNotFoundError: No module named 'telefold'"""
_THROWN = """java.lang.RuntimeException: Error while processing
\tat org.apache.flink.streaming.runtime.tasks.StreamTask.invoke(StreamTask.java:1)
Caused by: telefold.schemas.errors.StoreRefused: DynamoDB denies access: give the role the right to write"""


class _Moto(NamedTuple):
    """Clients of what moto serves."""

    s3: "S3Client"
    cloudwatch: "CloudWatchClient"
    logs: "CloudWatchLogsClient"
    kinesis: "KinesisClient"
    dynamodb: "DynamoDBClient"
    kms: "KMSClient"

    @classmethod
    def at(cls, url: str) -> "_Moto":
        session = _session()
        return cls(
            s3=session.client("s3", endpoint_url=url),
            cloudwatch=session.client("cloudwatch", endpoint_url=url),
            logs=session.client("logs", endpoint_url=url),
            kinesis=session.client("kinesis", endpoint_url=url),
            dynamodb=session.client("dynamodb", endpoint_url=url),
            kms=session.client("kms", endpoint_url=url),
        )


class Cloud:
    """One account, empty at first. `clock` is its time."""

    def __init__(self, moto_url: str) -> None:
        self.clock = Clock()
        self._moto = _Moto.at(moto_url)
        self.flink = Flink(self.clock, self._minute)
        self.stacks = Stacks(self.clock, self.flink, self._fetch, self._made)
        self.stream_of: dict[str, str] = {}
        """What each application reads, if it is not the stream of its stack."""
        self.moto_url = moto_url
        self.url = ""

    def clients(self, *, alone: bool = False) -> Clients:
        """Those of S3 and so on are the cloud's own too, unless they are to be used `alone`."""
        moto = _Moto.at(self.moto_url) if alone else self._moto
        ours = _session()
        return Clients(
            cloudformation=ours.client("cloudformation", endpoint_url=self.url),
            application=ours.client("kinesisanalyticsv2", endpoint_url=self.url),
            **moto._asdict(),
        )

    def poller(self) -> Poller:
        return Poller(self.clock.now, self.clock.sleep, every_s=30)

    def _fetch(self, url: str) -> str:
        parts = urlparse(url)
        bucket = parts.netloc.partition(".")[0]
        return str(self._moto.s3.get_object(Bucket=bucket, Key=parts.path[1:])["Body"].read().decode())

    def _made(self, kind: str, properties: dict[str, Any]) -> str | None:
        """The name that AWS chose, where the template does not say one."""
        if kind == "AWS::S3::Bucket":
            self._moto.s3.create_bucket(Bucket=properties["BucketName"])
            self._moto.s3.put_bucket_versioning(
                Bucket=properties["BucketName"], VersioningConfiguration=properties["VersioningConfiguration"]
            )
        elif kind == "AWS::KMS::Key":
            made = self._moto.kms.create_key(Description=properties["Description"])
            return str(made["KeyMetadata"]["KeyId"])
        elif kind == "AWS::Kinesis::Stream":
            self._moto.kinesis.create_stream(StreamName=properties["Name"], ShardCount=1)
        elif kind == "AWS::DynamoDB::Table":
            names = ("TableName", "BillingMode", "AttributeDefinitions", "KeySchema", "DeletionProtectionEnabled")
            self._moto.dynamodb.create_table(**{name: properties[name] for name in names})
        elif kind == "AWS::Logs::LogGroup":
            self._moto.logs.create_log_group(logGroupName=properties["LogGroupName"])
        elif kind == "AWS::Logs::LogStream":
            self._moto.logs.create_log_stream(
                logGroupName=properties["LogGroupName"], logStreamName=properties["LogStreamName"]
            )
        return None

    def _minute(self, application: Application, job: Job) -> None:
        """What the service publishes of a minute of this job."""
        n, environment = job.minutes, application.name.removeprefix("telefold-")
        name = self.stream_of.get(application.name, f"{environment}-telemetry")
        stream = {"Application": application.name, "Flow": "Input", "Id": name}
        match job.behaviour:
            case Behaviour.SILENT:
                if n == 1:
                    self._log("org.apache.flink.client.python.PythonDriver", _TRACEBACK.splitlines())
                return
            case Behaviour.LOOPS:
                self._publish("numRestarts", 6 * n, {"Application": application.name})
                self._log(
                    "org.apache.flink.runtime.executiongraph.ExecutionGraph",
                    ["fold switched from RUNNING to FAILED"],
                    _THROWN,
                )
            case Behaviour.LAGS:
                self._publish("millisBehindLatest", 120_000 + 60_000 * n, stream)
            case Behaviour.CATCHES_UP:
                self._publish("millisBehindLatest", 7_200_000 - 600_000 * n, stream)
            case _:
                self._publish("millisBehindLatest", -1 if n == 1 else 200, stream)
        if job.behaviour is not Behaviour.LOOPS:
            self._publish("numRestarts", 0, {"Application": application.name})
            self._publish("lastCheckpointDuration", 900, {"Application": application.name})
            self._publish("numberOfFailedCheckpoints", 0, {"Application": application.name})

    def _publish(self, name: str, value: float, dimensions: dict[str, str]) -> None:
        at = datetime.fromtimestamp(self.clock.now() - 30, UTC)
        named: list[DimensionTypeDef] = [{"Name": key, "Value": one} for key, one in dimensions.items()]
        datum: MetricDatumTypeDef = {"MetricName": name, "Value": value, "Timestamp": at, "Dimensions": named}
        self._moto.cloudwatch.put_metric_data(Namespace="AWS/KinesisAnalytics", MetricData=[datum])

    def _log(self, logger: str, lines: list[str], thrown: str | None = None) -> None:
        at = int(self.clock.now() * 1_000)
        events: list[dict[str, Any]] = [{"logger": logger, "message": line, "messageType": "INFO"} for line in lines]
        if thrown:
            events = [one | {"throwableInformation": thrown.splitlines()} for one in events]
        groups = self._moto.logs.describe_log_groups(logGroupNamePrefix="/aws/kinesis-analytics/")["logGroups"]
        self._moto.logs.put_log_events(
            logGroupName=groups[0]["logGroupName"],
            logStreamName="job",
            logEvents=[{"timestamp": at, "message": json.dumps(one)} for one in events],
        )


@cache
def _session() -> boto3.Session:
    return boto3.Session("testing", "testing", region_name=REGION)


@contextmanager
def serving(moto_url: str) -> Iterator[Cloud]:
    """A cloud of its own, whatever was in moto before."""
    _reset(moto_url)
    cloud = Cloud(moto_url)
    with Server(cloud.flink.call, cloud.stacks.call, cloud.clock.lock) as server:
        cloud.url = server.url
        yield cloud


def _reset(moto_url: str) -> None:
    request = urllib.request.Request(f"{moto_url}/moto-api/reset", data=b"", method="POST")
    urllib.request.urlopen(request, timeout=PATIENCE_S).close()
