"""What `make setup` needs is found where it usually is; where it is not, one sentence says what to do."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from telefold.deploy import checkout

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
THIS = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
REFUSES = "echo 'pyenv: python: command not found' >&2; exit 127"
STARTS = f'exec "{THIS}" "$@"'


class Said(NamedTuple):
    code: int
    out: str
    err: str


def program(path: Path, does: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{does}\n")
    path.chmod(0o755)
    return path.parent


def run(script: str, argument: str, home: Path, *folders: Path, variables: Mapping[str, str] | None = None) -> Said:
    """Run `script` with a PATH of `folders` and of what it calls itself."""
    tools = home / "tools"
    tools.mkdir()
    for tool in ("sed", "tr"):
        (tools / tool).symlink_to(str(shutil.which(tool)))
    environment = {"PATH": os.pathsep.join(map(str, (*folders, tools))), "HOME": str(home), **(variables or {})}
    command = ["/bin/sh", str(checkout.ROOT / "deploy" / script), argument]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return Said(done.returncode, done.stdout.strip(), done.stderr)


@pytest.mark.parametrize("name", [f"python{VERSION}", "python3"])
def test_a_python_on_the_path_is_found(tmp_path: Path, name: str) -> None:
    said = run("find-python", VERSION, tmp_path, program(tmp_path / "bin" / name, STARTS))
    assert said.code == 0
    assert Path(said.out).resolve() == THIS


def test_a_shim_that_refuses_to_start_is_not_the_end(tmp_path: Path) -> None:
    shims = program(tmp_path / "shims" / f"python{VERSION}", REFUSES)
    behind = program(tmp_path / "bin" / f"python{VERSION}", STARTS)
    said = run("find-python", VERSION, tmp_path, shims, behind)
    assert Path(said.out).resolve() == THIS


@pytest.mark.parametrize(
    "place",
    [f".pyenv/versions/{VERSION}.1/bin/python3", f".local/share/uv/python/cpython-{VERSION}.9-linux/bin/python3"],
)
def test_one_that_pyenv_or_uv_installed_is_found_behind_shims(tmp_path: Path, place: str) -> None:
    shims = program(tmp_path / "shims" / f"python{VERSION}", REFUSES)
    program(tmp_path / place, STARTS)
    assert Path(run("find-python", VERSION, tmp_path, shims).out).resolve() == THIS


def test_pyenv_is_where_its_shims_on_the_path_are(tmp_path: Path) -> None:
    shims = program(tmp_path / "elsewhere" / "shims" / f"python{VERSION}", REFUSES)
    program(tmp_path / "elsewhere" / "versions" / f"{VERSION}.99" / "bin" / "python3", STARTS)
    said = run("find-python", VERSION, tmp_path, shims)
    assert Path(said.out).resolve() == THIS


def test_pyenv_and_uv_may_be_elsewhere(tmp_path: Path) -> None:
    program(tmp_path / "mine" / "versions" / f"{VERSION}.1" / "bin" / "python3", STARTS)
    said = run("find-python", VERSION, tmp_path, variables={"PYENV_ROOT": str(tmp_path / "mine")})
    assert Path(said.out).resolve() == THIS


def test_a_python_of_another_version_is_none(tmp_path: Path) -> None:
    said = run("find-python", "3.5", tmp_path, program(tmp_path / "bin" / "python3", STARTS))
    assert said.code == 1
    assert said.out == ""
    assert said.err.startswith("No Python 3.5 that starts and has venv is on the PATH")
    assert "uv python install 3.5" in said.err


@pytest.mark.parametrize("version", ["17.0.15", "21"])
def test_a_jdk_that_is_new_enough_is_fine(tmp_path: Path, version: str) -> None:
    jdk = program(tmp_path / "jdk" / "bin" / "javac", f"echo javac {version}").parent
    assert run("check-jdk", "17", tmp_path, variables={"JAVA_HOME": str(jdk)}) == Said(0, "", "")


def test_a_jdk_that_is_too_old_is_told(tmp_path: Path) -> None:
    said = run("check-jdk", "17", tmp_path, program(tmp_path / "bin" / "javac", "echo javac 11.0.2"))
    assert said.code == 1
    assert said.err.startswith("A JDK 17 is needed, and javac is of version 11: install one")


def test_a_jdk_that_is_missing_is_told(tmp_path: Path) -> None:
    said = run("check-jdk", "17", tmp_path)
    assert said.err.startswith("A JDK 17 is needed, and javac is not there: install one")
