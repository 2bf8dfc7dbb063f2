"""PyFlink falls back to slow code, in silence, with a Beam of another version than its binaries are built for."""

import subprocess
import sys


def test_the_binaries_of_pyflink_are_in_use() -> None:
    """In a Python of its own: warnings, which are errors in tests, would keep them from loading."""
    program = "from pyflink.fn_execution import PYFLINK_CYTHON_ENABLED; print(PYFLINK_CYTHON_ENABLED)"
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
