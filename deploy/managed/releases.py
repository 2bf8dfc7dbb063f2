"""Releases of an environment, and the record of them in the artifact bucket: what ran, what runs, what is tried."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from botocore.exceptions import ClientError

from telefold.schemas.errors import DeployError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import PutObjectRequestTypeDef

_KEPT = 10
_BLOCK = 1024 * 1024
_HASH = 16


class Release(msgspec.Struct, frozen=True):
    """The parts of an application: objects of the artifact bucket, and what the template is given."""

    code: str
    template: str
    parameters: dict[str, str]
    tags: dict[str, str] = {}

    @property
    def short(self) -> str:
        """The first digits of the package's hash, for people."""
        return Path(self.code).stem[:8]


class Proven(msgspec.Struct, frozen=True):
    """A release that has been seen to work."""

    release: Release
    at: float
    """The time at which it was seen to work, in epoch seconds."""
    before: str | None
    """The snapshot of the release before, taken when this one was about to take its place."""
    proof: str
    """The snapshot that it took itself."""


class Attempt(msgspec.Struct, frozen=True):
    """A release that is not proven yet. It is noted before anything changes, so that whoever finds it can go on."""

    release: Release
    before: str | None
    """The snapshot to go back to, of the last release that was proven."""
    in_place: bool = True
    """Whether the job that runs can be updated as it runs; one that takes no snapshot has to be stopped first."""


class Record(msgspec.Struct, frozen=True):
    """The releases that were seen to work, newest last, and one that is being tried."""

    proven: tuple[Proven, ...] = ()
    attempt: Attempt | None = None

    @property
    def current(self) -> Proven | None:
        return self.proven[-1] if self.proven else None

    def trying(self, attempt: Attempt) -> "Record":
        return msgspec.structs.replace(self, attempt=attempt)

    def settled(self, proven: Proven | None = None) -> "Record":
        """Return the record without the attempt, which is `proven` now or was given up.

        The current release, proven anew, stays one.
        """
        if proven is None:
            return Record(self.proven)
        if self.current is not None and self.current.release == proven.release:
            again = msgspec.structs.replace(self.current, at=proven.at, proof=proven.proof)
            return Record((*self.proven[:-1], again))
        return Record((*self.proven, proven)[-_KEPT:])

    def earlier(self, short: str | None) -> tuple["Record", str | None] | None:
        """The record as of when an earlier release was the current one, and the snapshot which that one left.

        The release before the current one, or the newest earlier one of that name; None if there is none.
        """
        for place in range(len(self.proven) - 2, -1, -1):
            if short in (None, self.proven[place].release.short):
                return Record(self.proven[: place + 1]), self.proven[place + 1].before
        return None

    @property
    def snapshots(self) -> set[str]:
        """The snapshots that a rollback may ask for."""
        kept = {name for one in self.proven for name in (one.before, one.proof) if name}
        return kept | ({self.attempt.before} if self.attempt and self.attempt.before else set())


class Artifacts:
    """The artifact bucket. Packages and templates lie there under the hash of their content, never overwritten."""

    def __init__(self, client: "S3Client", bucket: str, application: str, say: Callable[[str], None]) -> None:
        self._client = client
        self._bucket = bucket
        self._record_key = f"releases/{application}.json"
        self._say = say

    def put_code(self, package: Path, key: str) -> None:
        if not self.has(key):
            self._say(f"uploading {package} ({package.stat().st_size / 1e6:,.1f} MB) as {key}")
            self._client.upload_file(str(package), self._bucket, key)

    def put_template(self, text: str) -> None:
        key = template_key(text)
        if not self.has(key):
            self._client.put_object(Bucket=self._bucket, Key=key, Body=text.encode())

    def url(self, key: str) -> str:
        """The URL that CloudFormation takes."""
        return f"https://{self._bucket}.s3.{self._client.meta.region_name}.amazonaws.com/{key}"

    def ledger(self) -> "Ledger":
        return Ledger(self._client, self._bucket, self._record_key)

    def has(self, key: str) -> bool:
        try:
            self._client.head_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                return False
            raise
        return True


class Ledger:
    """The record as it was read, and as this process changes it."""

    def __init__(self, client: "S3Client", bucket: str, key: str) -> None:
        self._client = client
        self._bucket = bucket
        self._key = key
        self.record, self._mark = self._load()

    def note(self, record: Record) -> None:
        """Write it; raises DeployError if somebody else has written since it was read."""
        request: PutObjectRequestTypeDef = {
            "Bucket": self._bucket,
            "Key": self._key,
            "Body": msgspec.json.encode(record),
        }
        if self._mark is None:
            request["IfNoneMatch"] = "*"
        else:
            request["IfMatch"] = self._mark
        try:
            answer = self._client.put_object(**request)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] in (409, 412):
                raise DeployError(
                    "Somebody else deploys to this environment at the same time: wait for them, then run this again."
                ) from error
            raise
        self.record, self._mark = record, answer["ETag"]

    def _load(self) -> tuple[Record, str | None]:
        """Load the record and the mark of the version that was read; None if there is none yet."""
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=self._key)
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchKey":
                return Record(), None
            raise
        return msgspec.json.decode(answer["Body"].read(), type=Record), answer["ETag"]


def code_key(package: Path) -> str:
    """The key of the package in the bucket; raises DeployError if there is no such file."""
    digest = hashlib.sha256()
    try:
        with package.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    except OSError as error:
        raise DeployError(
            f"There is no package {package} ({error.strerror}): run `telefold package` first, or name it with --zip."
        ) from error
    return f"code/{digest.hexdigest()[:_HASH]}.zip"


def template_key(text: str) -> str:
    return f"templates/{hashlib.sha256(text.encode()).hexdigest()[:_HASH]}.yaml"
