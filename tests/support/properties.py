"""Edits to a properties file, as a person would make them between two runs."""

from collections.abc import Mapping
from pathlib import Path

import msgspec


def set_properties(path: Path, changes: Mapping[str, Mapping[str, str]]) -> None:
    """Set group -> key -> value; a group that is not in the file is added."""
    groups = {group["PropertyGroupId"]: group["PropertyMap"] for group in msgspec.json.decode(path.read_bytes())}
    for name, values in changes.items():
        groups.setdefault(name, {}).update(values)
    path.write_bytes(
        msgspec.json.encode([{"PropertyGroupId": name, "PropertyMap": values} for name, values in groups.items()])
    )
