"""The Docker engine that runs the containers: the one that answers, or one of this run alone.

An engine of our own keeps everything in a temporary folder and leaves the machine's network as it is: no bridge, no
firewall rules. Processes pass on what comes to published ports, and networks come and go with the containers.
"""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import docker
from docker.errors import DockerException

from tests.containers.steps import CannotRun, Say, last_line, run

_DAEMON, _SOCKET = "dockerd", "docker.sock"
_PACKAGES = {_DAEMON: "docker.io", "mmdebstrap": "mmdebstrap"}
_LEAVES_THE_NETWORK_ALONE = ("--bridge=none", "--iptables=false", "--ip-forward=false")
_INSTALL_S, _START_S, _END_S = 60, 20, 20


class Engine(NamedTuple):
    client: docker.DockerClient
    environment: Mapping[str, str]
    """What a process must have in its environment to find it."""


@contextmanager
def running(own: bool, say: Say) -> Iterator[Engine]:
    """The engine that answers; with `own`, where none does, one that ends with the block and leaves nothing but its
    packages. Raises CannotRun.
    """
    client = _answering()
    if client is not None:
        with closing(client):
            yield Engine(client, {})
    elif own:
        _install(say)
        with _engine_of_our_own(say) as engine:
            yield engine
    else:
        address = os.environ.get("DOCKER_HOST", "the usual socket")
        raise CannotRun(
            f"No Docker engine that you may use answers at {address}: "
            "start one, set DOCKER_HOST, or as root run `make test-containers OWN_ENGINE=1`."
        )


def _answering() -> docker.DockerClient | None:
    try:
        return docker.from_env()
    except DockerException:
        return None


def check(client: docker.DockerClient, image: str, command: Sequence[str]) -> None:
    """Run `command` to its end in a container on a network, as tests will. Raises CannotRun: an engine that answers may
    still lack the rights for either.
    """
    program, *arguments = command
    network = f"telefold-check-{uuid4().hex[:8]}"
    try:
        made = client.networks.create(network)
        try:
            client.containers.run(image, arguments, entrypoint=[program], network=network, remove=True)
        finally:
            made.remove()
    except DockerException as error:
        raise CannotRun(f"The Docker engine cannot run a container on this machine: {last_line(str(error))}") from error


@contextmanager
def _engine_of_our_own(say: Say) -> Iterator[Engine]:
    with tempfile.TemporaryDirectory(prefix="telefold-docker-") as name, ExitStack() as stack:
        folder = Path(name)
        say(f"starting a Docker engine in {folder}")
        daemon = stack.enter_context(_daemon(folder))
        client = stack.enter_context(closing(_client(daemon, folder)))
        stack.callback(_remove_all, client)
        yield Engine(client, {"DOCKER_HOST": _address(folder)})


def _install(say: Say) -> None:
    missing = [package for program, package in _PACKAGES.items() if shutil.which(program) is None]
    if not missing:
        return
    named = " and ".join(missing)
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise CannotRun(f"No Docker engine answers, and {named} can only be installed by root, with apt-get.")
    say(f"installing {named}")
    run(["apt-get", "update", "-qq"], _INSTALL_S)
    run(["apt-get", "install", "-qq", "--no-install-recommends", *missing], _INSTALL_S)


@contextmanager
def _daemon(folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A session leader, so that Ctrl-C reaches it last."""
    places = {"data-root": "data", "exec-root": "exec", "pidfile": "pid"}
    options = [f"--{name}={folder / place}" for name, place in places.items()]
    command = [_DAEMON, f"--host={_address(folder)}", *_LEAVES_THE_NETWORK_ALONE, *options]
    with _log(folder).open("wb") as log:
        daemon = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        yield daemon
    finally:
        daemon.terminate()
        daemon.wait(_END_S)


def _client(daemon: "subprocess.Popen[bytes]", folder: Path) -> docker.DockerClient:
    deadline = time.monotonic() + _START_S
    while daemon.poll() is None and time.monotonic() < deadline:
        if (folder / _SOCKET).exists():
            with suppress(DockerException):
                return docker.DockerClient(_address(folder))
        time.sleep(0.1)
    raise CannotRun(f"A Docker engine does not start on this machine: {last_line(_log(folder).read_text())}")


def _remove_all(client: docker.DockerClient) -> None:
    """What an interrupted test left: an engine that ends does not take the interfaces of its networks with it."""
    for container in client.containers.list(all=True):
        container.remove(force=True, v=True)
    client.networks.prune()


def _address(folder: Path) -> str:
    return f"unix://{folder / _SOCKET}"


def _log(folder: Path) -> Path:
    return folder / "log"
