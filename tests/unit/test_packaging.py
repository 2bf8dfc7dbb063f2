"""What goes into the zip for managed Flink, and that equal files make equal bytes."""

import os
import re
import tomllib
import zipfile
from pathlib import Path

import pytest

from telefold.deploy import checkout
from telefold.deploy.checkout import ROOT
from telefold.deploy.package import checking, packaging
from telefold.deploy.package.checking import Machine
from telefold.deploy.package.libraries import PINS, REQUIREMENTS
from telefold.deploy.package.packaging import JAR_NAME, MAIN, collect, write
from telefold.schemas.errors import PackageError


@pytest.fixture
def libraries(tmp_path: Path) -> Path:
    """As pip leaves them."""
    folder = tmp_path / "libraries"
    for name in ("lib_a/__init__.py", "lib_a/data/x.json", "lib_a-1.dist-info/METADATA", "lib_a-1.dist-info/RECORD"):
        _write(folder / name, name)
    for name in ("lib_a-1.dist-info/INSTALLER", "bin/lib-a", "lib_a/__pycache__/x.cpython-312.pyc"):
        _write(folder / name, name)
    return folder


@pytest.fixture(autouse=True)
def jar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unit tests run without the jar that Maven builds."""
    _write(tmp_path / "edge.jar", "jar")
    monkeypatch.setattr(checkout, "JAR", tmp_path / "edge.jar")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_it_holds_the_program_the_jar_and_everything_that_the_job_needs_in_dep(libraries: Path) -> None:
    files = collect(libraries)
    assert files[MAIN] == ROOT / "deploy/kinesis-analytics/main.py"
    assert JAR_NAME in files
    assert {name.partition("/")[0] for name in files} == {"main.py", "lib", "dep"}
    assert {
        "dep/telefold/jobs/telemetry.py",
        "dep/telefold/schemas/device_event/v1.avsc",
        "dep/lib_a/data/x.json",
    } <= files.keys()
    assert "dep/lib_a-1.dist-info/METADATA" in files


def test_tests_tools_and_what_pip_notes_for_itself_stay_out(libraries: Path) -> None:
    names = collect(libraries).keys()
    unwanted = re.compile(
        r"(^|/)(tests|bench|deploy|cli|verify|__pycache__|bin|java)/|\.pyc$|RECORD$|INSTALLER$|__main__\.py$"
    )
    assert [name for name in names if unwanted.search(name)] == []


def test_equal_files_make_equal_bytes_whenever_and_in_whatever_order_they_were_written(
    tmp_path: Path, libraries: Path
) -> None:
    first = write(collect(libraries), tmp_path / "first.zip")
    for path in libraries.rglob("*"):
        os.utime(path, (1, 1))
        path.chmod(0o700)
    again = dict(reversed([*collect(libraries).items()]))
    second = write(again, tmp_path / "second.zip")
    assert first.path.read_bytes() == second.path.read_bytes()
    assert first.sha256 == second.sha256
    assert first.bytes == second.path.stat().st_size


def test_entries_are_in_order_with_one_time_and_mode(tmp_path: Path, libraries: Path) -> None:
    with zipfile.ZipFile(write(collect(libraries), tmp_path / "t.zip").path) as archive:
        entries = archive.infolist()
    assert [entry.filename for entry in entries] == sorted(entry.filename for entry in entries)
    assert {(entry.date_time, entry.external_attr >> 16) for entry in entries} == {((1980, 1, 1, 0, 0, 0), 0o100644)}


def test_folds_of_a_team_lie_beside_telefolds_packages(tmp_path: Path, libraries: Path) -> None:
    _write(tmp_path / "odometer.py", "")
    _write(tmp_path / "garage/__init__.py", "")
    _write(tmp_path / "garage/lifts.json", "{}")
    added = [tmp_path / "odometer.py", tmp_path / "garage"]
    assert {"dep/odometer.py", "dep/garage/__init__.py", "dep/garage/lifts.json"} <= collect(libraries, added).keys()
    assert packaging.modules(added)[-2:] == ["odometer", "garage"]


def test_what_is_no_module_is_refused(tmp_path: Path, libraries: Path) -> None:
    with pytest.raises(PackageError, match=r"is neither a module \(a \.py file\) nor a package"):
        collect(libraries, [tmp_path / "nowhere"])


def test_what_would_replace_something_is_refused(tmp_path: Path, libraries: Path) -> None:
    _write(tmp_path / "telefold/__init__.py", "")
    with pytest.raises(PackageError, match=r"would take the place of .* in the zip: rename it"):
        collect(libraries, [tmp_path / "telefold"])


def test_without_the_jar_there_is_nothing_to_package(libraries: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkout, "JAR", Path("nowhere.jar"))
    with pytest.raises(PackageError, match=r"nowhere\.jar is missing: run `make setup` to build it"):
        collect(libraries)


def test_a_zip_over_the_limit_is_refused() -> None:
    checking.check_size(512 * 1024 * 1024)
    with pytest.raises(PackageError, match="The zip has 536,870,913 bytes and managed Flink takes 536,870,912"):
        checking.check_size(512 * 1024 * 1024 + 1)


def test_libraries_for_linux_are_tried_on_linux_alone() -> None:
    assert Machine("Linux", "x86_64").can_load
    assert not Machine("Darwin", "arm64").can_load
    assert not Machine("Linux", "aarch64").can_load


def names_in(lines: list[str]) -> set[str]:
    return {re.split(r"[\[=<>]", line)[0] for line in lines if line and not line.startswith("#")}


def test_the_jobs_libraries_are_those_of_the_project_without_flink_and_the_command_lines() -> None:
    project = names_in(tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"])
    wanted = names_in(REQUIREMENTS.read_text("utf-8").splitlines())
    assert wanted == project - {"apache-beam", "apache-flink", "packaging", "rich", "typer"}
    assert wanted <= names_in(PINS.read_text("utf-8").splitlines())
