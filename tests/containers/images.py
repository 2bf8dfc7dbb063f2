"""The images of the three servers: those that others publish, or one that holds all three, built from packages.

Where no registry is reachable, `ready` builds that one from Debian's packages (Java, Python, Redis), PyPI's (moto) and
Maven's (DynamoDB Local, as `make setup` laid it into `lib/`).
"""

import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import docker
from docker.errors import APIError, ImageNotFound

from deploy.local import kinesis_server
from deploy.local.servers import DYNAMODB, DYNAMODB_JARS, KINESIS, REDIS
from tests.containers.steps import CannotRun, Say, run

ROOT = Path(__file__).parents[2]
BUILT = f"telefold-test-servers:moto-{version('moto')}"
_SUITE = "bookworm"  # its Python is 3.11, as ours is, so that what our pip installs fits
_PACKAGES = "base-files,openjdk-17-jre-headless,python3,redis-server"
_JARS_AT = "/home/dynamodblocal"  # as in the published image
_BUILD_S = 120


class Image(NamedTuple):
    """How one server is run in a container."""

    published: str
    port: int
    command: Sequence[str]
    """Program and arguments; the image's own entry point does not run, so published and built images are alike."""
    files: Mapping[str, Path] = {}
    """Path in the container -> file of ours."""

    def reference(self, name: str) -> str:
        """The image to run for the server `name`: what `variable` is set to, or what is published."""
        return os.environ.get(variable(name), self.published)


IMAGES = {
    KINESIS: Image(
        f"motoserver/moto:{version('moto')}",
        5000,
        ("python3", "/kinesis_server.py", "-H", "0.0.0.0", "-p", "5000"),
        {"/kinesis_server.py": Path(kinesis_server.__file__)},
    ),
    DYNAMODB: Image(
        "amazon/dynamodb-local:2.5.2",
        8000,
        (
            *("java", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
            f"-Djava.library.path={_JARS_AT}:{_JARS_AT}/DynamoDBLocal_lib",
            *("-cp", f"{_JARS_AT}/*:{_JARS_AT}/DynamoDBLocal_lib/*"),
            "com.amazonaws.services.dynamodbv2.local.main.ServerRunner",
            *("-inMemory", "-sharedDb", "-disableTelemetry", "-port", "8000"),
        ),
    ),
    REDIS: Image("redis:7", 6379, ("redis-server", "--save", "", "--appendonly", "no", "--protected-mode", "no")),
}


def variable(name: str) -> str:
    """The environment variable that names another image for a server."""
    return f"TELEFOLD_{name.upper()}_IMAGE"


def ready(client: docker.DockerClient, say: Say) -> dict[str, str]:
    """Server -> image that the engine has by now: pulled, or where it cannot be, built. Raises CannotRun."""
    try:
        return {name: _pulled(client, image.reference(name), say) for name, image in IMAGES.items()}
    except APIError as error:
        say(f"cannot pull it ({_first_line(error)})")
    try:
        client.images.get(BUILT)
    except ImageNotFound:
        _build(client, say)
    return dict.fromkeys(IMAGES, BUILT)


def _pulled(client: docker.DockerClient, reference: str, say: Say) -> str:
    try:
        client.images.get(reference)
    except ImageNotFound:
        say(f"pulling {reference}")
        client.images.pull(reference)
    return reference


def _first_line(error: APIError) -> str:
    return str(error.explanation or error).splitlines()[0]


def _build(client: docker.DockerClient, say: Say) -> None:
    if shutil.which("mmdebstrap") is None:
        raise CannotRun("The images cannot be pulled, and without mmdebstrap they cannot be built: install it.")
    with tempfile.TemporaryDirectory(prefix="telefold-image-") as folder:
        say("building an image of the three servers from packages: moto")
        run([sys.executable, "-m", "pip", *_pip_arguments(folder)], _BUILD_S)
        say("building an image of the three servers from packages: Java, Python, Redis, DynamoDB Local")
        root = Path(folder, "root.tar")
        run(_bootstrap(Path(folder, "moto"), root), _BUILD_S)
        repository, tag = BUILT.split(":")
        client.api.import_image_from_file(str(root), repository, tag, changes=["ENV PYTHONPATH=/opt/moto"])


def _pip_arguments(folder: str) -> list[str]:
    """What moto's server imports for Kinesis, at the versions that the tests have."""
    constraints = str(ROOT / "requirements.txt")
    quietly = ["--quiet", "--disable-pip-version-check", "--no-compile"]
    return ["install", *quietly, "--target", f"{folder}/moto", "-c", constraints, "moto", "flask", "flask-cors"]


def _bootstrap(moto: Path, root: Path) -> list[str]:
    """Packages are unpacked, not configured: the three programs need no more, and it takes a third of the time."""
    hooks = (
        f'mkdir -p "$1{_JARS_AT}" "$1/opt/moto"',
        f"sync-in {shlex.quote(str(DYNAMODB_JARS))} {_JARS_AT}",
        f"sync-in {shlex.quote(str(moto))} /opt/moto",
        'cd "$1/usr/bin" && ln -s ../lib/jvm/java-17-openjdk-*/bin/java java',
    )
    options = ["--quiet", "--variant=extract", f"--include={_PACKAGES}"]
    return ["mmdebstrap", *options, *(f"--extract-hook={hook}" for hook in hooks), _SUITE, str(root)]
