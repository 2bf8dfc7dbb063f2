"""The archive in S3, as a real S3 API serves it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from pyarrow import fs

from telefold.connectors import archive, aws
from telefold.connectors.archive import Archive
from telefold.deploy.local.tables import REGION
from telefold.schemas.errors import ArchiveError
from telefold.schemas.log_records import LogRecord

if TYPE_CHECKING:
    from mypy_boto3_s3.service_resource import Bucket

NOON = 1_769_860_800_000  # 2026-01-31T12:00:00Z
HOUR = 3_600_000
BUCKET = "telemetry-archive"
ROOT = f"{BUCKET}/events"
KEYS: aws.Keys = {"aws_access_key_id": "local", "aws_secret_access_key": "local"}


@pytest.fixture
def bucket(s3_endpoint: str) -> "Iterator[Bucket]":
    made = boto3.resource("s3", region_name=REGION, endpoint_url=s3_endpoint, **KEYS).Bucket(BUCKET)
    made.create()
    yield made
    made.objects.delete()
    made.delete()


@pytest.fixture
def s3(s3_endpoint: str, bucket: "Bucket") -> Any:
    return fs.S3FileSystem(
        endpoint_override=s3_endpoint.removeprefix("http://"),
        scheme="http",
        access_key="local",
        secret_key="local",
        region=REGION,
    )


def record(number: int, arrival: int, shard: str = "shard-0") -> LogRecord:
    return LogRecord(bytes([number % 256]) * 100, arrival, "device", shard, str(number))


def test_what_was_written_is_read_back_in_order(s3: Any, bucket: "Bucket") -> None:
    log = [record(n, NOON + n * HOUR // 100, f"shard-{n % 2}") for n in range(300)]
    for some in (log[200:], log[:100], log[100:200]):
        archive.write(ROOT, some, records_a_file=30, filesystem=s3)
    bucket.put_object(Key="events/day=2026-01-31/hour=12/shard=shard-0/.part-9.inprogress.1", Body=b"half")
    bucket.put_object(Key="events/day=2026-01-31/hour=12/shard=shard-0/_part-9", Body=b"half")
    opened = Archive(ROOT, s3)
    assert list(opened.read()) == log
    assert opened.ends() == {"shard-0": "298", "shard-1": "299"}
    assert [one.arrival for one in opened.read(NOON + HOUR, NOON + 2 * HOUR, ["shard-1"])] == [
        one.arrival for one in log if one.shard == "shard-1" and 100 <= int(one.sequence_number) < 200
    ]
    assert all(file.path.startswith(f"{ROOT}/day=2026-01-31/hour=1") for file in opened.files())


def test_a_file_that_is_removed_is_a_hole(s3: Any, bucket: "Bucket", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "_FILES_APPEAR_WITHIN_S", 0.0)
    paths = archive.write(ROOT, [record(n, NOON) for n in range(1, 10)], records_a_file=3, filesystem=s3)
    assert Archive(ROOT, s3).holes() == []
    bucket.Object(paths[1].removeprefix(f"{BUCKET}/")).delete()
    (hole,) = Archive(ROOT, s3).holes()
    assert (hole.behind, hole.last, hole.next) == ("3", "6", "7")


def test_files_as_any_other_program_puts_them_are_read(s3: Any, bucket: "Bucket") -> None:
    """S3 has no folders: what writes objects alone, as Flink does, leaves no marks of them."""
    (path,) = archive.write(ROOT, [record(1, NOON)], filesystem=s3)
    key = path.removeprefix(f"{BUCKET}/")
    content = bucket.Object(key).get()["Body"].read()
    bucket.objects.delete()
    bucket.put_object(Key=key, Body=content)
    assert list(Archive(ROOT, s3).read()) == [record(1, NOON)]


def test_the_variable_of_the_aws_sdks_says_where_s3_is(
    s3: Any, s3_endpoint: str, bucket: "Bucket", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3_endpoint)
    archive.write(f"s3://{ROOT}", [record(1, NOON)])
    assert list(Archive(ROOT, s3).read()) == [record(1, NOON)]
    assert list(Archive(f"s3://{ROOT}/").read()) == [record(1, NOON)]


def test_what_is_not_there_is_named(s3: Any, bucket: "Bucket") -> None:
    with pytest.raises(ArchiveError, match=f"no archive at {ROOT}: run the job"):
        Archive(ROOT, s3).files()
    with pytest.raises(ArchiveError, match="archive at no-such-bucket/events"):
        Archive("no-such-bucket/events", s3).files()


def test_a_damaged_file_is_named(s3: Any, bucket: "Bucket") -> None:
    (path,) = archive.write(ROOT, [record(n, NOON) for n in range(500)], filesystem=s3)
    whole = bucket.Object(path.removeprefix(f"{BUCKET}/"))
    whole.put(Body=whole.get()["Body"].read()[:-20])
    with pytest.raises(ArchiveError, match=f"file {path} is damaged"):
        list(Archive(ROOT, s3).read())
