"""Redis in trouble: killed and restarted, locked, away, silent or slow, and what its errors mean."""

import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from threading import Thread

import pytest
from redis.exceptions import (
    BusyLoadingError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from telefold.connectors.redis_errors import translated
from telefold.connectors.retry_policy import RetryPolicy
from telefold.connectors.view_writer import ViewStores
from telefold.deploy.local import servers
from telefold.deploy.processes import stop
from telefold.schemas.errors import StoreFull, StoreRefused, StoreUnavailable
from telefold.schemas.view_stores import WriteResult
from tests.support.open_stores import redis_reader, redis_writer
from tests.support.view_rows import row
from tests.support.waiting import PATIENCE_S


def test_a_server_that_is_killed_and_restarted_costs_patience_only(tmp_path: Path) -> None:
    server = servers.redis(servers.free_port())
    process = servers.start(server, tmp_path)
    retried: list[str] = []
    stores = ViewStores(
        {"redis": redis_writer(servers.url("redis", server.port))}, RetryPolicy(on_retry=retried.append)
    )
    stores.write([row("latest#a")])
    stop(process)
    results: list[WriteResult] = []
    writing = Thread(
        target=lambda: results.append(stores.write([row("latest#a", 2), row("latest#b", partition="device#2")]))
    )
    writing.start()
    while not retried:
        time.sleep(0.01)
    process = servers.start(server, tmp_path)
    writing.join(PATIENCE_S)
    stores.close()
    stop(process)
    assert results == [WriteResult(2, 0)]
    assert set(retried) == {"redis"}


def test_a_wrong_password_is_refused_with_the_setting_and_the_right_one_serves(tmp_path: Path) -> None:
    server = servers.redis(servers.free_port(), "--requirepass", "open sesame")
    process = servers.start(server, tmp_path)
    url = servers.url("redis", server.port)
    for password in (None, "wrong"):
        writer = redis_writer(url, password)
        for use in (writer.check, lambda writer=writer: writer.write([row("a")])):
            with pytest.raises(StoreRefused, match=r"telefold\.views/redis\.url"):
                use()
        writer.close()
    writer = redis_writer(url, "open sesame")
    writer.check()
    assert writer.write([row("a")]) == WriteResult(1, 0)
    writer.close()
    stop(process)


def test_a_server_that_is_away_is_unavailable() -> None:
    url = servers.url("redis", servers.free_port())
    writer, reader = redis_writer(url), redis_reader(url)
    for use in (
        writer.check,
        lambda: writer.write([row("a")]),
        lambda: reader.get("a", "b"),
        lambda: reader.range("a"),
    ):
        with pytest.raises(StoreUnavailable):
            use()


@pytest.fixture
def stopped(tmp_path: Path) -> Iterator[tuple[str, Callable[[int], None]]]:
    """A server that answers nothing, though it is there, and how to send it a signal."""
    server = servers.redis(servers.free_port())
    process = servers.start(server, tmp_path)
    pid = process.pid
    os.kill(pid, signal.SIGSTOP)
    yield servers.url("redis", server.port), lambda number: os.kill(pid, number)
    os.kill(pid, signal.SIGCONT)
    stop(process)


def test_a_server_that_answers_nothing_is_in_the_log_and_counted_within_seconds_and_waited_out(
    stopped: tuple[str, Callable[[int], None]], caplog: pytest.LogCaptureFixture
) -> None:
    url, send_signal = stopped
    noticed: list[float] = []

    def notice(store: str) -> None:
        noticed.append(time.monotonic() - began)
        send_signal(signal.SIGCONT)

    began = time.monotonic()
    stores = ViewStores({"redis": redis_writer(url)}, RetryPolicy(on_retry=notice))
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
    with closing(slow), closing(redis_reader(slow.url)) as reader:
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
