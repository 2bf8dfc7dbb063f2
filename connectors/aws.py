"""The one place where AWS clients are made."""

import os
from functools import cache
from typing import TYPE_CHECKING, Literal, TypedDict, Unpack, cast, overload

import boto3
import botocore.config
import botocore.loaders
import botocore.session

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kinesis import KinesisClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient

_EMULATOR_KEY = "local"
_AT_LEAST = {"metadata_service_timeout": 2, "metadata_service_num_attempts": 4}
"""The least patience with a cloud machine's metadata, where a role's credentials are: botocore asks once, for 1 s."""


class Keys(TypedDict, total=False):
    """Credentials, as boto3 takes them."""

    aws_access_key_id: str
    aws_secret_access_key: str


class Options(TypedDict, total=False):
    """Options that may differ between clients: by default 10 `connections`, 3 `attempts`, 10 s to read."""

    connections: int
    attempts: int
    read_timeout: float
    validate: bool


@overload
def client(
    service: Literal["dynamodb"], region: str | None, endpoint: str | None = None, **options: Unpack[Options]
) -> "DynamoDBClient": ...


@overload
def client(
    service: Literal["kinesis"], region: str | None, endpoint: str | None = None, **options: Unpack[Options]
) -> "KinesisClient": ...


@overload
def client(
    service: Literal["s3"], region: str | None, endpoint: str | None = None, **options: Unpack[Options]
) -> "S3Client": ...


@overload
def client(
    service: Literal["secretsmanager"], region: str | None, endpoint: str | None = None, **options: Unpack[Options]
) -> "SecretsManagerClient": ...


def client(
    service: Literal["dynamodb", "kinesis", "s3", "secretsmanager"],
    region: str | None,
    endpoint: str | None = None,
    **options: Unpack[Options],
) -> "DynamoDBClient | KinesisClient | S3Client | SecretsManagerClient":
    """A boto3 client that gives up on a silent server: 2 s to connect, `read_timeout` to read, `attempts` in all.

    Without `validate`, requests are checked by the server alone, which saves half of the CPU of a large one.
    An `http://` endpoint is an emulator: where no credentials are configured it gets made-up ones, and neither a
    cloud machine's metadata nor an HTTP proxy is asked. Everything else goes by boto3's normal chain. Without a
    `region` it is that of the machine.
    """
    session = _session()
    region = region or own_region()
    config = _config(**options)
    keys = emulator_keys(endpoint, session)
    if is_emulator(endpoint):
        config = config.merge(botocore.config.Config(proxies={}))
    made = session.create_client(service, region_name=region, endpoint_url=endpoint, config=config, **keys)
    return cast("DynamoDBClient | KinesisClient | S3Client | SecretsManagerClient", made)


def own_region() -> str | None:
    """The region that this machine is told to be in: AWS_REGION, which botocore does not read, or what it reads."""
    return os.environ.get("AWS_REGION") or boto3.Session().region_name


def session(region: str | None) -> boto3.Session:
    """A session whose clients are of AWS and as `client` makes them.

    Clients of one session share one look for credentials: several are made several times as fast.
    """
    made = _session()
    made.set_default_client_config(_config())
    return boto3.Session(botocore_session=made, region_name=region or own_region())


def is_emulator(endpoint: str | None) -> bool:
    return endpoint is not None and endpoint.startswith("http://")


def emulator_keys(endpoint: str | None, session: botocore.session.Session | None = None) -> Keys:
    """Made-up credentials for an emulator; empty where real ones are to be found."""
    if not is_emulator(endpoint):
        return {}
    session = session or _session()
    session.get_component("credential_provider").remove("iam-role")
    if session.get_credentials() is not None:
        return {}
    return {"aws_access_key_id": _EMULATOR_KEY, "aws_secret_access_key": _EMULATOR_KEY}


def _session() -> botocore.session.Session:
    """A session that asks a cloud machine's metadata more than once, and as often as is configured if that is more."""
    session = botocore.session.Session()
    session.register_component("data_loader", _models(session.get_config_variable("data_path")))
    for name, least in _AT_LEAST.items():
        session.set_config_variable(name, max(least, int(session.get_config_variable(name))))
    return session


@cache
def _models(search_path: str | None) -> botocore.loaders.Loader:
    """What services are like: to read that is most of what a client costs, and it is read once a process."""
    return botocore.loaders.create_loader(search_path)


def _config(
    connections: int = 10, attempts: int = 3, read_timeout: float = 10, validate: bool = True
) -> botocore.config.Config:
    return botocore.config.Config(
        connect_timeout=2,
        read_timeout=read_timeout,
        max_pool_connections=connections,
        parameter_validation=validate,
        retries={"total_max_attempts": attempts, "mode": "standard"},
    )
