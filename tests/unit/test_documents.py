"""The documents hold together: links, paths, commands, targets and pages that they name are there; none is missing."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from telefold.cli.main import app
from tests.support.documents import DOCS, README, ROOT

PAGES = [*ROOT.glob("*.md"), *DOCS.rglob("*.md")]
RECORDS = sorted((DOCS / "decisions").glob("[0-9]*.md"))
DECISIONS = DOCS / "decisions" / "README.md"
COMMANDS = DOCS / "reference" / "commands.md"
TARGETS = DOCS / "reference" / "make-targets.md"
GLOSSARY = DOCS / "reference" / "glossary.md"
CLI = get_command(app)

FOLDERS = [*(folder.name for folder in ROOT.iterdir() if (folder / "__init__.py").exists()), "docs"]
A_FILE_OF_OURS = re.compile(rf"(?:{'|'.join(FOLDERS)})/[\w./-]+|[A-Z]+\.md|LICENSE|Makefile|\w+\.(?:toml|yml)")
SOURCES = [
    path
    for folder in FOLDERS
    for kind in ("py", "java", "yaml")
    for path in (ROOT / folder).rglob(f"*.{kind}")
    if "target" not in path.parts
]


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def prose(page: Path) -> str:
    """Its text without blocks of code."""
    return re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """What its relative links lead to: a file, and a heading or nothing."""
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if not re.match(r"[a-z]+:", target):
            file, _, heading = target.partition("#")
            yield (page.parent / file).resolve() if file else page, heading


def anchors(page: Path) -> set[str]:
    """What links may name of its headings."""
    headings = re.findall(r"^#+ (.+)$", prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\s-]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    for file, heading in links(page):
        assert file.exists(), file
        assert not heading or heading in anchors(file), f"{file}#{heading}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_the_files_that_a_page_names_are_there(page: Path) -> None:
    named = re.findall(r"`([^`]+)`", prose(page))
    assert [path for path in named if A_FILE_OF_OURS.fullmatch(path) and not (ROOT / path).exists()] == []


def test_the_pages_that_code_and_templates_name_are_there() -> None:
    named = {page for path in SOURCES for page in re.findall(r"\bdocs/[\w/-]+\.md\b", path.read_text("utf-8"))}
    assert len(named) > 5
    assert {page for page in named if not (ROOT / page).exists()} == set()


def test_the_readme_is_read_in_minutes() -> None:
    assert len(README.read_text("utf-8").splitlines()) <= 120


def test_the_index_leads_to_every_page() -> None:
    index = DOCS / "index.md"
    assert {file for file, _ in links(index)} == {*DOCS.rglob("*.md")} - {index, *RECORDS}


def test_every_decision_has_a_status_that_its_head_tells_too() -> None:
    rows = re.findall(r"^\| \[(\d{3})\]\(([\w.-]+)\) \| (.+) \| (.+) \|$", DECISIONS.read_text("utf-8"), re.MULTILINE)
    assert [file for _, file, _, _ in rows] == [record.name for record in RECORDS]
    for number, file, title, status in rows:
        heading, _, head, *_ = (DOCS / "decisions" / file).read_text("utf-8").split("\n")
        assert file.startswith(number)
        assert re.fullmatch(rf"# 0*{int(number)}[.:] {re.escape(title)}", heading)
        for word in ("superseded", "amended by"):
            assert (word in status) == head.lower().startswith(word), file


def commands(command: Any, *path: str) -> Iterator[tuple[str, str]]:
    """Each command below it, with the first paragraph of its help."""
    if not hasattr(command, "commands"):
        yield " ".join(path), " ".join(command.help.split("\n\n")[0].split())
        return
    for word, below in command.commands.items():
        yield from commands(below, *path, word)


def test_the_reference_has_every_command_as_its_help_says() -> None:
    documented = re.findall(r"^\| `(telefold [^`]+)` \| (.+) \|$", COMMANDS.read_text("utf-8"), re.MULTILINE)
    assert sorted(documented) == sorted(commands(CLI, "telefold"))


def typed(page: Path) -> Iterator[list[str]]:
    """What it tells people to type after `telefold`: in blocks of code, and in the text."""
    text = page.read_text("utf-8")
    for command in [
        *re.findall(r"^(?:\$ )?telefold (.*)$", text, re.MULTILINE),
        *re.findall(r"`telefold ([^`]+)`", text),
    ]:
        yield shlex.split(" ".join(command.split()), comments=True)


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=name)
def test_commands_and_their_options_are_those_that_there_are(page: Path) -> None:
    for words in typed(page):
        command: Any = CLI
        while words and words[0] in getattr(command, "commands", {}):
            command = command.commands[words.pop(0)]
        is_a_command = isinstance(command, typer.core.TyperCommand)
        assert is_a_command or not words or words[0].startswith("--"), words
        known = {"--help", *(option for parameter in command.params for option in parameter.opts)}
        assert {word.partition("=")[0] for word in words if word.startswith("--")} <= known, (command.name, words)


def test_every_target_is_in_the_reference_and_nobody_names_another() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    documented = re.findall(r"^\| `make ([a-z-]+)", TARGETS.read_text("utf-8"), re.MULTILINE)
    assert set(documented) == targets - {"help"}
    for page in PAGES:
        assert set(re.findall(r"`make ([a-z-]+)", page.read_text("utf-8"))) <= targets, page


def test_the_readme_names_the_commands_to_begin_with() -> None:
    assert {"demo", "test", "check"} <= set(
        re.findall(r"(?:`|^)make ([a-z-]+)", README.read_text("utf-8"), re.MULTILINE)
    )


def test_the_glossary_is_in_order_and_says_where_each_word_is_at_home() -> None:
    rows = re.findall(r"^\| ([a-z][\w -]*) \| ([^|]+\.) \| `([\w/.]+)` \|$", GLOSSARY.read_text("utf-8"), re.MULTILINE)
    words = [word for word, _, _ in rows if word != "word"]
    assert len(words) > 50
    assert words == sorted(set(words))
    assert len(rows) == len(re.findall(r"^\| [a-z]", GLOSSARY.read_text("utf-8"), re.MULTILINE)) - 1
