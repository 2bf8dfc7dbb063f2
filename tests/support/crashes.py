"""What a JVM leaves behind when it crashes."""

import os
from pathlib import Path


def crash_logs(folder: Path) -> list[str]:
    """The paths of them anywhere in `folder`, from which others may take files away meanwhile."""
    return sorted(
        os.path.join(place, name)
        for place, _, names in os.walk(folder)
        for name in names
        if name.startswith("hs_err_pid") and name.endswith(".log")
    )
