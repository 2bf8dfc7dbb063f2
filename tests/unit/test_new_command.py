"""`telefold new`: what it writes works as it stands."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from telefold.cli.main import app
from telefold.schemas.errors import SettingsError


def test_the_new_fold_passes_its_own_test_and_a_job_would_take_it(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["new", "fold", "hot_streak", "--folder", str(tmp_path)], catch_exceptions=False)
    assert done.exit_code == 0
    assert sorted(file.name for file in tmp_path.iterdir()) == ["hot_streak.py", "test_hot_streak.py"]
    assert "folds = hot_streak:HotStreak" in done.stdout
    find = (
        "from telefold.operators.folds.registry import find; assert find('hot_streak:HotStreak').name == 'hot_streak'"
    )
    for command in (["-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)], ["-c", find]):
        ran = subprocess.run([sys.executable, *command], cwd=tmp_path, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stdout + ran.stderr


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text("precious")
    with pytest.raises(SettingsError, match=r"test_mine.py: there already, and not overwritten"):
        CliRunner().invoke(app, ["new", "fold", "mine", "--folder", str(tmp_path)], catch_exceptions=False)
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("test_mine.py", "precious")]


@pytest.mark.parametrize("name", ["Mine", "1st", "my-fold", ""])
def test_a_name_that_is_no_module_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match="must be lower-case letters"):
        CliRunner().invoke(app, ["new", "fold", name, "--folder", str(tmp_path)], catch_exceptions=False)
