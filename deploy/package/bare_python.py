"""A Python like that of managed Flink: it has apache-flink, what that itself requires, and nothing else."""

import sys
import venv
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from telefold.schemas.errors import PackageError

SUPPLIED = "apache-flink"


def create(folder: Path) -> Path:
    """Make a virtual environment in `folder`, in the place of what was there; return its `python`.

    It shows the packages of this Python, so it takes no time and is of no use once this one is gone.
    """
    venv.EnvBuilder(clear=True, symlinks=True, with_pip=False).create(folder)
    (packages,) = folder.glob("lib/python*/site-packages")
    for path in sorted({path for found in _supplied() for path in _top_level(found)}):
        link = packages / path.name
        link.symlink_to(path)
    return folder / "bin" / "python"


def _supplied() -> list[Distribution]:
    found: dict[str, Distribution] = {}
    missing = [SUPPLIED]
    while missing:
        name = missing.pop()
        if name not in found:
            found[name] = _distribution(name)
            missing += _requirements(found[name])
    return list(found.values())


def _distribution(name: str) -> Distribution:
    try:
        return distribution(name)
    except PackageNotFoundError:
        raise PackageError(f"{name} is not installed in {sys.prefix}: run `make setup`.") from None


def _requirements(found: Distribution) -> Iterator[str]:
    for requirement in map(Requirement, found.requires or []):
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield canonicalize_name(requirement.name)


def _top_level(found: Distribution) -> Iterator[Path]:
    """Files and folders right below site-packages; programs, which lie elsewhere, are left out."""
    names = {file.parts[0] for file in found.files or []} - {"..", "__pycache__"}
    return (Path(str(found.locate_file(name))) for name in names)
