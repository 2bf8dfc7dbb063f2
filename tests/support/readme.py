"""What the README tells people to type."""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"


def commands(heading: str) -> list[list[str]]:
    """The commands of its section under `heading`, in order."""
    _, _, behind = README.read_text("utf-8").partition(f"\n## {heading}\n")
    section, _, _ = behind.partition("\n## ")
    blocks = re.findall(r"```console\n(.*?)```", section, re.DOTALL)
    return [shlex.split(line.removeprefix("$ ")) for block in blocks for line in block.splitlines()]
