"""What people write first: one conditional request a row, each answered before the next is sent."""

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import ClientError
from redis import Redis

from telefold.connectors import aws
from telefold.schemas.view_rows import ViewUpdate
from telefold.schemas.view_stores import WriteResult

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import TableAttributeValueTypeDef

_CONDITION = "attribute_not_exists(pk) OR version <= :v"

# Cheaper than WATCH, HGET and MULTI, which take three round trips and begin again when another writer was faster.
_COMPARE_AND_SET = """
local held = redis.call('HGET', KEYS[1], 'version')
if held and tonumber(held) > tonumber(ARGV[1]) then
  return 0
end
redis.call('HSET', KEYS[1], 'version', ARGV[1], 'data', ARGV[2])
if ARGV[3] ~= '' then
  redis.call('EXPIREAT', KEYS[1], ARGV[3])
end
return 1
"""


class ConditionalPuts:
    """A ViewWriter: boto3's Table resource, a conditional PutItem for each row."""

    def __init__(self, table: str, region: str, endpoint: str) -> None:
        keys = aws.emulator_keys(endpoint)
        resource = boto3.resource("dynamodb", region_name=region, endpoint_url=endpoint, **keys)
        self._table = resource.Table(table)

    def write(self, updates: Sequence[ViewUpdate]) -> WriteResult:
        written = sum(map(self._put, updates))
        return WriteResult(written, len(updates) - written)

    def _put(self, update: ViewUpdate) -> bool:
        item: dict[str, TableAttributeValueTypeDef] = {
            "pk": update.partition,
            "sk": update.sort,
            "version": update.version,
            "view": update.view,
            "data": {name: Decimal(str(value)) for name, value in update.data.items()},
        }
        if update.expires_at is not None:
            item["expires_at"] = update.expires_at
        try:
            self._table.put_item(
                Item=item, ConditionExpression=_CONDITION, ExpressionAttributeValues={":v": update.version}
            )
        except ClientError as error:
            if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
                return False
            raise
        return True

    def close(self) -> None:
        self._table.meta.client.close()


class ScriptCalls:
    """A ViewWriter: redis-py, a compare-and-set script call for each row; no index of a partition, nobody notified."""

    def __init__(self, url: str) -> None:
        self._client = Redis.from_url(url)
        self._compare_and_set = self._client.register_script(_COMPARE_AND_SET)

    def write(self, updates: Sequence[ViewUpdate]) -> WriteResult:
        written = sum(map(self._set, updates))
        return WriteResult(written, len(updates) - written)

    def _set(self, update: ViewUpdate) -> int:
        expires_at = "" if update.expires_at is None else update.expires_at
        return int(
            self._compare_and_set(
                keys=[f"naive:{update.partition}:{update.sort}"],
                args=[update.version, json.dumps(update.data), expires_at],
            )
        )

    def close(self) -> None:
        self._client.close()
