"""`telefold run` in this process, over properties that can be changed."""

import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from telefold.cli import main

Groups = dict[str, dict[str, str]]


class Ended(NamedTuple):
    code: Any
    sentences: list[str]


class ReachedTheJvm(Exception):
    """The job would have been started."""


class Telefold:
    """The command line in this process, as a person types it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._properties = folder / "application_properties.json"
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def run(self, groups: Groups, *arguments: str) -> Ended:
        write(self._properties, groups)
        self._monkeypatch.setattr(sys, "argv", ["telefold", "run", *arguments, "--properties", str(self._properties)])
        with pytest.raises(SystemExit) as ended:
            main.main()
        shown = self._capsys.readouterr()
        assert shown.out == ""
        return Ended(ended.value.code, [line.strip() for line in shown.err.splitlines()])


def write(path: Path, groups: Groups) -> Path:
    path.write_text(json.dumps([{"PropertyGroupId": name, "PropertyMap": values} for name, values in groups.items()]))
    return path


def changed(groups: Groups, group: str, **values: str) -> Groups:
    """`groups` with other values; a property is written with _ for its dots."""
    return groups | {group: groups.get(group, {}) | {key.replace("_", "."): value for key, value in values.items()}}
