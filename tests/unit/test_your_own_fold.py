"""docs/how-to/your-own-fold.md does what it says: its fold passes its test, and a job would take it."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLD, TEST, CHANGED = re.findall(
    r"```python\n(.*?)```", (ROOT / "docs" / "how-to" / "your-own-fold.md").read_text("utf-8"), re.DOTALL
)


def run(folder: Path, *arguments: str) -> str:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(ROOT), str(folder)))}
    done = subprocess.run([sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_fold_passes_its_test_and_can_be_named(tmp_path: Path) -> None:
    (tmp_path / "odometer.py").write_text(FOLD, "utf-8")
    (tmp_path / "test_odometer.py").write_text(TEST, "utf-8")
    assert "1 passed" in run(
        tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path / "test_odometer.py")
    )
    find = "from telefold.operators.folds.registry import find; print(find('odometer:Odometer').name)"
    assert run(tmp_path, "-c", find) == "odometer\n"


def test_its_next_version_reads_what_the_first_wrote(tmp_path: Path) -> None:
    held = "Snapshot({}, 2, 0)"
    changed = FOLD.replace("km: float = 0.0", "metres: float = 0.0").replace("    state = Mileage\n", "")
    changed = changed.replace("class Odometer(Fold[Mileage]):\n", CHANGED + "    state = Mileage\n")
    (tmp_path / "before.py").write_text(FOLD, "utf-8")
    (tmp_path / "after.py").write_text(changed, "utf-8")
    program = f"""
import before, after
from telefold.operators.folds.state_codec import StoredState, StateCodec
from telefold.operators.folds.fold_run import Snapshot
text = StateCodec(before.Odometer()).text(StoredState({held.format("before.Mileage(km=1.5, trips=2)")}, None))
print(StateCodec(after.Odometer()).read(text).held.state)
"""
    assert run(tmp_path, "-c", program) == "Mileage(metres=1500.0, trips=2, moving_since=None, last_at=0)\n"
