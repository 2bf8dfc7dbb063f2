"""The zip that Managed Service for Apache Flink runs.

`main.py` and `lib/pyflink-dependencies.jar` as its run options name them, and `dep/`, the one folder that Flink puts on
the path of every Python that works for the job: Telefold's packages and the libraries that they need.

The same sources, pins and jar make the same bytes (with the same zlib).
"""

import hashlib
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import telefold
from telefold.deploy import checkout
from telefold.schemas.errors import PackageError

EXAMPLE_PROPERTIES = checkout.TEMPLATES / "application_properties.json"

MAIN = "main.py"
JAR_NAME = "lib/pyflink-dependencies.jar"
DEPENDENCIES = "dep"
RUN_OPTIONS_GROUP = "kinesis.analytics.flink.run.options"
RUN_OPTIONS = {"python": MAIN, "jarfile": JAR_NAME, "pyFiles": f"{DEPENDENCIES}/"}

PACKAGES = ("schemas", "edge", "operators", "connectors", "views", "jobs")
"""Folders of the checkout, each a package of the same name below `telefold`."""
DOOR = ("__init__.py", "py.typed", "reading.py", "testing.py")
"""Modules of `telefold` itself: what a team's folds import."""
_KINDS = (".py", ".avsc")

_OF_PIP = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")
"""Differ from one installation to the next, and nobody reads them there."""
_TIME = (1980, 1, 1, 0, 0, 0)
_MODE = 0o100644
_LEVEL = 6

Files = Mapping[str, Path]
"""Name in the zip -> the file."""


class Built(NamedTuple):
    path: Path
    bytes: int
    sha256: str
    files: int


def collect(libraries: Path, added: Sequence[Path] = ()) -> Files:
    """Files of the zip: `libraries` is a folder that pip filled, `added` are modules or packages of a team's own.

    Raises PackageError if something is missing, or would take the place of something else.
    """
    if not checkout.JAR.is_file():
        raise PackageError(f"{checkout.JAR} is missing: run `make setup` to build it.")
    files = {MAIN: checkout.TEMPLATES / MAIN, JAR_NAME: checkout.JAR}
    for name, path in [*_telefold(), *_libraries(libraries), *(one for each in added for one in _added(each))]:
        name = f"{DEPENDENCIES}/{name}"
        if name in files:
            raise PackageError(f"{path} would take the place of {files[name]} in the zip: rename it.")
        files[name] = path
    return files


def write(files: Files, path: Path) -> Built:
    """Write the zip: names in order, one time and mode for all, so that equal files make equal bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name in sorted(files):
            archive.writestr(_entry(name), files[name].read_bytes(), compresslevel=_LEVEL)
    content = path.read_bytes()
    return Built(path, len(content), hashlib.sha256(content).hexdigest(), len(files))


def modules(added: Iterable[Path] = ()) -> list[str]:
    """The top-level modules and packages that are the job's own."""
    return ["telefold", *(path.stem for path in added)]


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _TIME)
    entry.create_system = 3  # the modes are those of Unix, wherever this runs
    entry.external_attr = _MODE << 16
    entry.compress_type = zipfile.ZIP_STORED if name.endswith(".jar") else zipfile.ZIP_DEFLATED
    return entry


def _telefold() -> Iterator[tuple[str, Path]]:
    door = Path(telefold.__file__).parent
    yield from ((f"telefold/{name}", door / name) for name in DOOR)
    for package in PACKAGES:
        for name, path in _below(checkout.ROOT / package, f"telefold/{package}"):
            if path.suffix in _KINDS:
                yield name, path


def _libraries(folder: Path) -> Iterator[tuple[str, Path]]:
    for name, path in _below(folder, ""):
        if not name.startswith("bin/") and path.name not in _OF_PIP:
            yield name, path


def _added(path: Path) -> Iterator[tuple[str, Path]]:
    path = path.resolve()
    if path.suffix == ".py" and path.is_file():
        yield path.name, path
    elif (path / "__init__.py").is_file():
        yield from _below(path, path.name)
    else:
        raise PackageError(f"{path} is neither a module (a .py file) nor a package (a folder with __init__.py).")


def _below(folder: Path, prefix: str) -> Iterator[tuple[str, Path]]:
    for path in folder.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            yield str(Path(prefix, path.relative_to(folder)).as_posix()), path
