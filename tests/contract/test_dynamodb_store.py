"""DynamoDB that throttles, is overtaken or refuses rows. Only the faults are made up, not the server."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from telefold.connectors.dynamodb import DynamoDbReader, DynamoDbWriter
from telefold.connectors.dynamodb_rows import Statement
from telefold.connectors.retry_policy import RetryPolicy
from telefold.connectors.view_writer import PartlyWritten, ViewStores
from telefold.schemas.errors import StoreRefused
from telefold.schemas.view_stores import WriteResult
from tests.support.open_stores import dynamodb_reader, dynamodb_writer
from tests.support.stand_in import stand_in
from tests.support.view_rows import row, rows

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class Faulty:
    """A client that answers some statements itself, with an error code, and passes on the others."""

    def __init__(self, client: "DynamoDBClient", fault: Callable[[Statement], str | None]) -> None:
        self._client = client
        self._fault = fault
        self.calls: list[list[Statement]] = []

    def batch_execute_statement(self, Statements: list[Statement]) -> Any:  # noqa: N803
        self.calls.append(Statements)
        codes = [self._fault(statement) for statement in Statements]
        passed = [statement for statement, code in zip(Statements, codes, strict=True) if code is None]
        answers = iter(self._client.batch_execute_statement(Statements=passed)["Responses"] if passed else [])
        return {"Responses": [next(answers) if code is None else {"Error": {"Code": code}} for code in codes]}

    def close(self) -> None:
        self._client.close()


@pytest.fixture
def writer(views_table: str, dynamodb_endpoint: str) -> Iterator[DynamoDbWriter]:
    opened = dynamodb_writer(views_table, dynamodb_endpoint)
    yield opened
    opened.close()


@pytest.fixture
def reader(views_table: str, dynamodb_endpoint: str) -> Iterator[DynamoDbReader]:
    opened = dynamodb_reader(views_table, dynamodb_endpoint)
    yield opened
    opened.close()


def versions(reader: DynamoDbReader) -> dict[str, int]:
    return {found.sort: found.version for found in reader.range("device#1")}


def inject(writer: DynamoDbWriter, fault: Callable[[Statement], str | None]) -> Faulty:
    faulty = Faulty(writer._client, fault)
    writer._client = stand_in(faulty)
    return faulty


def names(statement: Statement, sort: str) -> bool:
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
    inject(writer, lambda statement: code if names(statement, "latest#007") or names(statement, "latest#029") else None)
    with pytest.raises(PartlyWritten, match=code) as caught:
        writer.write(rows(40))
    assert [update.sort for update in caught.value.unwritten] == ["latest#007", "latest#029"]
    assert caught.value.result == WriteResult(38, 0)
    assert len(versions(reader)) == 38


def test_the_writer_of_a_job_sends_only_throttled_rows_again_and_counts_all(
    writer: DynamoDbWriter, reader: DynamoDbReader
) -> None:
    writer.write(rows(2, version=9))
    refusals = iter(["ThrottlingError"] * 3)
    faulty = inject(writer, lambda statement: next(refusals, None) if names(statement, "latest#005") else None)
    stores = ViewStores({"dynamodb": writer}, RetryPolicy(sleep=lambda seconds: None))
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
    other = dynamodb_writer(views_table, dynamodb_endpoint)

    def overtake(statement: Statement) -> None:
        if statement["Statement"].startswith("INSERT"):
            other.write([row("a", theirs)])

    inject(writer, overtake)
    assert writer.write([row("a", 5)]) == expected
    assert versions(reader) == {"a": max(theirs, 5)}
    other.close()


class Refusing:
    """A client whose server has limits that nobody knew of: a statement with `sort` fails its whole call."""

    def __init__(self, client: "DynamoDBClient", message: str, *sorts: str) -> None:
        self._client = client
        self._message = message
        self._sorts = sorts

    def batch_execute_statement(self, Statements: list[Statement]) -> Any:  # noqa: N803
        if any(names(statement, sort) for statement in Statements for sort in self._sorts):
            raise ClientError({"Error": {"Code": "ValidationException", "Message": self._message}}, "Batch")
        return self._client.batch_execute_statement(Statements=Statements)

    def close(self) -> None:
        self._client.close()


def test_a_row_that_is_refused_for_a_limit_nobody_knew_of_is_set_aside_while_others_pass(
    writer: DynamoDbWriter, reader: DynamoDbReader
) -> None:
    writer._client = stand_in(Refusing(writer._client, "something new", "latest#003"))
    result = writer.write(rows(30))
    assert (result.written, [one.row.sort for one in result.refused]) == (29, ["latest#003"])
    assert "something new" in result.refused[0].why
    assert len(versions(reader)) == 29


@pytest.mark.parametrize(
    "message",
    [
        "Item size has exceeded the maximum allowed size",
        "Item size to update has exceeded the maximum allowed size",
        "One or more parameter values were invalid: Size of hashkey has exceeded the maximum size limit of2048 bytes",
        "One or more parameter values were invalid: Aggregated size of all range keys has exceeded the size limit of"
        " 1024 bytes",
        "Number overflow. Attempting to store a number with magnitude larger than supported range",
        "Attempting to store more than 38 significant digits in a Number",
        "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty"
        " string value. Key: sk",
    ],
)
def test_a_row_alone_is_set_aside_if_the_refusal_speaks_of_what_it_holds(writer: DynamoDbWriter, message: str) -> None:
    writer._client = stand_in(Refusing(writer._client, message, "latest#000"))
    ((refused, why),) = writer.write(rows(1)).refused
    assert (refused.sort, message in why) == ("latest#000", True)


@pytest.mark.parametrize("count", [1, 30])
def test_a_refusal_of_every_row_that_speaks_of_none_is_everybodys_and_raised(
    writer: DynamoDbWriter, count: int
) -> None:
    everyone = [update.sort for update in rows(count)]
    writer._client = stand_in(Refusing(writer._client, "Type mismatch for key pk expected: N actual: S", *everyone))
    with pytest.raises(StoreRefused, match=r"pk 'device#1' and sk 'latest#000'.*Type mismatch"):
        writer.write(rows(count))


class Silent(Faulty):
    """A client whose server tells that a condition failed, and never of which item."""

    def batch_execute_statement(self, Statements: list[Statement]) -> Any:  # noqa: N803
        answer = super().batch_execute_statement(Statements)
        for one in answer["Responses"]:
            one.get("Error", {}).pop("Item", None)
        return answer

    def get_item(self, **request: Any) -> Any:
        return self._client.get_item(**request)


def test_stale_and_missing_are_told_apart_though_the_error_does_not_hold_the_item(
    writer: DynamoDbWriter, reader: DynamoDbReader
) -> None:
    writer.write([row("stale", 9), row("older", 3)])
    writer._client = stand_in(Silent(writer._client, lambda statement: None))
    assert writer.write([row("stale", 5), row("older", 5), row("new", 5)]) == WriteResult(2, 1)
    assert versions(reader) == {"stale": 9, "older": 5, "new": 5}


def test_a_row_that_is_neither_found_nor_missing_is_tried_again(writer: DynamoDbWriter, reader: DynamoDbReader) -> None:
    """It was deleted between the insert and the update, as the table's own expiry may do."""
    writer._client = stand_in(
        Silent(
            writer._client, lambda statement: "DuplicateItem" if statement["Statement"].startswith("INSERT") else None
        )
    )
    with pytest.raises(PartlyWritten, match="in between") as caught:
        writer.write([row("a", 5)])
    assert [update.sort for update in caught.value.unwritten] == ["a"]
    assert versions(reader) == {}


def test_throttled_rows_of_a_later_generation_end_up_in_it(views_table: str, dynamodb_endpoint: str) -> None:
    writer = dynamodb_writer(views_table, dynamodb_endpoint, generation=2)
    refusals = iter(["ThrottlingError"] * 3)
    inject(writer, lambda statement: next(refusals, None) if names(statement, "latest#005") else None)
    stores = ViewStores({"dynamodb": writer}, RetryPolicy(sleep=lambda seconds: None))
    assert stores.write(rows(10)) == WriteResult(written=10, stale=0)
    reader = dynamodb_reader(views_table, dynamodb_endpoint, generation=2)
    assert len(versions(reader)) == 10
    stores.close()
    reader.close()


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


def test_a_table_of_keys_that_are_no_texts_is_refused_before_the_job_starts(writer: DynamoDbWriter) -> None:
    writer._client.create_table(
        TableName="other-types",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": "pk", "AttributeType": "S"},
            {"AttributeName": "sk", "AttributeType": "N"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    writer._table = "other-types"
    with pytest.raises(StoreRefused, match="other-types has the key sk of type N, not S"):
        writer.check()
    writer._client.delete_table(TableName="other-types")
