"""Run in a bare Python by `telefold package`: does everything import, and can the settings be used there?

Arguments: the zip's `dep` folder, the properties file, and the modules and packages to import. Prints JSON.
"""

import importlib
import json
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path


def failures(names: list[str]) -> Iterator[str]:
    """Sentences, one for each module that cannot be imported, submodules included."""
    for name in names:
        try:
            module = importlib.import_module(name)
        except Exception as error:
            yield f"{name} cannot be imported: {type(error).__name__}: {error}."
            continue
        if hasattr(module, "__path__"):
            yield from failures([f"{name}.{found.name}" for found in pkgutil.iter_modules(module.__path__)])


def settings_problems(properties: Path) -> list[str]:
    from telefold.jobs import settings
    from telefold.schemas.errors import SettingsError

    try:
        settings.check_folds(settings.load(properties))
    except SettingsError as error:
        return list(error.problems)
    return []


if __name__ == "__main__":
    folder, properties, *modules = sys.argv[1:]
    sys.path.insert(0, folder)
    imports = list(failures(modules))
    settings = [] if imports else settings_problems(Path(properties))
    print(json.dumps({"imports": imports, "settings": settings}))
