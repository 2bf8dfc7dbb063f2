"""What the README tells people to type."""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"


def commands(heading: str) -> list[list[str]]:
    """The commands of its section under `heading`, in order."""
    return [
        shlex.split(line.removeprefix("$ ")) for block in _blocks(heading, "console") for line in block.splitlines()
    ]


def programs(heading: str) -> list[str]:
    """The programs in Python of its section under `heading`, in order."""
    return _blocks(heading, "python")


def _blocks(heading: str, language: str) -> list[str]:
    _, _, behind = README.read_text("utf-8").partition(f"\n## {heading}\n")
    section, _, _ = behind.partition("\n## ")
    return re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)
