"""Every statement of a policy in the templates is argued, and a wildcard is an exception that says why."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.aws.environments import TEMPLATES, statements, template

MAY_HAVE_WILDCARDS = {
    "AccountAdministersKey",
    "AlarmsEncrypt",
    "ConnectWithNetwork",
    "FanOutOfThisEnvironment",
    "FetchPackage",
    "FindLogGroup",
    "FindLogStream",
    "HandOverInterfaces",
    "LogsEncrypt",
    "PasswordOfRedis",
    "ReadEventsByFanOut",
    "SeeNetwork",
    "StreamsOfThisEnvironment",
    "TableOfThisEnvironment",
    "TlsOnly",
    "WriteArchive",
}
"""Each says why in the comment before it."""


def comments(text: str) -> dict[str, str]:
    """The comment right before each statement, or the condition that it is under, by its Sid."""
    found: dict[str, str] = {}
    above: list[str] = []
    for line in text.splitlines():
        if match := re.match(r"\s+- Sid: (\w+)", line):
            found[match[1]] = " ".join(above)
        if line.lstrip().startswith("#"):
            above.append(line.strip(" #"))
        elif not re.fullmatch(r"\s+- (!If|[A-Z]\w+)", line):
            above = []
    return found


def wildcards(statement: dict[str, Any]) -> list[str]:
    """The parts of a statement that name more than one thing."""
    found = []
    for part in ("Action", "NotAction", "Resource", "NotResource", "Principal"):
        if "*" in json.dumps(statement.get(part, "")):
            found.append(part)
    return found


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_every_statement_is_argued(path: Path) -> None:
    argued = comments(path.read_text("utf-8"))
    for statement in statements(template(path)):
        assert len(argued[statement["Sid"]].split()) > 5, statement["Sid"]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_a_wildcard_is_a_listed_exception_that_says_why(path: Path) -> None:
    argued = comments(path.read_text("utf-8"))
    for statement in statements(template(path)):
        if wildcards(statement):
            assert statement["Sid"] in MAY_HAVE_WILDCARDS
            assert "Wildcard:" in argued[statement["Sid"]]


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_what_is_allowed_names_each_action(path: Path) -> None:
    for statement in statements(template(path)):
        if statement["Effect"] == "Allow":
            assert not {"Action", "NotAction", "NotResource"} & set(wildcards(statement)), statement["Sid"]


def test_a_wildcard_is_seen() -> None:
    assert wildcards({"Effect": "Allow", "Action": "s3:*", "Resource": ["a", {"Fn::Sub": "${B}/*"}]}) == [
        "Action",
        "Resource",
    ]
    assert not wildcards({"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": "arn:aws:s3:::b/k"})
