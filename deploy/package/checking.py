"""The zip looked at before it leaves: would managed Flink take it, and would the job start from it?"""

import json
import platform
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from telefold.deploy import checkout
from telefold.deploy.package import bare_python
from telefold.deploy.package.packaging import DEPENDENCIES
from telefold.deploy.package.quotas import MAX_ZIP_BYTES
from telefold.schemas.errors import PackageError, SettingsError


class Machine(NamedTuple):
    system: str
    processor: str

    @property
    def can_load(self) -> bool:
        """Whether the libraries of the zip, which are binaries, can be loaded here."""
        return self == ("Linux", "x86_64")


def this_machine() -> Machine:
    return Machine(platform.system(), platform.machine())


def check_size(size: int) -> None:
    if size > MAX_ZIP_BYTES:
        raise PackageError(
            f"The zip has {size:,} bytes and managed Flink takes {MAX_ZIP_BYTES:,}: leave out what you added to it."
        )


def check_start(path: Path, properties: Path, modules: Sequence[str]) -> None:
    """Import `modules` and all below them from the zip, in a Python that has nothing but what managed Flink's has, and
    read the settings there.

    Raises PackageError with a sentence for each module that cannot be imported, SettingsError for the settings.
    """
    with _unpacked(path) as folder:
        python = bare_python.create(folder / "python")
        found = _run(python, folder / DEPENDENCIES, properties, modules)
    if found["imports"]:
        raise PackageError("\n".join(found["imports"]))
    if found["settings"]:
        raise SettingsError(found["settings"])


@contextmanager
def _unpacked(path: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="telefold-") as folder:
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder)
        yield Path(folder)


def _run(python: Path, libraries: Path, properties: Path, modules: Sequence[str]) -> dict[str, list[str]]:
    arguments = [str(path) for path in (checkout.TEMPLATES / "check.py", libraries, properties.resolve())]
    command = [str(python), "-I", "-W", "ignore", *arguments, *modules]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PackageError(f"The zip could not be checked: {done.stderr.strip()}")
    return dict(json.loads(done.stdout.splitlines()[-1]))
