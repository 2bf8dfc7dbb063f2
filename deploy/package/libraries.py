"""The libraries of the zip, fetched by pip as binaries for the machines of managed Flink, wherever this runs."""

import re
import subprocess
import sys
from pathlib import Path

from packaging.utils import canonicalize_name

from telefold.deploy import checkout
from telefold.schemas.errors import PackageError

PLATFORM = "manylinux2014_x86_64"
PYTHON = "3.12"
PINS = checkout.ROOT / "requirements.txt"
REQUIREMENTS = checkout.TEMPLATES / "requirements.txt"

_PINNED = re.compile(r"^([A-Za-z0-9_.-]+)==", re.MULTILINE)


def fetch(folder: Path) -> None:
    """Unpack into `folder` what the job needs at run time, of the versions that are pinned.

    Raises PackageError where pip cannot, or where it brings something that nobody has pinned.
    """
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    command += ["--no-warn-conflicts", "--target", str(folder), "--only-binary=:all:", "--implementation", "cp"]
    command += ["--platform", PLATFORM, "--python-version", PYTHON, "-c", str(PINS), "-r", str(REQUIREMENTS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PackageError(f"pip could not fetch the libraries of the job: {_last_line(done.stderr)}")
    if unpinned := sorted(_installed(folder) - _pinned()):
        raise PackageError(f"{', '.join(unpinned)}: not pinned; add what pip chose to {PINS.name}.")


def _installed(folder: Path) -> set[str]:
    return {canonicalize_name(info.name.split("-")[0]) for info in folder.glob("*.dist-info")}


def _pinned() -> set[str]:
    return {canonicalize_name(name) for name in _PINNED.findall(PINS.read_text("utf-8"))}


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it does not say why."
