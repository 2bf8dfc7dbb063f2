"""Views in one DynamoDB table: the durable copy."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from enum import Enum, auto
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec
from botocore.exceptions import ReadTimeoutError

from telefold.connectors import aws, dynamodb_rows
from telefold.connectors.dynamodb_errors import (
    RETRIABLE_STATEMENT_ERRORS,
    VENDOR_ERRORS,
    is_about_content,
    is_about_one_statement,
    message_of,
    refused,
    translated,
)
from telefold.connectors.dynamodb_requests import make_lean
from telefold.connectors.dynamodb_rows import Item, Statement
from telefold.connectors.view_rows import batches, row_name, sift
from telefold.connectors.view_writer import PartlyWritten
from telefold.schemas.errors import StoreRefused, StoreUnavailable
from telefold.schemas.generations import FIRST, generation_partition, generation_prefix
from telefold.schemas.intervals import Interval, interval
from telefold.schemas.view_rows import ViewRow, ViewUpdate
from telefold.schemas.view_stores import Refused, WriteResult

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import BatchExecuteStatementOutputTypeDef

_STATEMENTS_A_CALL = 25
_QUICK_S = 2.0
_PATIENT_S = 10.0
_VALIDATION = "ValidationError"
"""The code of an error of one statement."""

_T = TypeVar("_T")
_Maker = Callable[[ViewUpdate], Statement]


class WriterClients(NamedTuple):
    """Two clients of one table for so many calls at once: one notices a silent server, the other gives it more time."""

    quick: "DynamoDBClient"
    patient: "DynamoDBClient"
    connections: int


def writer_clients(region: str | None, endpoint: str | None = None, connections: int = 8) -> WriterClients:
    quick, patient = (_lean_client(region, endpoint, connections, timeout) for timeout in (_QUICK_S, _PATIENT_S))
    return WriterClients(quick, patient, connections)


class DynamoDbWriter:
    """A ViewWriter over `clients`, which it owns. Each row is one conditional statement, 25 of them a call.

    It never waits: what was throttled or lost is left to the caller, in a PartlyWritten. A server that answers nothing
    is given up on within seconds, so that it is noticed, and then given more time, as `redis_views` does.
    """

    def __init__(self, clients: WriterClients, table: str, generation: int = FIRST) -> None:
        self._table = table
        self._prefix = generation_prefix(generation)
        self._client, self._patient = clients.quick, clients.patient
        self._was_silent = False
        self._calls = ThreadPoolExecutor(clients.connections, "dynamodb")
        self._update = partial(dynamodb_rows.update, table, self._prefix)
        self._insert = partial(dynamodb_rows.insert, table, self._prefix)

    def check(self) -> None:
        """Raise StoreRefused or StoreUnavailable, saying what to do, unless the table can be used."""
        try:
            described = self._client.describe_table(TableName=self._table)["Table"]
        except VENDOR_ERRORS as error:
            raise translated(error, self._table) from error
        keys = [key["AttributeName"] for key in described["KeySchema"]]
        if keys != ["pk", "sk"]:
            raise self._other_keys(f"has the keys {', '.join(keys)}, not pk, sk")
        types = {one["AttributeName"]: one["AttributeType"] for one in described["AttributeDefinitions"]}
        if odd := [f"{key} of type {types[key]}" for key in keys if types[key] != "S"]:
            raise self._other_keys(f"has the key {', '.join(odd)}, not S")

    def _other_keys(self, what: str) -> StoreRefused:
        return StoreRefused(f"The table {self._table} {what}: name another in telefold.views/dynamodb.table.")

    def write(self, updates: Sequence[ViewUpdate]) -> WriteResult:
        """An update finds most rows; those that it does not find, or that are new, are inserted."""
        rows, refused = sift(updates)
        found = self._run(self._update, [row for row in rows if not row.is_new])
        inserted = self._run(self._insert, found.missing + [row for row in rows if row.is_new])
        overtaken = self._run(self._update, inserted.present)
        settled = _Outcome.of((row, self._look_at(row)) for row in overtaken.missing)
        passes = (found, inserted, overtaken, settled)
        refused += self._of_content([one for each in passes for one in each.refused], len(rows))
        unwritten = [row for each in passes for row in each.unwritten]
        stale = sum(each.stale for each in passes)
        written = len(rows) - stale - len(unwritten) - sum(len(each.refused) for each in passes)
        result = WriteResult(written, stale, refused=tuple(refused))
        if unwritten:
            reason = next(each.reason for each in passes if each.unwritten)
            raise PartlyWritten(f"Of {len(rows)} rows {len(unwritten)} are unwritten: {reason}", result, unwritten)
        return result

    def _of_content(self, refused: Sequence[Refused], rows: int) -> Sequence[Refused]:
        """Refusals of rows that are within the limits known here.

        Raises StoreRefused where nothing says that it was for a row's content: the table would refuse any other, too.
        """
        for row, why in refused:
            if len(refused) == rows and not is_about_content(why):
                raise StoreRefused(
                    f"The table {self._table} takes none of {rows} rows, for one {row_name(self._stored(row))}: {why}."
                )
        return refused

    def _look_at(self, row: ViewUpdate) -> "_Answer":
        """Find out what became of a row that was there when it was inserted, and that the update did not find.

        An update whose refusal does not hold the item says as much of an item with a higher version.
        """
        key = {"pk": {"S": self._prefix + row.partition}, "sk": {"S": row.sort}}
        try:
            answer = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True)
        except VENDOR_ERRORS as error:
            return self._unwritten_or_raise(error, [row])[0]
        held = answer.get("Item")
        if held is not None and dynamodb_rows.version_of(held) > row.version:
            return _Answer(_Verdict.STALE)
        return _Answer(_Verdict.UNWRITTEN, "another writer or the table's own expiry came in between")

    def _run(self, statement: _Maker, rows: Sequence[ViewUpdate]) -> "_Outcome":
        chunks = list(batches(rows, _STATEMENTS_A_CALL))
        execute = partial(self._execute, statement)
        answers = self._calls.map(execute, chunks) if len(chunks) > 1 else map(execute, chunks)
        return _Outcome.of(zip(rows, (answer for chunk in answers for answer in chunk), strict=True))

    def _execute(self, statement: _Maker, rows: Sequence[ViewUpdate]) -> "list[_Answer]":
        try:
            response = self._send([statement(row) for row in rows])
        except VENDOR_ERRORS as error:
            return self._after_failure(statement, rows, error)
        return [self._answer(row, reply.get("Error")) for row, reply in zip(rows, response["Responses"], strict=True)]

    def _send(self, statements: Sequence[Statement]) -> "BatchExecuteStatementOutputTypeDef":
        client = self._patient if self._was_silent else self._client
        try:
            response = client.batch_execute_statement(Statements=statements)
        except ReadTimeoutError:
            self._was_silent = True
            raise
        self._was_silent = False
        return response

    def _after_failure(self, statement: _Maker, rows: Sequence[ViewUpdate], error: Exception) -> "list[_Answer]":
        """Send rows alone after a whole call failed for one bad statement: the bad one is found, the good ones pass."""
        if not is_about_one_statement(error):
            return self._unwritten_or_raise(error, rows)
        if len(rows) > 1:
            return [answer for row in rows for answer in self._execute(statement, [row])]
        return [_Answer(_Verdict.REFUSED, f"DynamoDB refuses it ({message_of(error)})")]

    def _unwritten_or_raise(self, error: Exception, rows: Sequence[ViewUpdate]) -> "list[_Answer]":
        failure = translated(error, self._table)
        if isinstance(failure, StoreUnavailable):
            return [_Answer(_Verdict.UNWRITTEN, str(failure))] * len(rows)
        raise failure from error

    def _answer(self, row: ViewUpdate, error: Mapping[str, Any] | None) -> "_Answer":
        if error is None:
            return _WRITTEN
        code, message = error["Code"], error.get("Message", "")
        if code == "ConditionalCheckFailed":
            return _Answer(_Verdict.STALE if "Item" in error else _Verdict.MISSING)
        if code == "DuplicateItem":
            return _Answer(_Verdict.PRESENT)
        if code in RETRIABLE_STATEMENT_ERRORS:
            return _Answer(_Verdict.UNWRITTEN, f"{code}: {message}")
        if code == _VALIDATION:
            return _Answer(_Verdict.REFUSED, f"DynamoDB refuses it ({message})")
        raise refused(code, message, self._table, self._stored(row))

    def _stored(self, row: ViewUpdate) -> ViewUpdate:
        """`row` under the partition that people find it by."""
        return msgspec.structs.replace(row, partition=self._prefix + row.partition)

    def close(self) -> None:
        self._calls.shutdown()
        self._client.close()
        self._patient.close()


def _lean_client(region: str | None, endpoint: str | None, connections: int, read_timeout: float) -> "DynamoDBClient":
    client = aws.client(
        "dynamodb",
        region,
        endpoint,
        connections=connections,
        attempts=2,
        read_timeout=read_timeout,
        validate=False,
    )
    make_lean(client)
    return client


class _Verdict(Enum):
    WRITTEN = auto()
    STALE = auto()
    MISSING = auto()
    PRESENT = auto()
    UNWRITTEN = auto()
    REFUSED = auto()


class _Answer(NamedTuple):
    verdict: _Verdict
    reason: str = ""


class _Outcome(NamedTuple):
    """What one statement did to each row of a batch."""

    stale: int
    missing: list[ViewUpdate]
    present: list[ViewUpdate]
    unwritten: list[ViewUpdate]
    refused: list[Refused]
    reason: str
    """The reason why the first of `unwritten` is unwritten."""

    @classmethod
    def of(cls, answers: Iterable[tuple[ViewUpdate, _Answer]]) -> "_Outcome":
        rows: dict[_Verdict, list[ViewUpdate]] = {verdict: [] for verdict in _Verdict}
        refused: list[Refused] = []
        reason = ""
        for row, (verdict, why) in answers:
            rows[verdict].append(row)
            if verdict is _Verdict.REFUSED:
                refused.append(Refused(row, why))
            elif verdict is _Verdict.UNWRITTEN:
                reason = reason or why
        stale, missing, present = len(rows[_Verdict.STALE]), rows[_Verdict.MISSING], rows[_Verdict.PRESENT]
        return cls(stale, missing, present, rows[_Verdict.UNWRITTEN], refused, reason)


_WRITTEN = _Answer(_Verdict.WRITTEN)


class DynamoDbReader:
    """A ViewReader of what DynamoDbWriter wrote: consistent reads. `clock` returns epoch seconds.

    Without a `generation` each call reads the current one, which costs it a further request.
    """

    def __init__(
        self,
        client: "DynamoDBClient",
        table: str,
        generation: int | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._table = table
        self._generation = generation
        self._clock = clock

    def pinned(self) -> "DynamoDbReader":
        return self.at(self._current())

    def at(self, generation: int) -> "DynamoDbReader":
        """A reader of that generation, which shares this one's connections, and ends with it."""
        reader = copy(self)
        reader._generation = generation
        return reader

    def get(self, partition: str, sort: str) -> ViewRow | None:
        key = {"pk": {"S": self._stored(partition)}, "sk": {"S": sort}}
        item = self._ask(self._client.get_item, Key=key).get("Item")
        return next(self._visible([item] if item else []), None)

    def range(
        self,
        partition: str,
        prefix: str = "",
        start: str = "",
        end: str = "",
        limit: int | None = None,
        newest_first: bool = False,
    ) -> list[ViewRow]:
        asked = interval(prefix, start, end)
        if asked.is_empty or limit == 0:
            return []
        rows = self._visible(self._items(_key_condition(self._stored(partition), asked), not newest_first, limit))
        return list(islice((row for row in rows if asked.holds(row.sort)), limit))

    def _stored(self, partition: str) -> str:
        """`partition` in the generation to be read."""
        return generation_partition(self._current(), partition)

    def _current(self) -> int:
        if self._generation is not None:
            return self._generation
        return dynamodb_rows.pointed_to(self._ask(self._client.get_item, Key=dynamodb_rows.POINTER).get("Item"))

    def _items(self, condition: dict[str, Any], forward: bool, limit: int | None) -> Iterator[Item]:
        """Items page after page, for as long as rows are taken."""
        request = {**condition, "ScanIndexForward": forward} | ({"Limit": limit} if limit else {})
        while True:
            page = self._ask(self._client.query, **request)
            yield from page["Items"]
            if "LastEvaluatedKey" not in page:
                return
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def _visible(self, items: Iterable[Item]) -> Iterator[ViewRow]:
        now = self._clock()
        rows = map(dynamodb_rows.row_of, items)
        return (row for row in rows if row.expires_at is None or row.expires_at > now)

    def _ask(self, operation: Callable[..., _T], **request: Any) -> _T:
        try:
            return operation(TableName=self._table, ConsistentRead=True, **request)
        except VENDOR_ERRORS as error:
            raise translated(error, self._table) from error

    def close(self) -> None:
        self._client.close()


def _key_condition(partition: str, asked: Interval) -> dict[str, Any]:
    """The condition on keys. BETWEEN includes its upper end: the caller leaves that row out. Bounds are never empty."""
    bounds = {":low": asked.low, ":high": asked.high}
    match bool(asked.low), bool(asked.high):
        case True, True:
            sort = " AND sk BETWEEN :low AND :high"
        case True, False:
            sort = " AND sk >= :low"
        case False, True:
            sort = " AND sk < :high"
        case _:
            sort = ""
    values = {":pk": partition} | {name: bound for name, bound in bounds.items() if bound}
    return {
        "KeyConditionExpression": f"pk = :pk{sort}",
        "ExpressionAttributeValues": {name: {"S": value} for name, value in values.items()},
    }
