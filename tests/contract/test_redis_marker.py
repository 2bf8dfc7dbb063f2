"""The mark that Redis is whole, which is gone once it was emptied, and rows that leave it when they are not hot."""

import time
from collections.abc import Iterator
from typing import cast

import pytest
from redis import Redis

from telefold.connectors.redis_views import RedisMarker, RedisWriter, connect
from telefold.schemas.hot_rows import Hot
from telefold.schemas.view_rows import ViewUpdate, rollup_sort
from tests.support.open_stores import redis_reader

NOW = 1_796_000_000.0


@pytest.fixture
def client(redis_url: str) -> Iterator["Redis"]:
    with Redis.from_url(redis_url) as opened:
        opened.flushall()
        yield opened


@pytest.fixture
def marker(redis_url: str, client: "Redis") -> Iterator[RedisMarker]:
    opened = RedisMarker(connect(redis_url), lambda: NOW)
    yield opened
    opened.close()


def test_redis_is_whole_from_when_it_was_filled_until_it_is_emptied(marker: RedisMarker, client: "Redis") -> None:
    assert marker.whole_since() is None
    marker.begin("one")
    assert marker.set_whole("one")
    assert marker.whole_since() == NOW
    client.flushall()
    assert marker.whole_since() is None


def test_who_was_filling_when_it_was_emptied_again_does_not_mark_it(marker: RedisMarker, client: "Redis") -> None:
    marker.begin("one")
    client.flushall()
    marker.begin("two")
    assert not marker.set_whole("one")
    assert marker.whole_since() is None
    assert marker.set_whole("two")


def test_one_at_a_time_claims_to_fill_it(marker: RedisMarker, client: "Redis") -> None:
    assert marker.claim("one", 60)
    assert not marker.claim("two", 60)
    assert marker.claim("one", 120)
    assert cast("int", client.ttl("tf:filling")) > 60
    marker.release("two")
    assert not marker.claim("two", 60)
    marker.release("one")
    assert marker.claim("two", 60)


def test_a_reader_for_both_stores_asks_redis_only_while_it_is_whole(marker: RedisMarker, redis_url: str) -> None:
    reader = redis_reader(redis_url)
    assert reader.pinned_if_whole() is None
    marker.begin("one")
    marker.set_whole("one")
    found = reader.pinned_if_whole()
    assert found is not None
    pinned, generation = found
    assert (pinned.range("device#1"), generation) == ([], 1)
    reader.close()


def test_windows_leave_redis_when_they_are_not_hot_and_are_not_written_later(redis_url: str, client: "Redis") -> None:
    now = time.time()
    hot, old = (rollup_sort("1m", "t", round((now - ago) * 1_000)) for ago in (100, 3_700))
    rows = [
        ViewUpdate("rollups", "fleet#all", sort, 1, {"count": 1}, expires_at=round(now) + 9_000_000)
        for sort in (hot, old)
    ]
    latest = ViewUpdate("latest", "device#1", "latest#t", 1, {"value": 1})
    writer = RedisWriter(connect(redis_url), hot=Hot(3_600))
    assert writer.write([*rows, latest]).written == 3
    leaves = client.expiretime("tf:{fleet#all}:" + hot)
    assert now + 3_500 < leaves < now + 3_600
    assert client.exists("tf:{fleet#all}:" + old) == 0
    assert client.ttl("tf:{device#1}:latest#t") == -1
    reader = redis_reader(redis_url)
    assert [(row.sort, row.expires_at) for row in reader.range("fleet#all")] == [(hot, rows[0].expires_at)]
    reader.close()
    writer.close()
