"""The images of the three servers: those that others publish, or one that holds all three, built from packages.

Where no registry is reachable, `ready` builds that one from Debian's packages (Python, Redis) and PyPI's (moto,
MiniStack).
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

from telefold.deploy.local.servers import DYNAMODB, KINESIS, REDIS
from tests.containers.steps import CannotRun, Say, run

ROOT = Path(__file__).parents[2]
BUILT = f"telefold-test-servers:moto-{version('moto')}-ministack-{version('ministack')}"
_SUITE, _PYTHON = "bookworm", "3.11"
"""A release of Debian and its Python, for which pip installs: no release has the one that we have."""
_PACKAGES = "base-files,python3,redis-server"
_OURS, _MINISTACK, _MOTO = "/opt/telefold", "/opt/ministack", "/opt/moto"  # MiniStack as in the published image
_BUILD_S = 120
_TARGETS = {_MOTO: ("moto", "flask", "flask-cors"), _MINISTACK: ("--no-deps", "ministack")}
"""Folder in the image -> what pip puts there; MiniStack's DynamoDB needs none of what the rest of it does."""


class Image(NamedTuple):
    """How one server is run in a container."""

    published: str
    port: int
    command: Sequence[str]
    """Program and arguments; the image's own entry point does not run, so published and built images are alike."""
    files: Mapping[str, Path] = {}
    """Path in the container -> file of ours."""
    environment: Mapping[str, str] = {}

    def reference(self, name: str) -> str:
        """The image to run for the server `name`: what `variable` is set to, or what is published."""
        return os.environ.get(variable(name), self.published)


def _in_python(published: str, port: int, module: str) -> Image:
    """Our server in `module` of deploy/local, over what the image has installed."""
    return Image(
        published,
        port,
        ("python3", "-m", f"telefold.deploy.local.{module}", "-H", "0.0.0.0", "-p", str(port)),
        {
            f"{_OURS}/telefold/deploy/local/{name}.py": ROOT / "deploy" / "local" / f"{name}.py"
            for name in (module, "kept")
        },
        {"PYTHONPATH": f"{_OURS}:{_MINISTACK}:{_MOTO}"},
    )


IMAGES = {
    KINESIS: _in_python(f"motoserver/moto:{version('moto')}", 5000, "kinesis_server"),
    DYNAMODB: _in_python(f"ministackorg/ministack:{version('ministack')}", 8000, "dynamodb_server"),
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
        say("building an image of the three servers from packages: moto, MiniStack, Python, Redis")
        for target, wanted in _TARGETS.items():
            run([sys.executable, "-m", "pip", *_pip_arguments(f"{folder}{target}", wanted)], _BUILD_S)
        root = Path(folder, "root.tar")
        run(_bootstrap(folder, root), _BUILD_S)
        repository, tag = BUILT.split(":")
        client.api.import_image_from_file(str(root), repository, tag)


def _pip_arguments(target: str, wanted: Sequence[str]) -> list[str]:
    """Binaries for the image's Python, at the versions that the tests have."""
    quietly = ["--quiet", "--disable-pip-version-check", "--no-compile"]
    binaries = ["--only-binary=:all:", "--implementation", "cp", "--python-version", _PYTHON]
    return ["install", *quietly, *binaries, "--target", target, "-c", str(ROOT / "requirements.txt"), *wanted]


def _bootstrap(folder: str, root: Path) -> list[str]:
    """Packages are unpacked, not configured: the programs need no more, and it takes a third of the time."""
    hooks = [f"mkdir -p {' '.join(f'$1{target}' for target in _TARGETS)}"]
    hooks += [f"sync-in {shlex.quote(folder + target)} {target}" for target in _TARGETS]
    options = ["--quiet", "--variant=extract", f"--include={_PACKAGES}"]
    return ["mmdebstrap", *options, *(f"--extract-hook={hook}" for hook in hooks), _SUITE, str(root)]
