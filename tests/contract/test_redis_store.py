"""Redis in trouble: scripts or data gone, out of memory, locked, restarted; and what it tells those who listen."""

import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from threading import Thread

import pytest
from redis import Redis
from redis.exceptions import (
    BusyLoadingError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from connectors.memory import MemoryViews
from connectors.patience import Patience
from connectors.redis_errors import translated
from connectors.redis_views import RedisReader, RedisWriter
from connectors.view_writer import NoRoom, ViewStores
from deploy.local import servers
from schemas.errors import StoreFull, StoreRefused, StoreUnavailable
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

    def flush_on_the_way(commands, **kept):  # type: ignore[no-untyped-def]
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
    stores.write([row("latest#a")])
    servers.stop(process)
    results: list[WriteResult] = []
    writing = Thread(
        target=lambda: results.append(stores.write([row("latest#a", 2), row("latest#b", partition="device#2")]))
    )
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


@pytest.fixture
def stopped(tmp_path: Path) -> Iterator[tuple[str, Callable[[int], None]]]:
    """A server that answers nothing, though it is there, and how to send it a signal."""
    server = servers.redis(servers.free_port())
    process = servers.start(server, tmp_path)
    pid = process.pid
    os.kill(pid, signal.SIGSTOP)
    yield servers.url("redis", server.port), lambda number: os.kill(pid, number)
    os.kill(pid, signal.SIGCONT)
    servers.stop(process)


def test_a_server_that_answers_nothing_is_in_the_log_and_counted_within_seconds_and_waited_out(
    stopped: tuple[str, Callable[[int], None]], caplog: pytest.LogCaptureFixture
) -> None:
    url, send_signal = stopped
    noticed: list[float] = []

    def notice(store: str) -> None:
        noticed.append(time.monotonic() - began)
        send_signal(signal.SIGCONT)

    began = time.monotonic()
    stores = ViewStores({"redis": RedisWriter(url)}, Patience(on_retry=notice))
    assert stores.write([row("latest#a")]) == WriteResult(1, 0)
    stores.close()
    assert noticed[0] < 8
    assert caplog.records[0].getMessage().startswith("redis is unavailable")


class Slow:
    """A server that takes its time before it answers the first command of a connection."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}"
        Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            while heard := connection.recv(65_536):
                if b"EXISTS" in heard:
                    time.sleep(self._seconds)
                connection.sendall(b":0\r\n" if b"EXISTS" in heard else b"+OK\r\n" * heard.count(b"SETINFO"))

    def close(self) -> None:
        self._listener.close()


def test_a_server_that_is_slow_and_alive_is_given_more_time_the_second_time() -> None:
    slow = Slow(4)
    with closing(slow), closing(RedisReader(slow.url)) as reader:
        with pytest.raises(StoreUnavailable, match="Timeout"):
            reader.check()
        reader.check()


@pytest.mark.parametrize(
    "error",
    [
        BusyLoadingError("Redis is loading the dataset in memory"),
        ReadOnlyError("READONLY You can't write against a read only replica."),
        ReadOnlyError("You can't write against a read only replica."),
        ResponseError("BUSY Redis is busy running a script."),
        ResponseError("MISCONF Redis is configured to save RDB snapshots"),
    ],
)
def test_errors_that_pass(error: RedisError) -> None:
    assert isinstance(translated(error), StoreUnavailable)


@pytest.mark.parametrize(
    "error",
    [
        OutOfMemoryError("command not allowed when used memory > 'maxmemory'."),
        ResponseError("ERR Error running script (call to f_0): @user_script:1: -OOM command not allowed"),
    ],
)
def test_errors_that_pass_once_somebody_makes_room(error: RedisError) -> None:
    assert isinstance(translated(error), StoreFull)


@pytest.mark.parametrize(
    "error",
    [NoPermissionError("this user has no permissions"), ResponseError("NOAUTH Authentication required.")],
)
def test_errors_that_stay(error: RedisError) -> None:
    assert isinstance(translated(error), StoreRefused)


@pytest.mark.parametrize(
    ("maxmemory", "policy", "told"),
    [("0", "allkeys-lru", None), ("100mb", "noeviction", None), ("100mb", "allkeys-lru", "allkeys-lru")],
)
def test_a_server_that_drops_rows_when_it_is_full_is_known_by_its_policy(
    writer: RedisWriter, client: "Redis", maxmemory: str, policy: str, told: str | None
) -> None:
    before = client.config_get("maxmemory*")
    client.config_set("maxmemory", maxmemory)
    client.config_set("maxmemory-policy", policy)
    try:
        assert writer.evicts_by() == told
    finally:
        client.config_set("maxmemory-policy", before["maxmemory-policy"])
        client.config_set("maxmemory", before["maxmemory"])
