"""The wheel, installed into an environment of its own and used in a folder elsewhere, without what emulators need."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from contextlib import closing
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from telefold.deploy.checkout import ROOT
from telefold.deploy.local.tables import REGION
from telefold.schemas.view_rows import ViewUpdate, device_partition, latest_sort
from tests.support.open_stores import dynamodb_writer

_LEFT_BEHIND = (
    ".venv*",
    ".git",
    ".telefold",
    ".site",
    "__pycache__",
    "target",
    "*.egg-info",
    "build",
    "plugins",
    ".*_cache",
)
_WITHOUT = """
import sys

class Without:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            raise ModuleNotFoundError("No module named " + repr(name), name=name)

sys.meta_path.insert(0, Without())
"""


_FIND = """
from importlib.util import find_spec

for name in {names!r}:
    try:
        print(find_spec(name))
    except ModuleNotFoundError:
        pass
"""


def run(*command: str | Path, folder: Path) -> str:
    variables = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: the builder leaves files in the folder that it builds from."""
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT, folder / "copy", symlinks=True, ignore=shutil.ignore_patterns(*_LEFT_BEHIND))
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet", "--no-index")
    run(*pip, "--no-deps", "--no-build-isolation", "--wheel-dir", folder, folder / "copy", folder=folder)
    return next(folder.glob("telefold-*.whl"))


def in_the_extra(name: str) -> set[str]:
    """The modules that come with an extra, by what this environment has of it."""
    pyproject = (ROOT / "pyproject.toml").read_text("utf-8")
    found = re.search(rf"^{name} = \[(.*)\]$", pyproject, re.MULTILINE)
    assert found, pyproject
    wanted = {re.split(r"[=><\[ ]", each.strip(' "'))[0] for each in found[1].split(",")}
    return {module for module, names in packages_distributions().items() if wanted & set(names)}


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of an environment with the wheel alone; the libraries it depends on are those of this one."""
    folder = tmp_path_factory.mktemp("elsewhere")
    run(sys.executable, "-m", "venv", folder, folder=folder)
    commands = folder / "bin"
    run(commands / "python", "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", wheel, folder=folder)
    packages = Path(run(commands / "python", "-c", _PACKAGES, folder=folder).strip())
    (packages / "without.py").write_text(_WITHOUT.format(names=in_the_extra("local")))
    (packages / "libraries.pth").write_text(f"import without\n{sysconfig.get_paths()['purelib']}\n")
    return commands


_PACKAGES = "import sysconfig; print(sysconfig.get_paths()['purelib'])"


def test_the_extra_of_the_local_stack_is_known_and_not_there(installed: Path, tmp_path: Path) -> None:
    names = in_the_extra("local")
    assert {"moto", "ministack"} <= names
    program = _FIND.format(names=sorted(names))
    assert run(installed / "python", "-c", program, folder=tmp_path) == ""


def test_it_is_the_installed_package_that_answers(installed: Path, tmp_path: Path) -> None:
    where = run(installed / "python", "-c", "import telefold; print(telefold.__file__)", folder=tmp_path)
    assert where.startswith(str(installed.parent))
    assert re.fullmatch(r"telefold \d+\.\d+\.\d+.*\n", run(installed / "telefold", "--version", folder=tmp_path))


def test_a_fold_of_ones_own_is_begun_and_its_test_passes(installed: Path, tmp_path: Path) -> None:
    run(installed / "telefold", "new", "fold", "battery", folder=tmp_path)
    assert "passed" in run(installed / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", folder=tmp_path)


def test_views_are_queried(
    installed: Path, tmp_path: Path, dynamodb_endpoint: str, redis_url: str, views_table: str
) -> None:
    row = ViewUpdate("latest", device_partition("d"), latest_sort("t"), 1, {"value": 21.5, "at": 1_000})
    with closing(dynamodb_writer(views_table, dynamodb_endpoint)) as writer:
        writer.write([row])
    views = {
        "dynamodb.table": views_table,
        "dynamodb.endpoint": dynamodb_endpoint,
        "aws.region": REGION,
        "redis.url": redis_url,
    }
    groups = {
        "telefold.source": {"stream.name": "events", "aws.region": REGION},
        "telefold.views": views,
        "telefold.dead-letter": {"stream.name": "dead"},
    }
    properties = tmp_path / "application_properties.json"
    properties.write_text(
        json.dumps([{"PropertyGroupId": name, "PropertyMap": group} for name, group in groups.items()])
    )
    told = run(
        installed / "telefold",
        "query",
        "latest",
        "d",
        "--store",
        "dynamodb",
        "--properties",
        properties,
        "--json",
        folder=tmp_path,
    )
    assert "21.5" in told
