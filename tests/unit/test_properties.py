import json
from pathlib import Path
from typing import Any

import pytest

from telefold.jobs.properties_file import read_groups
from telefold.schemas.errors import SettingsError


def test_groups_are_read_by_name(tmp_path: Path) -> None:
    path = tmp_path / "application_properties.json"
    path.write_text(json.dumps([{"PropertyGroupId": "telefold.source", "PropertyMap": {"stream.name": "events"}}]))
    assert read_groups(path) == {"telefold.source": {"stream.name": "events"}}


def test_a_missing_file_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"telefold local up.*--properties"):
        read_groups(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        ({"stream.name": "events"}, "the file is not in the form"),
        ([{"PropertyGroupId": "a"}], "entry 1 is not in the form"),
        ([{"PropertyGroupId": "a", "PropertyMap": {"parallelism": 1}}], "a/parallelism: the value must be a string"),
        ([{"PropertyGroupId": "a", "PropertyMap": {}}] * 2, "group a is there twice"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, content: Any, message: str) -> None:
    path = tmp_path / "application_properties.json"
    raw = content if isinstance(content, bytes) else (content if content == "{" else json.dumps(content)).encode()
    path.write_bytes(raw)
    with pytest.raises(SettingsError, match=message):
        read_groups(path)
