"""The record of the generations of views, the pointer that readers follow, and the end of a generation's rows.

DynamoDB has the say: its pointer item and the record change in one transaction, so each stays as small as its readers
need it. Redis has a copy of the pointer.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import msgspec
from botocore.exceptions import ClientError
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from telefold.connectors.dynamodb_errors import RETRIABLE_STATEMENT_ERRORS, VENDOR_ERRORS, translated
from telefold.connectors.dynamodb_rows import BOOKKEEPING, POINTER, Item, is_of_a_view
from telefold.connectors.redis_views import RedisGenerations
from telefold.connectors.view_rows import batches
from telefold.schemas.errors import GenerationError, StoreUnavailable, TelefoldError
from telefold.schemas.generations import FIRST, Generations, generation_of, generation_prefix

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import (
        AttributeValueTypeDef,
        PutTypeDef,
        ScanInputTypeDef,
        WriteRequestUnionTypeDef,
    )

_P = ParamSpec("_P")
_T = TypeVar("_T")

_RECORD = {"pk": {"S": BOOKKEEPING}, "sk": {"S": "generations.state"}}
_DELETES_A_CALL = 25
CALLS_AT_ONCE = 8
_OVERTAKEN = frozenset({"ConditionalCheckFailed", "TransactionConflict"})

_decode = msgspec.json.Decoder(Generations).decode


class GenerationStore:
    """The record of the generations of one set of views.

    It owns `client`, which has `CALLS_AT_ONCE` connections, and `redis`.
    Raises StoreUnavailable and StoreRefused as the view stores do, each for the store that it is about. A store that
    is unavailable while rows are dropped is tried again for `patience_s` seconds at a time.
    """

    def __init__(self, client: "DynamoDBClient", table: str, redis: RedisGenerations, patience_s: float = 60.0) -> None:
        self._client = client
        self._table = table
        self._redis = redis
        self._patience_s = patience_s

    def load(self) -> Generations:
        """The generations as last saved, by whomever; where none ever were, there is the first alone."""
        item = self._ask(self._client.get_item, TableName=self._table, Key=_RECORD, ConsistentRead=True).get("Item")
        return _decode(item["state"]["S"]) if item else Generations()

    def save(self, changed: Generations, expected_revision: int) -> None:
        """Put `changed` in the place of the generations of `expected_revision`, for readers of both stores to follow.

        Raises GenerationError, with nothing changed, if those were replaced meanwhile. A StoreError from Redis leaves
        the change saved and its readers where they were: `publish` then completes it.
        """
        pointer = {"generation": _number(changed.current), "revision": _number(changed.revision)}
        state = {"S": msgspec.json.encode(changed).decode()}
        puts: list[PutTypeDef] = [
            {
                "TableName": self._table,
                "Item": {**POINTER, **pointer},
                "ConditionExpression": _only_after(expected_revision),
                "ExpressionAttributeValues": {":expected": _number(expected_revision)},
            },
            {"TableName": self._table, "Item": {**_RECORD, "state": state}},
        ]
        self._ask(self._client.transact_write_items, TransactItems=[{"Put": put} for put in puts])
        self.publish(changed)

    def change(self, transition: Callable[[Generations], Generations]) -> Generations:
        """Load, change and save; the generations as they are then. Raises what `transition` and `save` raise."""
        held = self.load()
        changed = transition(held)
        self.save(changed, held.revision)
        return changed

    def publish(self, generations: Generations) -> None:
        """Tell Redis and those who listen there which generation is current. Doing it again does no harm.

        Of several processes that do so at once, whichever is last publishes what DynamoDB holds.
        """
        while True:
            self._redis.point_to(generations.current)
            latest = self.load()
            if latest.current == generations.current:
                return
            generations = latest

    def drop(self, generation: int, report: Callable[[int], None] = lambda rows_deleted: None) -> int:
        """Delete every row of a generation that is not in use from both stores; the number that DynamoDB had.

        `report` is called now and then with how many of those are gone so far. Broken off, it goes on where it was
        when it is run again. Raises GenerationError for a generation that is or may come into use.
        """
        self.load().check_dropped(generation)
        self._patiently(lambda: self._redis.drop(generation))
        dropped = 0
        with ThreadPoolExecutor(CALLS_AT_ONCE, "drop") as calls:
            for keys in self._keys(generation):
                dropped += sum(calls.map(self._delete, batches(keys, _DELETES_A_CALL)))
                report(dropped)
        return dropped

    def _keys(self, generation: int) -> Iterator[list[Item]]:
        """The keys of a generation's rows, a page of the table at a time; pages without any are left out."""
        request: ScanInputTypeDef = {
            "TableName": self._table,
            "ProjectionExpression": "pk, sk",
            "ConsistentRead": True,
        }
        if generation != FIRST:
            request["FilterExpression"] = "begins_with(pk, :prefix)"
            request["ExpressionAttributeValues"] = {":prefix": {"S": generation_prefix(generation)}}
        while True:
            page = self._patiently(lambda: self._ask(self._client.scan, **request))
            if keys := [key for key in page["Items"] if _is_row_of(generation, key)]:
                yield keys
            if "LastEvaluatedKey" not in page:
                return
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def _delete(self, keys: Sequence[Item]) -> int:
        left: Mapping[str, Sequence[WriteRequestUnionTypeDef]] = {
            self._table: [{"DeleteRequest": {"Key": key}} for key in keys]
        }

        def go_on() -> None:
            nonlocal left
            left = self._ask(self._client.batch_write_item, RequestItems=left).get("UnprocessedItems") or {}
            if left:
                raise StoreUnavailable(
                    f"DynamoDB does not keep up with the rows to be deleted from {self._table}: run this again later."
                )

        self._patiently(go_on)
        return len(keys)

    def _patiently(self, attempt: Callable[[], _T]) -> _T:
        return Retrying(
            retry=retry_if_exception_type(StoreUnavailable),
            wait=wait_random_exponential(multiplier=0.1, max=5.0),
            stop=stop_after_delay(self._patience_s),
            reraise=True,
        )(attempt)

    def _ask(self, operation: Callable[_P, _T], *args: _P.args, **request: _P.kwargs) -> _T:
        try:
            return operation(*args, **request)
        except VENDOR_ERRORS as error:
            raise _of_transaction(error) or translated(error, self._table) from error

    def close(self) -> None:
        self._redis.close()
        self._client.close()


def _number(value: int) -> "AttributeValueTypeDef":
    return {"N": str(value)}


def _only_after(revision: int) -> str:
    """The condition that the revision `:expected` has not been replaced."""
    return "revision = :expected" if revision else "attribute_not_exists(pk) OR revision = :expected"


def _is_row_of(generation: int, key: Item) -> bool:
    return is_of_a_view(key) and generation_of(key["pk"]["S"]) == generation


def _of_transaction(error: Exception) -> TelefoldError | None:
    """The error that a cancelled transaction stands for, by its reasons, of which each item in it has one."""
    if not isinstance(error, ClientError):
        return None
    reasons = {reason.get("Code", "None") for reason in error.response.get("CancellationReasons", ())}
    if reasons & _OVERTAKEN:
        return GenerationError(
            "Another process changed the generations of the views meanwhile: look at them and try again."
        )
    if passing := reasons & RETRIABLE_STATEMENT_ERRORS:
        return StoreUnavailable(f"DynamoDB cannot serve now ({', '.join(sorted(passing))}): try again.")
    return None
