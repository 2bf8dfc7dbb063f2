"""DynamoDB in trouble: throttled, overtaken, refused, not there. Only the faults are made up, not the server."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, NoCredentialsError, NoRegionError

from connectors.dynamodb import DynamoDbReader, DynamoDbWriter
from connectors.dynamodb_errors import translated
from connectors.patience import Patience
from connectors.view_writer import PartlyWritten, ViewStores
from deploy.local import servers
from deploy.local.tables import REGION
from schemas.errors import StoreRefused, StoreUnavailable
from schemas.view_rows import ViewUpdate
from schemas.view_stores import WriteResult


class Faulty:
    """A client that answers some statements itself, with an error code, and passes on the others."""

    def __init__(self, client: Any, fault: Callable[[dict[str, Any]], str | None]) -> None:
        self._client = client
        self._fault = fault
        self.calls: list[list[dict[str, Any]]] = []

    def batch_execute_statement(self, Statements: list[dict[str, Any]]) -> Any:  # noqa: N803
        self.calls.append(Statements)
        codes = [self._fault(statement) for statement in Statements]
        passed = [statement for statement, code in zip(Statements, codes, strict=True) if code is None]
        answers = iter(self._client.batch_execute_statement(Statements=passed)["Responses"] if passed else [])
        return {"Responses": [next(answers) if code is None else {"Error": {"Code": code}} for code in codes]}

    def close(self) -> None:
        self._client.close()


@pytest.fixture
def writer(views_table: str, dynamodb_endpoint: str) -> Iterator[DynamoDbWriter]:
    opened = DynamoDbWriter(views_table, REGION, dynamodb_endpoint)
    yield opened
    opened.close()


@pytest.fixture
def reader(views_table: str, dynamodb_endpoint: str) -> Iterator[DynamoDbReader]:
    opened = DynamoDbReader(views_table, REGION, dynamodb_endpoint)
    yield opened
    opened.close()


def row(sort: str, version: int = 1, **data: float) -> ViewUpdate:
    return ViewUpdate("latest", "device#1", sort, version, data)


def rows(count: int, version: int = 1) -> list[ViewUpdate]:
    return [row(f"r#{n:03}", version) for n in range(count)]


def versions(reader: DynamoDbReader) -> dict[str, int]:
    return {found.sort: found.version for found in reader.range("device#1")}


def inject(writer: DynamoDbWriter, fault: Callable[[dict[str, Any]], str | None]) -> Faulty:
    faulty = Faulty(writer._client, fault)
    writer._client = faulty
    return faulty


def names(statement: dict[str, Any], sort: str) -> bool:
    return {"S": sort} in statement["Parameters"]


@pytest.mark.parametrize(
    "code",
    [
        "ThrottlingError",
        "ProvisionedThroughputExceeded",
        "RequestLimitExceeded",
        "TransactionConflict",
        "InternalServerError",
    ],
)
def test_only_the_throttled_rows_are_left_to_try_again(
    writer: DynamoDbWriter, reader: DynamoDbReader, code: str
) -> None:
    inject(writer, lambda statement: code if names(statement, "r#007") or names(statement, "r#029") else None)
    with pytest.raises(PartlyWritten, match=code) as caught:
        writer.write(rows(40))
    assert [update.sort for update in caught.value.unwritten] == ["r#007", "r#029"]
    assert caught.value.result == WriteResult(38, 0)
    assert len(versions(reader)) == 38


def test_the_writer_of_a_job_sends_only_throttled_rows_again_and_counts_all(
    writer: DynamoDbWriter, reader: DynamoDbReader
) -> None:
    writer.write(rows(2, version=9))
    refusals = iter(["ThrottlingError"] * 3)
    faulty = inject(writer, lambda statement: next(refusals, None) if names(statement, "r#005") else None)
    stores = ViewStores({"dynamodb": writer}, Patience(sleep=lambda seconds: None))
    assert stores.write(rows(10, version=5)) == WriteResult(written=8, stale=2)
    assert [len(call) for call in faulty.calls] == [10, 7, 1, 1, 1, 1]
    assert versions(reader) == {update.sort: update.version for update in [*rows(10, 5), *rows(2, 9)]}


def test_an_insert_may_be_throttled_too(writer: DynamoDbWriter, reader: DynamoDbReader) -> None:
    inject(writer, lambda statement: "ThrottlingError" if statement["Statement"].startswith("INSERT") else None)
    with pytest.raises(PartlyWritten) as caught:
        writer.write(rows(3))
    assert (caught.value.result, len(caught.value.unwritten)) == (WriteResult(0, 0), 3)
    assert versions(reader) == {}


@pytest.mark.parametrize(
    ("theirs", "expected"), [(3, WriteResult(1, 0)), (5, WriteResult(1, 0)), (7, WriteResult(0, 1))]
)
def test_another_writer_inserts_first(
    writer: DynamoDbWriter,
    reader: DynamoDbReader,
    views_table: str,
    dynamodb_endpoint: str,
    theirs: int,
    expected: WriteResult,
) -> None:
    other = DynamoDbWriter(views_table, REGION, dynamodb_endpoint)

    def overtake(statement: dict[str, Any]) -> None:
        if statement["Statement"].startswith("INSERT"):
            other.write([row("a", theirs)])

    inject(writer, overtake)
    assert writer.write([row("a", 5)]) == expected
    assert versions(reader) == {"a": max(theirs, 5)}
    other.close()


@pytest.mark.parametrize("known", [True, False])
def test_a_row_too_large_is_named(writer: DynamoDbWriter, known: bool) -> None:
    if known:
        writer.write(rows(30))
    large = row("r#004", 2, **{f"field{n}{'x' * 90}": n for n in range(5_000)})
    with pytest.raises(StoreRefused, match=r"pk 'device#1' and sk 'r#004'.*[Ii]tem size"):
        writer.write([large if update.sort == large.sort else update for update in rows(30, version=2)])


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        (row("", 1), "sk ''"),
        (row("x" * 1_025, 1), "sk 'xxx"),
        (row("huge", 1, value=1e200), "sk 'huge'"),
        (row("nan", 1, value=float("nan")), "sk 'nan'"),
    ],
)
def test_a_row_that_dynamodb_cannot_hold_is_named(writer: DynamoDbWriter, bad: ViewUpdate, named: str) -> None:
    with pytest.raises(StoreRefused, match=named):
        writer.write([*rows(5), bad])


def test_a_row_of_a_later_generation_is_named_as_it_is_found(views_table: str, dynamodb_endpoint: str) -> None:
    writer = DynamoDbWriter(views_table, REGION, dynamodb_endpoint, generation=2)
    for bad in (row("huge", 1, value=1e200), row("x" * 1_025)):
        with pytest.raises(StoreRefused, match="pk 'g2/device#1'"):
            writer.write([*rows(5), bad])
    writer.close()


def test_throttled_rows_of_a_later_generation_end_up_in_it(views_table: str, dynamodb_endpoint: str) -> None:
    writer = DynamoDbWriter(views_table, REGION, dynamodb_endpoint, generation=2)
    refusals = iter(["ThrottlingError"] * 3)
    inject(writer, lambda statement: next(refusals, None) if names(statement, "r#005") else None)
    stores = ViewStores({"dynamodb": writer}, Patience(sleep=lambda seconds: None))
    assert stores.write(rows(10)) == WriteResult(written=10, stale=0)
    reader = DynamoDbReader(views_table, REGION, dynamodb_endpoint, generation=2)
    assert len(versions(reader)) == 10
    stores.close()
    reader.close()


def _each_use(table: str, endpoint: str | None, region: str | None = REGION) -> Iterator[Callable[[], object]]:
    writer, reader = DynamoDbWriter(table, region, endpoint), DynamoDbReader(table, region, endpoint)
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


def test_a_table_of_other_keys_is_refused_before_the_job_starts(writer: DynamoDbWriter) -> None:
    writer.check()
    writer._client.create_table(
        TableName="other-keys",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    writer._table = "other-keys"
    with pytest.raises(StoreRefused, match="other-keys has the keys id, not pk, sk"):
        writer.check()
    writer._client.delete_table(TableName="other-keys")


def _response(code: str, status: int = 400) -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": "so it says"}, "ResponseMetadata": {"HTTPStatusCode": status}}, "Query"
    )


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
