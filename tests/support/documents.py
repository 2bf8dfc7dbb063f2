"""What the documents tell people to type."""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
FIRST_STEPS = DOCS / "start" / "first-steps.md"
CLUSTER = DOCS / "start" / "cluster.md"
SEND_EVENTS = DOCS / "how-to" / "send-events.md"
READ_VIEWS = DOCS / "how-to" / "read-views.md"
RUNBOOK = DOCS / "how-to" / "runbook.md"
SETTINGS = DOCS / "reference" / "settings.md"


def commands(page: Path) -> list[list[str]]:
    """The commands of a page, in order: the lines of its console blocks that begin with `$ `."""
    lines = [line for block in _blocks(page, "console") for line in block.splitlines()]
    return [shlex.split(line.removeprefix("$ ")) for line in lines if line.startswith("$ ")]


def programs(page: Path) -> list[str]:
    """The programs in Python of a page, in order."""
    return _blocks(page, "python")


def _blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
