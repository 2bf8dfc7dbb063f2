"""All rows of a table, read in parallel parts."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from telefold.connectors import dynamodb_rows
from telefold.connectors.dynamodb_errors import VENDOR_ERRORS, translated
from telefold.connectors.dynamodb_rows import Item
from telefold.schemas.generations import generation_of, generation_prefix
from telefold.schemas.packed_rows import packed_of
from telefold.schemas.view_rows import ViewUpdate

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_dynamodb.type_defs import ScanInputTypeDef

Key = Mapping[str, Any] | None


class Page(NamedTuple):
    rows: list[tuple[int, ViewUpdate]]
    """The rows, each with its generation; none that has expired."""
    next_key: Key
    """The key from which the next page begins; None after the last."""


class DynamoDbScan:
    """Reads what DynamoDbWriter wrote, of all generations: consistent reads.

    It owns `client`; `clock` returns epoch seconds.
    """

    def __init__(self, client: "DynamoDBClient", table: str, clock: Callable[[], float] = time.time) -> None:
        self._client = client
        self._table = table
        self._clock = clock

    def page(self, part: int, parts: int, key: Key = None) -> Page:
        """A page of one of `parts`, the first unless told where to begin. Raises as the reader does."""
        request: ScanInputTypeDef = {
            "TableName": self._table,
            "Segment": part,
            "TotalSegments": parts,
            "ConsistentRead": True,
        }
        if key:
            request["ExclusiveStartKey"] = key
        try:
            answer = self._client.scan(**request)
        except VENDOR_ERRORS as error:
            raise translated(error, self._table) from error
        now = self._clock()
        rows = [_update_of(item) for item in answer["Items"] if dynamodb_rows.is_of_a_view(item)]
        alive = [found for found in rows if found[1].expires_at is None or found[1].expires_at > now]
        return Page(alive, answer.get("LastEvaluatedKey"))

    def partitions(self, generation: int) -> Iterator[str]:
        """Every partition of a generation that has rows, as the table holds them; one may come more than once."""
        request: ScanInputTypeDef = {
            "TableName": self._table,
            "ConsistentRead": True,
            "ProjectionExpression": "pk",
        }
        while True:
            try:
                answer = self._client.scan(**request)
            except VENDOR_ERRORS as error:
                raise translated(error, self._table) from error
            found = {item["pk"]["S"] for item in answer["Items"] if dynamodb_rows.is_of_a_view(item)}
            prefix = generation_prefix(generation)
            yield from (name.removeprefix(prefix) for name in sorted(found) if generation_of(name) == generation)
            if "LastEvaluatedKey" not in answer:
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def close(self) -> None:
        self._client.close()


def _update_of(item: Item) -> tuple[int, ViewUpdate]:
    stored = item["pk"]["S"]
    generation = generation_of(stored)
    row = dynamodb_rows.row_of(item)
    partition = stored.removeprefix(generation_prefix(generation))
    view = item["view"]["S"]
    return generation, ViewUpdate(view, partition, row.sort, row.version, row.data, row.expires_at, packed_of(row))
