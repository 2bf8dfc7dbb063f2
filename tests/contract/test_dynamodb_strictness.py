"""The DynamoDB of this machine refuses what AWS refuses, so that no test passes with rows that AWS would not take."""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, TypeAlias

import pytest
from botocore.exceptions import ClientError

from telefold.connectors import aws
from telefold.connectors.dynamodb_rows import Statement
from telefold.deploy.local.tables import REGION

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef, BatchStatementResponseTypeDef

Attributes: TypeAlias = "dict[str, AttributeValueTypeDef]"

EMPTY = "cannot contain an empty string value. Key: {}"
TOO_LONG = "size limit of {} bytes"
OVERFLOW = "Number overflow. Attempting to store a number with magnitude larger than supported range"
UNDERFLOW = "Number underflow. Attempting to store a number with magnitude smaller than supported range"
DIGITS = "Attempting to store more than 38 significant digits in a Number"
NO_NUMBER = "The parameter cannot be converted to a numeric value"
TOO_LARGE = "Item size (to update )?has exceeded the maximum allowed size"
TWICE = "Provided list of item keys contains duplicates"


class Table:
    def __init__(self, client: "DynamoDBClient", name: str) -> None:
        self.client = client
        self._name = name

    def insert(self, item: Attributes) -> Statement:
        slots = ", ".join(f"'{name}': ?" for name in item)
        return {"Statement": f'INSERT INTO "{self._name}" VALUE {{{slots}}}', "Parameters": [*item.values()]}

    def update(self, item: Attributes, at_most: str = "9" * 38) -> Statement:
        where = 'WHERE "pk"=? AND "sk"=? AND "version"<=?'
        keys = [item["pk"], item["sk"], {"N": at_most}]
        statement = f'UPDATE "{self._name}" SET "version"=? SET "value"=? {where}'
        return {"Statement": statement, "Parameters": [{"N": "2"}, item["value"], *keys]}

    def remove(self, item: Attributes) -> Statement:
        return {
            "Statement": f'DELETE FROM "{self._name}" WHERE "pk"=? AND "sk"=?',
            "Parameters": [item["pk"], item["sk"]],
        }

    def select(self, item: Attributes) -> Statement:
        return {
            "Statement": f'SELECT * FROM "{self._name}" WHERE "pk"=? AND "sk"=?',
            "Parameters": [item["pk"], item["sk"]],
        }

    def run(self, *statements: Statement) -> "list[BatchStatementResponseTypeDef]":
        return self.client.batch_execute_statement(Statements=statements)["Responses"]

    def put(self, item: Attributes) -> None:
        self.client.put_item(TableName=self._name, Item=item)

    def get(self, item: Attributes) -> "Attributes | None":
        return self.client.get_item(TableName=self._name, Key={"pk": item["pk"], "sk": item["sk"]}).get("Item")


@pytest.fixture
def table(dynamodb_endpoint: str, views_table: str) -> Iterator[Table]:
    client = aws.client("dynamodb", REGION, dynamodb_endpoint, validate=False)
    yield Table(client, views_table)
    client.close()


def telling(statement: Statement) -> Statement:
    """The statement, which asks for the item that its condition refuses."""
    return {**statement, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}


def text(value: str) -> "AttributeValueTypeDef":
    return {"S": value}


def number(value: str) -> "AttributeValueTypeDef":
    return {"N": value}


def item(**attributes: "AttributeValueTypeDef") -> Attributes:
    return {"pk": text("p"), "sk": text("s"), "version": number("1"), "value": number("1")} | attributes


REFUSED = {
    "an empty partition": (item(pk=text("")), EMPTY.format("pk")),
    "an empty sort key": (item(sk=text("")), EMPTY.format("sk")),
    "a partition of 2 049 bytes": (item(pk=text("p" * 2_049)), TOO_LONG.format(2048)),
    "a sort key of 1 025 bytes": (item(sk=text("s" * 1_025)), TOO_LONG.format(1024)),
    "a sort key of 1 026 bytes in 513 characters": (item(sk=text("\u00e9" * 513)), TOO_LONG.format(1024)),
    "a sort key that is a number": (item(sk=number("1")), "(data type should match|[Tt]ype mismatch)"),
    "a number of 1e126": (item(value=number("1e126")), OVERFLOW),
    "a number of -1e200": (item(value=number("-1e200")), OVERFLOW),
    "a number of 1e-131": (item(value=number("1e-131")), UNDERFLOW),
    "a number of 39 digits": (item(value=number("1" * 39)), DIGITS),
    "a number that is none": (item(value=number("nan")), NO_NUMBER),
    "a number within a map": (item(value={"M": {"x": {"L": [number("1e200")]}}}), OVERFLOW),
    "an item of more than 400 KB": (item(value=text("x" * 410_000)), TOO_LARGE),
}

TAKEN = {
    "keys as long as they may be": item(pk=text("p" * 2_048), sk=text("\u00e9" * 512)),
    "the largest number": item(value=number("9." + "9" * 37 + "e125")),
    "the smallest number": item(value=number("1e-130")),
    "38 digits": item(value=number("1" * 38)),
    "an empty text": item(value=text("")),
    "characters of every kind": item(sk=text("\x00\x1f'\"#\U0001f600"), value=text("\x00'\"\ud7ff")),
    "an item of almost 400 KB": item(value=text("x" * 409_000)),
}

cases = pytest.mark.parametrize(("bad", "reason"), REFUSED.values(), ids=REFUSED)


def refusal(table: Table, statement: Statement) -> str:
    """Of the statement alone, or of the call for its sake; it is a validation error either way."""
    code: str
    try:
        (answer,) = table.run(statement)
        code, message = answer["Error"]["Code"], answer["Error"]["Message"]
    except ClientError as failure:
        code, message = failure.response["Error"]["Code"], failure.response["Error"]["Message"]
    assert code in ("ValidationException", "ValidationError")
    return message


@cases
def test_what_aws_refuses_is_refused_in_an_insert(table: Table, bad: Attributes, reason: str) -> None:
    assert re.search(reason, refusal(table, table.insert(bad)))


@cases
def test_what_aws_refuses_is_refused_in_an_update(table: Table, bad: Attributes, reason: str) -> None:
    table.put(item())
    assert re.search(reason, refusal(table, table.update(bad)))
    assert table.get(item()) == item()


@cases
def test_what_aws_refuses_is_refused_in_a_put(table: Table, bad: Attributes, reason: str) -> None:
    with pytest.raises(ClientError, match=reason):
        table.put(bad)


def test_a_statement_that_is_refused_for_its_key_leaves_the_others(table: Table) -> None:
    refused, taken = table.run(table.insert(item(sk=text(""))), table.insert(item()))
    assert refused["Error"]["Code"] == "ValidationError"
    assert "Error" not in taken
    assert table.get(item()) == item()


@pytest.mark.parametrize("taken", TAKEN.values(), ids=TAKEN)
@pytest.mark.parametrize("way", ["insert", "update"])
def test_what_aws_takes_is_taken(table: Table, taken: Attributes, way: str) -> None:
    if way == "update":
        table.put(taken | {"value": number("0")})
    (answer,) = table.run(table.insert(taken) if way == "insert" else table.update(taken))
    assert "Error" not in answer
    found = table.get(taken)
    assert found is not None
    assert found["value"] == taken["value"] or Decimal(found["value"]["N"]) == Decimal(taken["value"]["N"])


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("12e17", "1200000000000000000"),
        ("1e-3", "0.001"),
        ("1.50", "1.5"),
        ("-0.0", "0"),
        ("007", "7"),
        ("1e125", "1" + "0" * 125),
    ],
)
def test_numbers_are_written_out_in_full(table: Table, written: str, kept: str) -> None:
    table.run(table.insert(item(value=number(written))))
    table.run(table.insert(item(sk=text("nested"), value={"M": {"x": number(written)}})))
    assert table.get(item()) == item(value=number(kept))
    assert table.get(item(sk=text("nested"))) == item(sk=text("nested"), value={"M": {"x": number(kept)}})


@pytest.mark.parametrize(
    "ways", [("insert", "insert"), ("insert", "update"), ("update", "update"), ("remove", "insert")]
)
def test_a_batch_that_names_an_item_twice_is_refused_whole(table: Table, ways: tuple[str, str]) -> None:
    table.put(item(sk=text("other")))
    twice = [getattr(table, way)(item()) for way in ways]
    with pytest.raises(ClientError, match=TWICE):
        table.run(table.update(item(sk=text("other"), value=number("7"))), *twice)
    assert table.get(item()) is None
    assert table.get(item(sk=text("other"))) == item(sk=text("other"))


def test_a_batch_that_reads_and_writes_is_refused_whole(table: Table) -> None:
    with pytest.raises(ClientError, match="Read and write requests together in the same batch is not supported"):
        table.run(table.insert(item()), table.select(item(sk=text("other"))))
    assert table.get(item()) is None


def test_an_update_tells_a_stale_item_only_where_it_is_asked_for(table: Table) -> None:
    table.put(item())
    (stale,) = table.run(telling(table.update(item(), at_most="0")))
    (silent,) = table.run(table.update(item(), at_most="0"))
    (missing,) = table.run(telling(table.update(item(sk=text("none")))))
    assert {one["Error"]["Code"] for one in (stale, silent, missing)} == {"ConditionalCheckFailed"}
    assert stale["Error"]["Item"] == item()
    assert "Item" not in silent["Error"]
    assert "Item" not in missing["Error"]


def test_an_insert_of_what_is_there_is_a_duplicate(table: Table) -> None:
    table.run(table.insert(item()))
    (answer,) = table.run(table.insert(item(value=number("2"))))
    assert answer["Error"]["Code"] == "DuplicateItem"
    assert table.get(item()) == item()


def test_an_expired_item_is_there_until_it_is_removed(table: Table) -> None:
    """AWS removes it within days, so whoever reads leaves it out."""
    expired = item(expires_at=number("1"))
    table.run(table.insert(expired))
    assert table.get(expired) == expired


def test_a_batch_of_more_than_25_statements_is_refused(table: Table) -> None:
    with pytest.raises(ClientError, match="ValidationException"):
        table.run(*(table.insert(item(sk=text(str(n)))) for n in range(26)))
