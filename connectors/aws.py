"""The one place where AWS clients are made."""

import os
from collections.abc import Sequence
from typing import Any

import boto3  # type: ignore[import-untyped]
import botocore.config  # type: ignore[import-untyped]
import botocore.session  # type: ignore[import-untyped]

_EMULATOR_KEY = "local"
_AT_LEAST = {"metadata_service_timeout": 2, "metadata_service_num_attempts": 4}
"""Of a cloud machine's metadata, where a role's credentials are: botocore asks once and waits for a second."""


def client(
    service: str,
    region: str | None,
    endpoint: str | None = None,
    *,
    connections: int = 10,
    attempts: int = 3,
    read_timeout: float = 10,
    validate: bool = True,
) -> Any:
    """A boto3 client that gives up on a silent server: 2 s to connect, `read_timeout` to read, `attempts` in all.

    Without `validate`, requests are checked by the server alone, which saves half of the CPU of a large one.
    An `http://` endpoint is an emulator: where no credentials are configured it gets made-up ones, and neither a
    cloud machine's metadata nor an HTTP proxy is asked. Everything else goes by boto3's normal chain. Without a
    `region` it is that of the machine.
    """
    session = _session()
    region = region or own_region()
    config = _config(connections, attempts, read_timeout, validate)
    keys = emulator_keys(endpoint, session)
    if is_emulator(endpoint):
        config = config.merge(botocore.config.Config(proxies={}))
    return boto3.Session(botocore_session=session, region_name=region).client(
        service, endpoint_url=endpoint, config=config, **keys
    )


def own_region() -> str | None:
    """The region that this machine is told to be in: AWS_REGION, which botocore does not read, or what it reads."""
    return os.environ.get("AWS_REGION") or boto3.Session().region_name


def clients(services: Sequence[str], region: str | None) -> list[Any]:
    """One of AWS for each service, as `client` makes them, with one look for credentials: several times as fast."""
    session = boto3.Session(botocore_session=_session(), region_name=region or own_region())
    return [session.client(service, config=_config()) for service in services]


def is_emulator(endpoint: str | None) -> bool:
    return endpoint is not None and endpoint.startswith("http://")


def emulator_keys(endpoint: str | None, session: Any = None) -> dict[str, str]:
    """Made-up credentials for an emulator, as boto3 takes them; empty where real ones are to be found."""
    if not is_emulator(endpoint):
        return {}
    session = session or _session()
    session.get_component("credential_provider").remove("iam-role")
    if session.get_credentials() is not None:
        return {}
    return {"aws_access_key_id": _EMULATOR_KEY, "aws_secret_access_key": _EMULATOR_KEY}


def _session() -> Any:
    """A session that asks a cloud machine's metadata more than once, and as often as is configured if that is more."""
    session = botocore.session.Session()
    for name, least in _AT_LEAST.items():
        session.set_config_variable(name, max(least, int(session.get_config_variable(name))))
    return session


def _config(connections: int = 10, attempts: int = 3, read_timeout: float = 10, validate: bool = True) -> Any:
    return botocore.config.Config(
        connect_timeout=2,
        read_timeout=read_timeout,
        max_pool_connections=connections,
        parameter_validation=validate,
        retries={"total_max_attempts": attempts, "mode": "standard"},
    )
