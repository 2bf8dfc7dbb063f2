"""The properties file as Managed Service for Apache Flink mounts it: a list of groups, each a map of strings."""

import json
from pathlib import Path
from typing import Any

from telefold.schemas.errors import SettingsError

DEFAULT_PATH = Path(".telefold/application_properties.json")
FORM = 'a list of {"PropertyGroupId": "...", "PropertyMap": {"key": "value"}}'


def read_groups(path: Path = DEFAULT_PATH) -> dict[str, dict[str, str]]:
    """Group -> key -> value; raises SettingsError if the file is missing or not in its form."""
    groups: dict[str, dict[str, str]] = {}
    entries = _read_json(path)
    if not isinstance(entries, list):
        raise _not_in_form(path, "the file")
    for number, entry in enumerate(entries, start=1):
        name, values = _group(path, number, entry)
        if name in groups:
            raise SettingsError([f"{path}: group {name} is there twice; put all of its properties into one."])
        groups[name] = values
    return groups


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise SettingsError(
            [f"There is no properties file {path}: run `telefold local up`, or name yours with --properties."]
        ) from None
    except OSError as error:
        raise SettingsError([f"The properties file {path} cannot be read ({error.strerror})."]) from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise SettingsError([f"{path} is not JSON ({error}); it must be {FORM}."]) from error


def _group(path: Path, number: int, entry: Any) -> tuple[str, dict[str, str]]:
    match entry:
        case {"PropertyGroupId": str(name), "PropertyMap": dict(values)}:
            wrong = [key for key, value in values.items() if not isinstance(value, str)]
            if wrong:
                raise SettingsError([f"{path}: {name}/{key}: the value must be a string in quotes." for key in wrong])
            return name, values
        case _:
            raise _not_in_form(path, f"entry {number}")


def _not_in_form(path: Path, what: str) -> SettingsError:
    return SettingsError([f"{path}: {what} is not in the form of the properties file, {FORM}."])
