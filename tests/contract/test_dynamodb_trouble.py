"""DynamoDB that cannot be used: no table, no server, no credentials, and what its errors mean."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, NoCredentialsError, NoRegionError

from telefold.connectors import aws
from telefold.connectors.dynamodb_errors import translated
from telefold.connectors.view_writer import ViewStores
from telefold.deploy.local import servers, tables
from telefold.deploy.local.tables import REGION
from telefold.schemas.errors import StoreRefused, StoreUnavailable
from tests.support.open_stores import dynamodb_reader, dynamodb_writer
from tests.support.view_rows import rows

if TYPE_CHECKING:
    from botocore.exceptions import _ResponseMetadataTypeDef


def _each_use(table: str, endpoint: str | None, region: str | None = REGION) -> Iterator[Callable[[], object]]:
    writer, reader = dynamodb_writer(table, endpoint), dynamodb_reader(table, endpoint)
    yield writer.check
    yield lambda: writer.write(rows(3))
    yield lambda: writer.write(rows(60))
    yield lambda: reader.get("device#1", "a")
    yield lambda: reader.range("device#1")
    writer.close()
    reader.close()


def _failures(kind: type[Exception], uses: Iterator[Callable[[], object]]) -> Sequence[str]:
    sentences = []
    for use in uses:
        with pytest.raises(kind) as caught:
            use()
        sentences.append(str(caught.value))
    return sentences


def test_a_missing_table_is_named_with_the_setting_that_names_it(dynamodb_endpoint: str) -> None:
    for sentence in _failures(StoreRefused, _each_use("no-such-table", dynamodb_endpoint)):
        assert "no-such-table does not exist" in sentence
        assert "telefold.views/dynamodb.table" in sentence


def test_a_table_that_is_gone_beneath_a_running_job_ends_it_at_once(dynamodb_endpoint: str) -> None:
    name = f"views-{uuid4().hex[:8]}"
    with (
        closing(aws.client("dynamodb", REGION, dynamodb_endpoint)) as client,
        closing(ViewStores({"dynamodb": dynamodb_writer(name, dynamodb_endpoint)})) as stores,
    ):
        tables.create_views_table(client, name)
        stores.write(rows(30))
        client.delete_table(TableName=name)
        for some in (rows(1, 2), rows(60, 2)):
            with pytest.raises(StoreRefused, match="does not exist"):
                stores.write(some)


def test_a_server_that_is_away_is_unavailable() -> None:
    endpoint = servers.url("dynamodb", servers.free_port())
    for sentence in _failures(StoreUnavailable, _each_use("views", endpoint)):
        assert endpoint in sentence


def test_missing_credentials_are_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for sentence in _failures(StoreRefused, _each_use("views", "https://localhost:1")):
        assert "no AWS credentials" in sentence


def _response(code: str, status: int = 400) -> ClientError:
    metadata: _ResponseMetadataTypeDef = {
        "RequestId": "",
        "HostId": "",
        "HTTPStatusCode": status,
        "HTTPHeaders": {},
        "RetryAttempts": 0,
    }
    return ClientError({"Error": {"Code": code, "Message": "so it says"}, "ResponseMetadata": metadata}, "Query")


@pytest.mark.parametrize(
    "error",
    [
        _response("ThrottlingException"),
        _response("ProvisionedThroughputExceededException"),
        _response("RequestLimitExceeded"),
        _response("InternalServerError", 500),
        _response("502", 502),
        ConnectTimeoutError(endpoint_url="https://x"),
    ],
)
def test_errors_that_pass(error: Exception) -> None:
    assert isinstance(translated(error, "views"), StoreUnavailable)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (_response("AccessDeniedException"), "role's policy"),
        (_response("ResourceNotFoundException"), "create it"),
        (_response("UnrecognizedClientException"), "UnrecognizedClientException: so it says"),
        (NoCredentialsError(), "no AWS credentials"),
        (NoRegionError(), "telefold.views/aws.region"),
    ],
)
def test_errors_that_stay_say_who_must_act(error: Exception, sentence: str) -> None:
    failure = translated(error, "views")
    assert isinstance(failure, StoreRefused)
    assert sentence in str(failure)
