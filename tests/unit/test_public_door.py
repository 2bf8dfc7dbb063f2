"""`import telefold` from anywhere: its public names, beside a team's modules, and without what emulators need."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import telefold
from telefold.deploy.checkout import ROOT

TELEFOLD = [sys.executable, "-m", "telefold"]
OURS = ("bench", "connectors", "deploy", "jobs", "operators", "schemas", "tests", "verify", "views")
WITHOUT = """
import sys

class Without:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            raise ModuleNotFoundError("No module named " + repr(name), name=name)

sys.meta_path.insert(0, Without())
sys.argv = ["telefold", *sys.argv[1:]]
from telefold.cli.main import main
main()
"""


def run(command: list[str], folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_every_public_name_is_there_and_typed() -> None:
    assert all(getattr(telefold, name) is not None for name in telefold.__all__)
    assert set(telefold.__all__) <= set(dir(telefold))
    assert (Path(telefold.__file__).parent / "py.typed").is_file()
    with pytest.raises(AttributeError, match="has no attribute 'Flod'"):
        telefold.Flod  # noqa: B018


def test_a_fold_does_not_load_the_clients_of_the_stores(tmp_path: Path) -> None:
    program = "import sys; from telefold import Fold; print({'boto3', 'redis', 'pydantic'} & {*sys.modules})"
    assert run([sys.executable, "-c", program], tmp_path).stdout == "set()\n"


@pytest.fixture
def clashing(tmp_path: Path) -> Path:
    """A team's folder, with a module or a package of each name that Telefold's own folders have."""
    for number, name in enumerate(OURS):
        if number % 2:
            (tmp_path / f"{name}.py").write_text("raise RuntimeError('the wrong module')")
        else:
            (tmp_path / name).mkdir()
            (tmp_path / name / "__init__.py").write_text("raise RuntimeError('the wrong package')")
    return tmp_path


def test_a_teams_modules_of_our_names_are_not_ours(clashing: Path) -> None:
    made = run([*TELEFOLD, "new", "fold", "hot_streak"], clashing)
    assert made.returncode == 0, made.stderr
    tested = run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_hot_streak.py"], clashing)
    assert "1 passed" in tested.stdout, tested.stdout + tested.stderr
    found = "from telefold.operators.folds.registry import find; print(find('hot_streak:HotStreak').name)"
    assert run([sys.executable, "-c", found], clashing).stdout == "hot_streak\n"
    asked = run([*TELEFOLD, "query", "device", "d"], clashing)
    assert asked.returncode == 2
    assert "There is no properties file" in asked.stderr


@pytest.mark.parametrize(
    "command",
    [
        ["--version"],
        ["--help"],
        ["run", "--help"],
        ["query", "device", "--help"],
        ["schemas", "check", "--help"],
        ["new", "fold", "x"],
    ],
)
def test_without_the_local_extra_commands_that_need_no_emulator_work(command: list[str], tmp_path: Path) -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    names = {one.partition(">")[0].partition("=")[0].partition("[")[0].replace("-", "_") for one in extras["local"]}
    done = run([sys.executable, "-c", WITHOUT.format(names=names), *command], tmp_path)
    assert done.returncode == 0, done.stderr
