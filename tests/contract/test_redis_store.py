"""Rows in Redis: their keys, who hears of them, scripts or data that are gone, and a server that is full."""

import json
import time
from collections.abc import Iterator, Sequence
from typing import Any, cast

import pytest
from redis import Redis

from telefold.connectors.memory import MemoryViews
from telefold.connectors.redis_views import RedisReader, RedisWriter
from telefold.connectors.view_writer import NoRoom, ViewStores
from telefold.schemas.errors import StoreRefused
from telefold.schemas.view_rows import ViewUpdate
from telefold.schemas.view_stores import WriteResult
from tests.support.open_stores import redis_reader, redis_writer
from tests.support.waiting import PATIENCE_S


@pytest.fixture
def writer(redis_url: str) -> Iterator[RedisWriter]:
    opened = redis_writer(redis_url)
    yield opened
    opened.close()


@pytest.fixture
def reader(redis_url: str) -> Iterator[RedisReader]:
    opened = redis_reader(redis_url)
    yield opened
    opened.close()


@pytest.fixture
def client(redis_url: str) -> Iterator["Redis"]:
    with Redis.from_url(redis_url) as opened:
        yield opened


def row(sort: str, version: int = 1, partition: str = "device#1", expires_at: int | None = None) -> ViewUpdate:
    return ViewUpdate("latest", partition, sort, version, {"value": 1.5}, expires_at)


def test_rows_lie_under_the_documented_keys(writer: RedisWriter, client: "Redis") -> None:
    expires_at = int(time.time()) + 100
    writer.write([row("latest#t", 7, expires_at=expires_at)])
    key = "tf:{device#1}:latest#t"
    assert client.hgetall(key) == {b"v": b"7", b"d": b'{"value":1.5}', b"e": b"%d" % expires_at}
    assert client.zrange("tf:{device#1}", 0, -1, withscores=True) == [(b"latest#t", 0.0)]
    assert client.expiretime(key) == expires_at


def test_rows_of_a_later_generation_lie_and_are_announced_under_it(redis_url: str, client: "Redis") -> None:
    writer = redis_writer(redis_url, generation=2)
    with client.pubsub(ignore_subscribe_messages=True) as channel:
        channel.psubscribe("tf:*")
        channel.get_message(timeout=PATIENCE_S)
        writer.write([row("latest#t", 7)])
        heard = channel.get_message(timeout=PATIENCE_S)
    assert sorted(cast("list[bytes]", client.keys())) == [b"tf:{g2/device#1}", b"tf:{g2/device#1}:latest#t"]
    assert heard is not None
    assert heard["channel"] == b"tf:{g2/device#1}"
    writer.close()


def test_listeners_hear_once_a_partition_which_rows_were_written(writer: RedisWriter, client: "Redis") -> None:
    writer.write([row("stale", 9)])
    with client.pubsub(ignore_subscribe_messages=True) as channel:
        channel.psubscribe("tf:*")
        channel.get_message(timeout=PATIENCE_S)
        writer.write([row("a"), row("b"), row("stale", 8), row("Ω", partition="device#2")])
        heard = [channel.get_message(timeout=PATIENCE_S) for _ in range(2)]
        assert channel.get_message(timeout=0.05) is None
    assert {message["channel"].decode(): sorted(json.loads(message["data"])) for message in heard if message} == {
        "tf:{device#1}": ["a", "b"],
        "tf:{device#2}": ["Ω"],
    }


def test_forgotten_scripts_are_sent_again(writer: RedisWriter, reader: RedisReader, client: "Redis") -> None:
    for version in range(3):
        client.script_flush()
        batch = [row("a", version, f"device#{n}") for n in range(5)]
        assert writer.write(batch) == WriteResult(5, 0)
    client.script_flush()
    assert reader.get("device#4", "a") is not None


def test_scripts_forgotten_between_two_partitions(
    writer: RedisWriter, redis_url: str, client: "Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.write([row("a")])
    send = writer._send

    def flush_on_the_way(commands: Sequence[tuple[Any, ...]], **kept: Any) -> list[Any]:
        if len(commands) < 3:
            return send(commands, **kept)
        first = send(commands[:1], **kept)
        client.script_flush()
        return first + send(commands[1:], **kept)

    monkeypatch.setattr(writer, "_send", flush_on_the_way)
    assert writer.write([row("a", 2, f"device#{n}") for n in range(6)]) == WriteResult(6, 0)


def test_a_flushed_database_takes_the_rows_again(writer: RedisWriter, reader: RedisReader, client: "Redis") -> None:
    writer.write([row("a", 5)])
    client.flushall()
    assert reader.range("device#1") == []
    assert writer.write([row("a", 4)]) == WriteResult(1, 0)
    assert [found.version for found in reader.range("device#1")] == [4]


def test_readers_clear_the_index_of_expired_rows(writer: RedisWriter, reader: RedisReader, client: "Redis") -> None:
    writer.write([row("kept"), *(row(f"r#{n}", expires_at=1) for n in range(5))])
    assert [found.sort for found in reader.range("device#1")] == ["kept"]
    assert client.zrange("tf:{device#1}", 0, -1) == [b"kept"]


def test_writers_keep_an_index_that_nobody_reads_in_bounds(writer: RedisWriter, client: "Redis") -> None:
    soon = int(time.time()) + 1
    writer.write([row(f"old#{n}", expires_at=soon) for n in range(300)])
    time.sleep(1.2)
    for n in range(300):
        writer.write([row(f"new#{n}")])
    assert cast("int", client.zcard("tf:{device#1}")) < 450


def test_an_index_of_expired_rows_only_can_empty_itself(writer: RedisWriter, client: "Redis") -> None:
    for n in range(5):
        writer.write([row(f"r#{n}", expires_at=1)])
    assert cast("int", client.zcard("tf:{device#1}")) <= 1


def test_someone_elses_key_is_refused(writer: RedisWriter, client: "Redis") -> None:
    client.set("tf:{device#1}", "mine")
    with pytest.raises(StoreRefused, match=r"something else .* telefold\.views/redis\.url"):
        writer.write([row("a")])


@pytest.fixture
def full(client: "Redis") -> Iterator["Redis"]:
    """A server that has no room until `maxmemory` is 0 again."""
    client.config_set("maxmemory", 1)
    yield client
    client.config_set("maxmemory", 0)


def test_a_full_server_says_which_rows_it_has_no_room_for_and_takes_them_once_it_has(
    writer: RedisWriter, reader: RedisReader, full: "Redis"
) -> None:
    with pytest.raises(NoRoom, match=r"Redis is full .*maxmemory.*telefold refill") as caught:
        writer.write([row("a"), row("b"), row("a", partition="device#2")])
    assert (caught.value.result, len(caught.value.unwritten)) == (WriteResult(0, 0), 3)
    full.config_set("maxmemory", 0)
    assert reader.range("device#1") == []
    assert writer.write([row("a")]) == WriteResult(1, 0)


def test_a_full_server_still_serves_readers(writer: RedisWriter, reader: RedisReader, client: "Redis") -> None:
    writer.write([row("a", 5)])
    client.config_set("maxmemory", 1)
    try:
        assert [found.version for found in reader.range("device#1")] == [5]
    finally:
        client.config_set("maxmemory", 0)


def test_a_full_redis_stops_nobody_and_what_it_lacks_is_told(
    writer: RedisWriter, reader: RedisReader, full: "Redis", caplog: pytest.LogCaptureFixture
) -> None:
    durable = MemoryViews()
    stores = ViewStores({"dynamodb": durable, "redis": writer})
    assert stores.write([row("latest#a"), row("latest#b")]) == WriteResult(2, 0, not_in_cache=2)
    assert stores.write([row("latest#a", 2)]) == WriteResult(1, 0, not_in_cache=1)
    assert len(durable.range("device#1")) == 2
    full.config_set("maxmemory", 0)
    assert stores.write([row("latest#b", 2)]) == WriteResult(1, 0)
    assert [found.sort for found in reader.range("device#1")] == ["latest#b"]
    told = [record.getMessage() for record in caplog.records]
    assert told[0].startswith("redis is full, rows go on into the durable store alone, 2 so far: Redis is full")
    assert told[1:] == ["redis has room again, and lacks what up to 3 writes of rows held: run `telefold refill`"]


@pytest.mark.parametrize(
    ("maxmemory", "policy", "told"),
    [("0", "allkeys-lru", None), ("100mb", "noeviction", None), ("100mb", "allkeys-lru", "allkeys-lru")],
)
def test_a_server_that_drops_rows_when_it_is_full_is_known_by_its_policy(
    writer: RedisWriter, client: "Redis", maxmemory: str, policy: str, told: str | None
) -> None:
    before = cast("dict[str, Any]", client.config_get("maxmemory*"))
    client.config_set("maxmemory", maxmemory)
    client.config_set("maxmemory-policy", policy)
    try:
        assert writer.evicts_by() == told
    finally:
        client.config_set("maxmemory-policy", str(before["maxmemory-policy"]))
        client.config_set("maxmemory", str(before["maxmemory"]))
