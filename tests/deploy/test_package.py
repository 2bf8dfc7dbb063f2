"""`telefold package` as a person runs it: the same bytes on two checkouts, all that the job needs and nothing else."""

import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from telefold.deploy.checkout import ROOT
from telefold.deploy.package import bare_python, checking, packaging
from telefold.deploy.package.packaging import DEPENDENCIES, EXAMPLE_PROPERTIES, JAR_NAME, MAIN, PACKAGES
from telefold.schemas.errors import PackageError, SettingsError
from tests.support.properties import set_properties

_ELF_OF_X86_64 = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\x00\x3e\x00"
_PROGRAM = "import sys; sys.path.insert(0, sys.argv.pop(1)); from telefold.cli.main import main; main()"


def telefold_package(
    checkout: Path, folder: Path, *options: str | Path, check: bool = True
) -> "subprocess.CompletedProcess[str]":
    """`telefold package` of the sources in `checkout`, run in `folder`."""
    command = [sys.executable, "-P", "-c", _PROGRAM, str(checkout), "package", *map(str, options)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zip of this checkout."""
    folder = tmp_path_factory.mktemp("packaged")
    telefold_package(ROOT, folder)
    return folder / "telefold.zip"


@pytest.fixture(scope="module")
def names(packaged: Path) -> Sequence[str]:
    with zipfile.ZipFile(packaged) as archive:
        return archive.namelist()


def another_checkout(folder: Path) -> Path:
    """The same sources somewhere else, with other times and what a run leaves behind."""
    ignore = shutil.ignore_patterns("target", "__pycache__")
    for name in ("telefold", "deploy", "verify", *PACKAGES):
        shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=ignore)
    for name in ("pyproject.toml", "requirements.txt"):
        shutil.copy(ROOT / name, folder / name)
    (folder / "lib").mkdir()
    shutil.copyfile(ROOT / JAR_NAME, folder / JAR_NAME)
    (folder / "jobs" / "__pycache__").mkdir()
    (folder / "jobs" / "__pycache__" / "x.cpython-311.pyc").touch()
    return folder


def test_two_checkouts_make_the_same_zip(packaged: Path, tmp_path: Path) -> None:
    said = telefold_package(another_checkout(tmp_path / "checkout"), tmp_path, "--json", "--out", "out/other.zip")
    made = msgspec.json.decode(said.stdout)
    assert made["sha256"] == hashlib.sha256(packaged.read_bytes()).hexdigest()
    assert (tmp_path / "out/other.zip").read_bytes() == packaged.read_bytes()
    assert made["path"] == "out/other.zip"
    assert made["bytes"] == packaged.stat().st_size
    assert list((tmp_path / "out").iterdir()) == [tmp_path / "out/other.zip"]


def test_it_is_laid_out_as_the_run_options_say(names: Sequence[str]) -> None:
    groups = {one["PropertyGroupId"]: one["PropertyMap"] for one in json.loads(EXAMPLE_PROPERTIES.read_text("utf-8"))}
    options = groups["kinesis.analytics.flink.run.options"]
    assert options == {"python": MAIN, "jarfile": JAR_NAME, "pyFiles": f"{DEPENDENCIES}/"}
    assert {MAIN, JAR_NAME} <= set(names)


def test_the_jobs_libraries_are_there_and_flink_is_not(names: Sequence[str]) -> None:
    packages = {name.split("/")[1] for name in names if name.startswith(f"{DEPENDENCIES}/")}
    assert {
        "boto3",
        "certifi",
        "fastavro",
        "msgspec",
        "orjson",
        "pydantic",
        "redis",
        "hiredis",
        "tenacity",
        "telefold",
    } <= packages
    assert packages.isdisjoint(
        {"pyflink", "apache_beam", "numpy", "pandas", "pyarrow", "moto", "pytest", "typer", "rich"}
    )
    assert not [name for name in names if name.endswith(".pyc")]


def test_its_binaries_are_for_the_machines_of_managed_flink(packaged: Path, names: Sequence[str]) -> None:
    binaries = [name for name in names if name.endswith(".so")]
    assert len(binaries) > 5
    # Those of abi3 are of no single Python; what they are for otherwise stands in the file.
    assert [name for name in binaries if not name.endswith((".cpython-312-x86_64-linux-gnu.so", ".abi3.so"))] == []
    with zipfile.ZipFile(packaged) as archive:
        assert {archive.read(name)[:20] for name in binaries if name.endswith(".abi3.so")} <= {_ELF_OF_X86_64}


def test_a_bare_python_has_flink_and_nothing_of_ours(tmp_path: Path) -> None:
    python = bare_python.create(tmp_path / "python")
    program = "import pyflink.datastream, pandas\ntry: import boto3\nexcept ImportError: print('bare')"
    done = subprocess.run([python, "-I", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "bare\n"


def test_a_fold_of_a_team_is_packaged_and_found(tmp_path: Path) -> None:
    properties = _properties(tmp_path, {"telefold.job": {"folds": "streak:Streak"}})
    subprocess.run(
        [sys.executable, "-m", "telefold", "new", "fold", "streak"], cwd=tmp_path, check=True, capture_output=True
    )
    telefold_package(ROOT, tmp_path, "--properties", properties, "--add", "streak.py")
    with zipfile.ZipFile(tmp_path / "telefold.zip") as archive:
        assert f"{DEPENDENCIES}/streak.py" in archive.namelist()


def test_settings_that_name_a_fold_that_is_not_packaged_are_refused(packaged: Path, tmp_path: Path) -> None:
    properties = _properties(tmp_path, {"telefold.job": {"folds": "streak:Streak"}})
    with pytest.raises(SettingsError, match=r"telefold\.job/folds: .* streak:Streak cannot be imported"):
        checking.check_start(packaged, properties, packaging.modules())


def test_a_module_that_needs_what_nobody_has_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lost.py").write_text("import no_such_library")
    made = packaging.write({f"{DEPENDENCIES}/lost.py": tmp_path / "lost.py"}, tmp_path / "lost.zip")
    with pytest.raises(PackageError, match=r"^lost cannot be imported: ModuleNotFoundError: No module named 'no_such"):
        checking.check_start(made.path, EXAMPLE_PROPERTIES, ["lost"])


def test_properties_that_managed_flink_would_refuse_are_told_at_once(tmp_path: Path) -> None:
    properties = _properties(tmp_path, {"a group": {"k": "v" * 3_000}, "empty": {}})
    done = telefold_package(ROOT, tmp_path, "--properties", properties, check=False)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 4
    assert "the value has 3000 characters and managed Flink takes 1 to 2048" in done.stderr
    assert not (tmp_path / "telefold.zip").exists()


def _properties(folder: Path, changes: dict[str, dict[str, str]]) -> Path:
    path = folder / "application_properties.json"
    shutil.copy(EXAMPLE_PROPERTIES, path)
    set_properties(path, changes)
    return path
