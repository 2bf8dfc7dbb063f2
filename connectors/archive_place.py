"""The place of an archive: a folder or a bucket of S3, which is AWS's unless AWS_ENDPOINT_URL_S3 names another.

pyarrow takes a while to import, so only opening an archive does it.
"""

import os
from contextlib import closing
from pathlib import Path
from typing import Any

from telefold.schemas.errors import ArchiveError

_S3 = "s3://"
_ENDPOINT = "AWS_ENDPOINT_URL_S3"


def is_in_s3(path: str | None) -> bool:
    return path is not None and path.startswith(_S3)


def s3_endpoint() -> str | None:
    """The URL of the S3 to use instead of AWS's own."""
    return os.environ.get(_ENDPOINT) or None


def check_place(path: str, *, to_write: bool, region: str | None = None) -> None:
    """Raise ArchiveError saying what to do unless there can be an archive at `path`, and `to_write` it, one can.

    Of S3 the bucket must be there and be readable; that it is writable only a write could tell. It is asked in `region`
    where the machine is told none.
    """
    if is_in_s3(path):
        _check_bucket(path, region)
    elif to_write:
        _check_folder(path)


def filesystem_of(path: str, region: str | None = None) -> tuple[Any, str]:
    """The file system of pyarrow for `path`, and the path in it; OSError where that cannot be told."""
    from pyarrow import fs

    if is_in_s3(path):
        root = path.removeprefix(_S3)
        if endpoint := s3_endpoint():
            return _s3_at(endpoint), root
        return fs.S3FileSystem(region=_region_of(root.partition("/")[0], region)), root
    found: tuple[Any, str] = fs.FileSystem.from_uri(path)
    return found


def _s3_at(endpoint: str) -> Any:
    """pyarrow heeds the variable from version 16 on; Flink's Python is bound to 11."""
    from pyarrow import fs

    from telefold.connectors import aws

    scheme, _, host = endpoint.rstrip("/").partition("://")
    keys = aws.emulator_keys(endpoint)
    return fs.S3FileSystem(
        endpoint_override=host,
        scheme=scheme,
        region=aws.own_region() or "us-east-1",
        access_key=keys.get("aws_access_key_id"),
        secret_key=keys.get("aws_secret_access_key"),
    )


def _region_of(bucket: str, region: str | None) -> str | None:
    """The region of the bucket; asked in the region at hand, because a private network has no way to any other.

    OSError where it cannot be asked.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    from telefold.connectors import aws

    try:
        with closing(aws.client("s3", aws.own_region() or region)) as s3:
            headers = s3.head_bucket(Bucket=bucket)["ResponseMetadata"]["HTTPHeaders"]
    except ClientError as error:  # a refusal says where the bucket is too
        headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    except BotoCoreError as error:
        raise OSError(str(error)) from error
    found = headers.get("x-amz-bucket-region")
    return found or aws.own_region() or region


def _check_bucket(path: str, region: str | None) -> None:
    from botocore.exceptions import BotoCoreError, ClientError

    from telefold.connectors import aws

    bucket, _, prefix = path.removeprefix(_S3).partition("/")
    endpoint = s3_endpoint()
    where = f" at {endpoint}" if endpoint else ""
    try:
        with closing(aws.client("s3", aws.own_region() or region, endpoint)) as s3:
            s3.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1)
    except (ClientError, BotoCoreError) as error:
        if getattr(error, "response", {}).get("Error", {}).get("Code") == "NoSuchBucket":
            raise ArchiveError(
                f"There is no bucket {bucket} in S3{where}: create it, or correct telefold.archive/path."
            ) from None
        raise ArchiveError(
            f"The archive at {path} cannot be reached ({str(error).rstrip('.')}): check telefold.archive/path, the "
            f"credentials and their right to the bucket, and {_ENDPOINT} if it is set."
        ) from error


def _check_folder(path: str) -> None:
    """The nearest folder that is there must let new ones be made in it."""
    root = Path(path.removeprefix("file://"))
    there = next(folder for folder in (root, *root.parents) if os.path.exists(folder))
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        why = "may not be written to by this user" if there.is_dir() else "is not a folder"
        raise ArchiveError(
            f"The archive at {path} cannot be written, for {there} {why}:"
            " change that, or correct telefold.archive/path."
        )
