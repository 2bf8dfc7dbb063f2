"""Watches both stores while jobs come and go: no row's version may ever be seen to fall.

Keys are as stored, so they hold their generation: the rows of each are watched on their own.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Self

import redis

from telefold.connectors import aws
from telefold.connectors.dynamodb_rows import BOOKKEEPING
from telefold.jobs.settings import Settings
from telefold.schemas.generations import generation_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_Seen = dict[tuple[str, str], int]
_PAUSE_S = 0.4
"""At least, between two looks; twice as long as a look takes, lest looking is what the stores are busy with."""


class VersionWatcher:
    """Looks at every row of both stores again and again, from the `with` on until its end."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._done = threading.Event()
        self._looks_at_redis = threading.Lock()
        self._thread = threading.Thread(target=self._watch)
        self._dynamodb: _Seen = {}
        self._redis: _Seen = {}
        self._dropped: set[int] = set()
        self.falls: list[str] = []
        self.looks = 0
        self.advances = 0
        """Looks at DynamoDB that found a row new or further than before."""

    def may_vanish(self, generation: int) -> None:
        """From now on the rows of `generation` may go, as those of one that is dropped do."""
        self._dropped.add(generation)

    @property
    def is_watching(self) -> bool:
        return self._thread.is_alive()

    @contextmanager
    def without_cache(self) -> Iterator[None]:
        """Redis is not looked at within this block; at its end it has lost its rows, and their versions begin anew."""
        with self._looks_at_redis:
            yield
            self._redis.clear()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        views = self._settings.views
        with (
            closing(aws.client("dynamodb", self._settings.views_region, views.dynamodb_endpoint)) as dynamodb,
            redis.Redis.from_url(views.redis_url, decode_responses=True) as cache,
        ):
            while not self._done.is_set():
                began = time.monotonic()
                self.advances += self._note(
                    "dynamodb", self._dynamodb, _dynamodb_versions(dynamodb, views.dynamodb_table)
                )
                self._look_at(cache)
                self.looks += 1
                time.sleep(max(_PAUSE_S, 2 * (time.monotonic() - began)))

    def _look_at(self, cache: redis.Redis) -> None:
        """Not at all while it is away, nor while it does not answer."""
        if self._looks_at_redis.acquire(blocking=False):
            try:
                with suppress(redis.TimeoutError):
                    self._note("redis", self._redis, _redis_versions(cache))
            finally:
                self._looks_at_redis.release()

    def _note(self, store: str, seen: _Seen, found: _Seen) -> bool:
        self.falls += [
            f"{store} {key}: {seen[key]} -> {version}" for key, version in found.items() if version < seen.get(key, 0)
        ]
        self.falls += [
            f"{store} {key}: vanished"
            for key in seen.keys() - found.keys()
            if generation_of(key[0].removeprefix("tf:{")) not in self._dropped
        ]
        advanced = any(version > seen.get(key, -1) for key, version in found.items())
        seen.update(found)
        return advanced


def _dynamodb_versions(client: "DynamoDBClient", table: str) -> _Seen:
    pages = client.get_paginator("scan").paginate(
        TableName=table, ProjectionExpression="pk, sk, version", ConsistentRead=True
    )
    items = (item for page in pages for item in page["Items"] if item["pk"]["S"] != BOOKKEEPING)
    return {(item["pk"]["S"], item["sk"]["S"]): int(item["version"]["N"]) for item in items}


def _redis_versions(client: redis.Redis) -> _Seen:
    keys = [key for key in client.scan_iter("tf:{*:*", count=1_000) if _is_row(key)]
    with client.pipeline(transaction=False) as pipeline:
        for key in keys:
            pipeline.hget(key, "v")
        return {(key, ""): int(version) for key, version in zip(keys, pipeline.execute(), strict=True) if version}


def _is_row(key: str) -> bool:
    """Whether `key` is a row's: an index's ends with the brace of its hash tag, and the pointer matches no row's."""
    return not key.endswith("}")
