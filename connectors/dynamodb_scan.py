"""All rows of a table, read in parallel parts."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from connectors import aws, dynamodb_rows
from connectors.dynamodb_errors import VENDOR_ERRORS, translated
from connectors.dynamodb_rows import Item
from schemas.generations import generation_of, generation_prefix
from schemas.view_rows import ViewUpdate

Key = Mapping[str, Any] | None


class Page(NamedTuple):
    rows: list[tuple[int, ViewUpdate]]
    """Each with its generation; none that has expired."""
    next_key: Key
    """Where the next page begins; None after the last."""


class DynamoDbScan:
    """Reads what DynamoDbWriter wrote, of all generations: consistent reads. `clock` returns epoch seconds."""

    def __init__(
        self, table: str, region: str | None, endpoint: str | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._table = table
        self._client = aws.client("dynamodb", region, endpoint)
        self._clock = clock

    def page(self, part: int, parts: int, key: Key = None) -> Page:
        """A page of one of `parts`, the first unless told where to begin. Raises as the reader does."""
        start = {"ExclusiveStartKey": key} if key else {}
        try:
            answer = self._client.scan(
                TableName=self._table, Segment=part, TotalSegments=parts, ConsistentRead=True, **start
            )
        except VENDOR_ERRORS as error:
            raise translated(error, self._table) from error
        now = self._clock()
        rows = [_update_of(item) for item in answer["Items"] if dynamodb_rows.is_of_a_view(item)]
        alive = [found for found in rows if found[1].expires_at is None or found[1].expires_at > now]
        return Page(alive, answer.get("LastEvaluatedKey"))

    def partitions(self, generation: int) -> Iterator[str]:
        """Every partition of a generation that has rows, as the table holds them; one may come more than once."""
        request: dict[str, Any] = {"TableName": self._table, "ConsistentRead": True, "ProjectionExpression": "pk"}
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
    return generation, ViewUpdate(item["view"]["S"], partition, row.sort, row.version, row.data, row.expires_at)
