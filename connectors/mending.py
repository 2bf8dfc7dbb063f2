"""Single rows put right in one store, whatever their version: for those that the log does not explain.

Each is replaced, or taken away, only while the store has the very version that was found wrong, so it may be done
beside the live job: what that has written meanwhile stays.
"""

import time
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from telefold.connectors import dynamodb_rows
from telefold.connectors.dynamodb_errors import VENDOR_ERRORS, translated
from telefold.connectors.redis_scripts import REPLACE_ROW
from telefold.connectors.redis_views import RedisConnection, RedisViews, data_of, index_of, or_never
from telefold.schemas.generations import generation_prefix
from telefold.schemas.hot_rows import ALL, Hot
from telefold.schemas.view_rows import ViewUpdate

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class Mend(NamedTuple):
    """A row that is wrong, and what it must be."""

    partition: str
    sort: str
    found: int | None
    """The version of the row that is to be replaced; None if there is none."""
    wanted: ViewUpdate | None
    """The row that must be there; None if there must be none."""


class DynamoDbMender:
    """A writer that puts single rows of one generation in a table right; it owns `client`."""

    def __init__(self, client: "DynamoDBClient", table: str, generation: int) -> None:
        self._client = client
        self._table = table
        self._prefix = generation_prefix(generation)

    def mend(self, mend: Mend) -> bool:
        """Whether the row is now as it must be: not if it has changed since it was found."""
        key = {"pk": {"S": self._prefix + mend.partition}, "sk": {"S": mend.sort}}
        condition: dict[str, Any] = {
            "ConditionExpression": "attribute_not_exists(pk) OR expires_at <= :now",
            "ExpressionAttributeValues": {":now": {"N": str(int(time.time()))}},
        }
        if mend.found is not None:
            condition = {
                "ConditionExpression": "version = :found",
                "ExpressionAttributeValues": {":found": {"N": str(mend.found)}},
            }
        try:
            if mend.wanted is not None:
                item = dynamodb_rows.item(self._prefix, mend.wanted)
                self._client.put_item(TableName=self._table, Item=item, **condition)
            elif mend.found is not None:
                self._client.delete_item(TableName=self._table, Key=key, **condition)
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        except VENDOR_ERRORS as error:
            raise translated(error, self._table) from error
        return True

    def close(self) -> None:
        self._client.close()


class RedisMender(RedisViews):
    """A writer that puts single rows of one generation in Redis right."""

    def __init__(self, connection: RedisConnection, generation: int, hot: Hot = ALL) -> None:
        super().__init__(connection)
        self._prefix = generation_prefix(generation)
        self._hot = hot

    def mend(self, mend: Mend) -> bool:
        """Do what `DynamoDbMender.mend` does."""
        index = index_of(self._prefix + mend.partition)
        names = (mend.sort,) if mend.wanted is None else mend.wanted.changed or (mend.sort,)
        values: list[Any] = ["" if mend.found is None else mend.found, orjson.dumps(names)]
        if mend.wanted is not None:
            leaves_at = self._hot.expiry(mend.sort, mend.wanted.expires_at)
            values += [mend.wanted.version, data_of(mend.wanted)]
            values += map(or_never, (mend.wanted.expires_at, leaves_at))
        command = ("EVAL", REPLACE_ROW.source, 2, index, f"{index}:{mend.sort}", *values)
        return bool(self._send([command])[0])
