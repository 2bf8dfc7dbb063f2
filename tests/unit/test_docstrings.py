"""Docstrings name the thing, or begin with a verb: the first word is no bare preposition, pronoun or conjunction."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import telefold

PREPOSITIONS = (
    "about above across after against along among around as at before behind below beneath beside besides beyond by"
    " despite down during except for from in inside into like near of off on onto out outside over past per than"
    " through throughout to toward towards under underneath unlike until up upon via with within without"
)
PRONOUNS = (
    "he her him his i it its itself me mine my nobody none nothing our ours ourselves she some somebody someone"
    " something such that their theirs them themselves these they this those us we which who whoever whom whose you"
    " your"
)
CONJUNCTIONS = (
    "also although and because but else even however if just lest likewise nor now once only or since so then though"
    " thus unless when whenever where while yet"
)
FORBIDDEN = frozenset(f"{PREPOSITIONS} {PRONOUNS} {CONJUNCTIONS}".split())


ROOT = Path(telefold.__path__[0])


def product() -> Iterator[Path]:
    """The modules of the package; its folders may be links."""
    yield from ROOT.glob("*.py")
    for folder in ROOT.iterdir():
        yield from folder.rglob("*.py")


def is_command(node: ast.AST) -> bool:
    """Whether the docstring is the help text of a command."""
    decorators = getattr(node, "decorator_list", [])
    return any(".command" in text or ".callback" in text for text in map(ast.unparse, decorators))


def docstrings(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and text of every docstring, those behind assignments included, but for help texts of commands."""
    for node in ast.walk(module):
        body = getattr(node, "body", None)
        if isinstance(body, list) and not is_command(node):
            for statement in body:
                match statement:
                    case ast.Expr(value=ast.Constant(value=str(text))):
                        yield statement.lineno, text


def begins_badly(text: str) -> bool:
    words = text.split()
    first = words[0].rstrip(",.:;") if words else ""
    return first[:1].lower() + first[1:] in FORBIDDEN or text.lstrip().lower().startswith("one that ")


@pytest.mark.parametrize(
    ("text", "is_bad"),
    [
        ("Of the status.", True),
        ("Likewise.", True),
        ("None for any metric.", True),
        ("The one place.", False),
        ("One that time can be tried on.", True),
        ("US dollars a month.", False),
        ("The time of the status.", False),
        ("", False),
    ],
)
def test_a_first_word_is_forbidden_or_not(text: str, is_bad: bool) -> None:
    assert begins_badly(text) == is_bad


def test_attributes_are_looked_at_and_help_texts_are_not() -> None:
    module = ast.parse('@app.command()\ndef run():\n    """Of use."""\n\n\nLIMIT = 3\n"""The most."""\n')
    assert list(docstrings(module)) == [(7, "The most.")]


def test_every_docstring_begins_with_the_thing_or_a_verb() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line} {text.splitlines()[0]}"
        for path in product()
        for line, text in docstrings(ast.parse(path.read_text("utf-8")))
        if begins_badly(text)
    ]
    assert found == []
