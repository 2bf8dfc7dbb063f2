"""Deletion of the parts of a stack that hold data: a stack leaves them, whatever becomes of it."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from botocore.exceptions import ClientError

from telefold.deploy.managed.poller import Poller
from telefold.deploy.managed.stacks import Part

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kinesis import KinesisClient
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef

KEY_DAYS = 30
"""A key is gone so long after its deletion was asked for; until then it can be cancelled."""
_GONE = (
    "ResourceNotFoundException",
    "NoSuchBucket",
    "NotFoundException",
    "404",
    "KMSInvalidStateException",  # of a key that waits for its deletion
)
_NOT_NOW = ("ResourceInUseException", "LimitExceededException", "OperationAborted", "BucketNotEmpty")
_PATIENCE_S = 900
_OBJECTS_A_CALL = 1_000


class Clients(NamedTuple):
    """The clients of boto3, for one region."""

    s3: "S3Client"
    kinesis: "KinesisClient"
    dynamodb: "DynamoDBClient"
    logs: "CloudWatchLogsClient"
    kms: "KMSClient"


class Holders:
    """Deletes what holds data, each for good. What is gone already is no error."""

    def __init__(self, clients: Clients, poller: Poller) -> None:
        self._clients = clients
        self._poller = poller
        self._deletes: dict[str, Callable[[str], None]] = {
            "AWS::Kinesis::Stream": self._stream,
            "AWS::DynamoDB::Table": self._table,
            "AWS::S3::Bucket": self._bucket,
            "AWS::Logs::LogGroup": self._log_group,
            "AWS::KMS::Key": self._key,
        }

    def among(self, parts: Iterable[Part]) -> list[Part]:
        """Keys come last: what they encrypt is deleted before."""
        order = list(self._deletes)
        held = [part for part in parts if part.type in self._deletes and part.name]
        return sorted(held, key=lambda part: (order.index(part.type), part.name))

    def delete(self, part: Part) -> None:
        """Delete a part, and wait for it while it is being changed."""
        self._poller.until(lambda: self._try(part), _PATIENCE_S, f"The deletion of {part.name}")

    def _try(self, part: Part) -> bool | None:
        try:
            self._deletes[part.type](part.name)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in _NOT_NOW:
                return None
            if code not in _GONE:
                raise
        return True

    def _stream(self, name: str) -> None:
        self._clients.kinesis.delete_stream(StreamName=name, EnforceConsumerDeletion=True)

    def _table(self, name: str) -> None:
        if self._clients.dynamodb.describe_table(TableName=name)["Table"].get("DeletionProtectionEnabled"):
            self._clients.dynamodb.update_table(TableName=name, DeletionProtectionEnabled=False)
        self._clients.dynamodb.delete_table(TableName=name)

    def _bucket(self, name: str) -> None:
        """Delete the bucket with every version of every object."""
        pages = self._clients.s3.get_paginator("list_object_versions").paginate(
            Bucket=name, PaginationConfig={"PageSize": _OBJECTS_A_CALL}
        )
        for page in pages:
            versions = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            objects: list[ObjectIdentifierTypeDef] = [
                {"Key": one["Key"], "VersionId": one["VersionId"]} for one in versions
            ]
            if objects:
                self._clients.s3.delete_objects(Bucket=name, Delete={"Objects": objects, "Quiet": True})
        self._clients.s3.delete_bucket(Bucket=name)

    def _log_group(self, name: str) -> None:
        self._clients.logs.delete_log_group(logGroupName=name)

    def _key(self, name: str) -> None:
        self._clients.kms.schedule_key_deletion(KeyId=name, PendingWindowInDays=KEY_DAYS)
