"""Quotas of Managed Service for Apache Flink: of properties, and of the zip."""

import re
from collections.abc import Iterator, Mapping

MAX_ZIP_BYTES = 512 * 1024 * 1024
MAX_GROUPS = 50
MAX_KEYS = 50
MAX_CHARS = 2_048
_GROUP_ID = re.compile(r"[a-zA-Z0-9_.-]{1,50}")

Groups = Mapping[str, Mapping[str, str]]
"""Group -> key -> value."""


def problems(groups: Groups) -> list[str]:
    """Sentences, one for each way in which managed Flink would refuse these properties."""
    found = [problem for name, values in groups.items() for problem in _of_group(name, values)]
    if len(groups) > MAX_GROUPS:
        found.append(f"There are {len(groups)} property groups and managed Flink takes {MAX_GROUPS}: remove some.")
    return found


def _of_group(name: str, values: Mapping[str, str]) -> Iterator[str]:
    if not _GROUP_ID.fullmatch(name):
        yield (
            f"{_short(name)}: managed Flink takes group ids of 1 to 50 letters, digits, underscores, dots and dashes:"
            " rename the group."
        )
    if not values:
        yield f"{_short(name)}: managed Flink takes no empty group: remove it, or set one of its properties."
    if len(values) > MAX_KEYS:
        yield f"{_short(name)}: there are {len(values)} properties and managed Flink takes {MAX_KEYS}: remove some."
    for key, value in values.items():
        yield from _of_property(f"{_short(name)}/{_short(key)}", key, value)


def _of_property(where: str, key: str, value: str) -> Iterator[str]:
    for what, text in (("key", key), ("value", value)):
        if not 1 <= len(text) <= MAX_CHARS:
            yield f"{where}: the {what} has {len(text)} characters and managed Flink takes 1 to {MAX_CHARS}: change it."


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:60]}..."
