"""A server of the local stack in a container instead of a process."""

from collections.abc import Iterator
from contextlib import contextmanager

from tenacity import Retrying, stop_after_delay, wait_fixed
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network

from telefold.deploy.local import servers
from telefold.deploy.local.servers import HOST, Server
from tests.containers.images import IMAGES

_PATIENCE_S = 60


def network() -> Network:
    """A network for containers of ours, removed with the block; not every engine has one of its own."""
    testcontainers_config.ryuk_disabled = True  # one more image, for what these blocks do
    return Network()


@contextmanager
def in_container(server: Server, network: Network) -> Iterator[str]:
    """Its URL; published on its port of 127.0.0.1 alone, and removed with the block."""
    with _container(server, network) as container:
        _await_answer(server, container)
        yield servers.url(server.name, server.port)


def _container(server: Server, network: Network) -> DockerContainer:
    image = IMAGES[server.name]
    program, *arguments = image.command
    container = DockerContainer(image.reference(server.name), network=network).with_command(arguments)
    for place, file in image.files.items():
        container.with_copy_into_container(file, place)
    for name, value in image.environment.items():
        container.with_env(name, value)
    container.ports = {f"{image.port}/tcp": (HOST, server.port)}  # type: ignore[dict-item]  # an address is Docker's to take
    return container.with_kwargs(entrypoint=[program])


def _await_answer(server: Server, container: DockerContainer) -> None:
    for attempt in Retrying(stop=stop_after_delay(_PATIENCE_S), wait=wait_fixed(0.1), reraise=True):
        with attempt:
            assert server.answers(server.port), b"".join(container.get_logs()).decode()
