"""Cut and corrections on their way from Python to the JVM: what becomes of the log in `tests.support.replay`."""

import json
import subprocess
import sys
from pathlib import Path

NOON = 1_769_860_800_000  # as there: importing it would import Flink


def test_a_cut_forgives_and_corrects_what_it_holds(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.support.replay", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    assert sorted(json.loads(done.stdout)) == [
        ["also too late", NOON - 1_001, 1, {"temperature": 50.0}, "too_late"],
        ["in time", NOON - 1_000, 1, {"temperature": 50.0}, None],
        ["late", NOON - 5_000, 9, {"temperature": 0.1, 'quoted "é"': -5e-324}, None],
        ["new", NOON, 1, {"temperature": 50.0}, None],
        ["too late", NOON - 1_001, 1, {"temperature": 50.0}, "too_late"],
    ]
