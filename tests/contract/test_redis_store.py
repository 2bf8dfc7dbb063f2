"""Redis in trouble: scripts or data gone, out of memory, locked, restarted; and what it tells those who listen."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from redis import Redis
from redis.exceptions import BusyLoadingError, NoPermissionError, ReadOnlyError, RedisError, ResponseError

from connectors.patience import Patience
from connectors.redis_errors import translated
from connectors.redis_views import RedisReader, RedisWriter
from connectors.view_writer import ViewStores
from deploy.local import servers
from schemas.errors import StoreRefused, StoreUnavailable
from schemas.view_rows import ViewUpdate
from schemas.view_stores import WriteResult


@pytest.fixture
def writer(redis_url: str) -> Iterator[RedisWriter]:
    opened = RedisWriter(redis_url)
    yield opened
    opened.close()


@pytest.fixture
def reader(redis_url: str) -> Iterator[RedisReader]:
    opened = RedisReader(redis_url)
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
    key = b"tf:{device#1}:latest#t"
    assert client.hgetall(key) == {b"v": b"7", b"d": b'{"value":1.5}', b"e": b"%d" % expires_at}
    assert client.zrange("tf:{device#1}", 0, -1, withscores=True) == [(b"latest#t", 0.0)]
    assert client.expiretime(key) == expires_at


def test_rows_of_a_later_generation_lie_and_are_announced_under_it(redis_url: str, client: "Redis") -> None:
    writer = RedisWriter(redis_url, generation=2)
    with client.pubsub(ignore_subscribe_messages=True) as channel:
        channel.psubscribe("tf:*")
        channel.get_message(timeout=1)
        writer.write([row("latest#t", 7)])
        heard = channel.get_message(timeout=1)
    assert sorted(client.keys()) == [b"tf:{g2/device#1}", b"tf:{g2/device#1}:latest#t"]
    assert heard is not None
    assert heard["channel"] == b"tf:{g2/device#1}"
    writer.close()


def test_listeners_hear_once_a_partition_which_rows_were_written(writer: RedisWriter, client: "Redis") -> None:
    writer.write([row("stale", 9)])
    with client.pubsub(ignore_subscribe_messages=True) as channel:
        channel.psubscribe("tf:*")
        channel.get_message(timeout=1)
        writer.write([row("a"), row("b"), row("stale", 8), row("Ω", partition="device#2")])
        heard = [channel.get_message(timeout=1) for _ in range(2)]
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

    def flush_on_the_way(commands):  # type: ignore[no-untyped-def]
        if len(commands) < 3:
            return send(commands)
        first = send(commands[:1])
        client.script_flush()
        return first + send(commands[1:])

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
    assert client.zcard("tf:{device#1}") < 450


def test_an_index_of_expired_rows_only_can_empty_itself(writer: RedisWriter, client: "Redis") -> None:
    for n in range(5):
        writer.write([row(f"r#{n}", expires_at=1)])
    assert client.zcard("tf:{device#1}") <= 1


def test_a_server_that_is_killed_and_restarted_costs_patience_only(tmp_path: Path) -> None:
    server = servers.redis(servers.free_port())
    process = servers.start(server, tmp_path)
    retried: list[str] = []
    stores = ViewStores({"redis": RedisWriter(servers.url("redis", server.port))}, Patience(on_retry=retried.append))
    stores.write([row("a")])
    servers.stop(process)
    results: list[WriteResult] = []
    writing = Thread(target=lambda: results.append(stores.write([row("a", 2), row("b", partition="device#2")])))
    writing.start()
    while not retried:
        time.sleep(0.01)
    process = servers.start(server, tmp_path)
    writing.join(30)
    stores.close()
    servers.stop(process)
    assert results == [WriteResult(2, 0)]
    assert set(retried) == {"redis"}


def test_a_wrong_password_is_refused_with_the_setting_and_the_right_one_serves(tmp_path: Path) -> None:
    server = servers.redis(servers.free_port(), "--requirepass", "open sesame")
    process = servers.start(server, tmp_path)
    url = servers.url("redis", server.port)
    for password in (None, "wrong"):
        writer = RedisWriter(url, password)
        for use in (writer.check, lambda writer=writer: writer.write([row("a")])):
            with pytest.raises(StoreRefused, match=r"telefold\.views/redis\.url"):
                use()
        writer.close()
    writer = RedisWriter(url, "open sesame")
    writer.check()
    assert writer.write([row("a")]) == WriteResult(1, 0)
    writer.close()
    servers.stop(process)


def test_a_server_that_is_away_is_unavailable() -> None:
    url = servers.url("redis", servers.free_port())
    writer, reader = RedisWriter(url), RedisReader(url)
    for use in (
        writer.check,
        lambda: writer.write([row("a")]),
        lambda: reader.get("a", "b"),
        lambda: reader.range("a"),
    ):
        with pytest.raises(StoreUnavailable):
            use()


def test_someone_elses_key_is_refused(writer: RedisWriter, client: "Redis") -> None:
    client.set("tf:{device#1}", "mine")
    with pytest.raises(StoreRefused, match=r"something else .* telefold\.views/redis\.url"):
        writer.write([row("a")])


def test_a_full_server_is_unavailable_until_it_has_room(writer: RedisWriter, client: "Redis") -> None:
    client.config_set("maxmemory", 1)
    try:
        with pytest.raises(StoreUnavailable, match="maxmemory"):
            writer.write([row("a")])
    finally:
        client.config_set("maxmemory", 0)
    assert writer.write([row("a")]) == WriteResult(1, 0)


@pytest.mark.parametrize(
    "error",
    [
        BusyLoadingError("Redis is loading the dataset in memory"),
        ReadOnlyError("READONLY You can't write against a read only replica."),
        ReadOnlyError("You can't write against a read only replica."),
        ResponseError("BUSY Redis is busy running a script."),
        ResponseError("ERR Error running script (call to f_0): @user_script:1: -OOM command not allowed"),
        ResponseError("MISCONF Redis is configured to save RDB snapshots"),
    ],
)
def test_errors_that_pass(error: RedisError) -> None:
    assert isinstance(translated(error), StoreUnavailable)


@pytest.mark.parametrize(
    "error",
    [NoPermissionError("this user has no permissions"), ResponseError("NOAUTH Authentication required.")],
)
def test_errors_that_stay(error: RedisError) -> None:
    assert isinstance(translated(error), StoreRefused)
