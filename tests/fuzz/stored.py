"""All that both stores hold, whoever wrote it."""

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import cast

import redis

from telefold.connectors import aws
from telefold.connectors.dynamodb_rows import Item, row_of
from telefold.jobs.settings import Settings
from telefold.schemas.packed_rows import newest_of
from telefold.schemas.packed_rows import rows_in as in_item
from telefold.schemas.view_rows import PackedItem, ViewRow
from telefold.verify.oracle import Key

_BOOKKEEPING = "telefold"


def items(settings: Settings) -> list[Item]:
    """Every item of the table as DynamoDB has it."""
    views = settings.views
    with closing(aws.client("dynamodb", settings.views_region, views.dynamodb_endpoint, read_timeout=120)) as client:
        pages = client.get_paginator("scan").paginate(TableName=views.dynamodb_table, ConsistentRead=True)
        return [item for page in pages for item in page["Items"]]


def key_of(item: Item) -> Key:
    return item["pk"]["S"], item["sk"]["S"]


def is_bookkeeping(item: Item) -> bool:
    return key_of(item)[0].startswith(_BOOKKEEPING)


def rows_in(found: list[Item]) -> dict[Key, ViewRow]:
    """Those of the items that are no bookkeeping's; raises what reading them raises if one is no row."""
    stored = ((key_of(item)[0], row_of(item)) for item in found if not is_bookkeeping(item))
    return newest_of(((partition, row.sort), row) for partition, item in stored for row in in_item(item))


def rows_in_redis(settings: Settings) -> tuple[dict[Key, ViewRow], set[str]]:
    """Rows by key, and the keys of Redis that are neither a row, an index, the pointer nor the mark.

    A key may be read in several ways where ids hold braces, so rows are found by the indexes of their partitions.
    """
    with redis.Redis.from_url(settings.views.redis_url) as client:
        keys: set[bytes] = set(client.scan_iter(count=1_000))
        with client.pipeline(transaction=False) as pipeline:
            ordered = sorted(keys)
            for key in ordered:
                pipeline.type(key)
            kinds = dict(zip(ordered, pipeline.execute(), strict=True))
        rows: list[tuple[Key, ViewRow]] = []
        explained = {b"tf:generation", b"tf:whole"}
        for index in (key for key, kind in kinds.items() if kind == b"zset"):
            explained.add(index)
            for sort, stored in _rows_of(client, index):
                explained.add(index + b":" + sort)
                if stored:
                    partition = index[len(b"tf:{") : -1].decode()
                    rows += [((partition, row.sort), row) for row in in_item(_row(sort.decode(), stored))]
    return newest_of(rows), {key.decode(errors="backslashreplace") for key in keys - explained}


def _rows_of(client: redis.Redis, index: bytes) -> Iterator[tuple[bytes, Mapping[bytes, bytes]]]:
    sorts = cast("list[bytes]", client.zrange(index, 0, -1))
    with client.pipeline(transaction=False) as pipeline:
        for sort in sorts:
            pipeline.hgetall(cast("str", index + b":" + sort))
        yield from zip(sorts, pipeline.execute(), strict=True)


def _row(sort: str, stored: Mapping[bytes, bytes]) -> ViewRow:
    version, data = int(stored[b"v"]), stored[b"d"]
    expires_at = int(stored[b"e"]) if stored.get(b"e") else None
    if not data.startswith(b"{"):
        return PackedItem(sort, version, expires_at=expires_at, packed=data)
    return ViewRow(sort, version, json.loads(data), expires_at)
