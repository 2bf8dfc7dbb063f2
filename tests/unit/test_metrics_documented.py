"""docs/reference/metrics.md is the list of all metrics: what the code registers and what it says are the same."""

import re
from pathlib import Path

from telefold.deploy.flink_rest import METRICS
from telefold.schemas.errors import OF_RECORDS

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "reference" / "metrics.md").read_text("utf-8")
SOURCES = [
    *(ROOT / "connectors" / "jvm" / "src" / "main").rglob("*.java"),
    *(path for part in ("connectors", "operators", "jobs") for path in (ROOT / part).rglob("*.py")),
]
REGISTERED = re.compile(r'\b(?:counter|gauge|meter|histogram|distribution)\(\s*"(\w+)"')
ROW = re.compile(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)


def registered() -> set[str]:
    named = {name for path in SOURCES for name in REGISTERED.findall(path.read_text("utf-8"))}
    return named | {_by_reason(reason) for reason in OF_RECORDS}


def _by_reason(reason: str) -> str:
    return "rejected" + "".join(word.capitalize() for word in reason.split("_"))


def test_every_metric_is_in_the_document_and_nothing_else_is() -> None:
    assert {row[0] for row in ROW.findall(DOCUMENT)} == registered()


def test_each_is_there_once_with_a_unit_a_meaning_and_a_level() -> None:
    rows = ROW.findall(DOCUMENT)
    assert len(rows) == len({row[0] for row in rows})
    units = {"events", "records", "rows", "ms", "count", "bytes", "epoch ms", "alerts"}
    assert {unit.removesuffix(", total") for _, unit, _, _ in rows} <= units
    assert all(meaning.strip() and level.strip() for _, _, meaning, level in rows)


def test_names_are_of_letters_as_cloudwatch_takes_them() -> None:
    assert all(name.isascii() and name.isalpha() for name in registered())


def test_what_a_local_run_reads_is_registered() -> None:
    assert set(METRICS) <= registered()
