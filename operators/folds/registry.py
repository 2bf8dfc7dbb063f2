"""The folds in Python that a job can run: Telefold's own by name, a team's by where its class is."""

import importlib
import re
from collections.abc import Sequence
from typing import Any, get_args

import msgspec

from telefold.operators.folds.alert import Alerts
from telefold.operators.folds.device import Device
from telefold.operators.folds.fleet import Fleet
from telefold.operators.folds.fold import Clock, Fold
from telefold.operators.folds.presence import Presence
from telefold.schemas.packed_rows import PACKED
from telefold.schemas.view_rows import VIEWS

BUILT_IN: dict[str, type[Fold[Any]]] = {fold.name: fold for fold in (Device, Presence, Alerts, Fleet)}
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_TAKEN = (*VIEWS, "rollup", PACKED)
CLOCKS = get_args(Clock)


def find(wanted: str) -> Fold[Any]:
    """The fold of that name, or of the class that `package.module:ClassName` names.

    Raises ValueError, one sentence that says what is wrong with it, where there is none that a job can run.
    """
    found = BUILT_IN.get(wanted) or _class(wanted)
    if not (isinstance(found, type) and issubclass(found, Fold)):
        raise ValueError(f"{wanted} is no subclass of telefold.Fold")
    check(found)
    try:
        return found()
    except Exception as error:
        raise ValueError(f"{wanted}() fails with {type(error).__name__}: {error}") from error


def find_all(wanted: Sequence[str], lateness_ms: int = Fold.lateness_ms) -> tuple[Fold[Any], ...]:
    """Each of `wanted`, given the `lateness_ms` of the job; raises ValueError as `find` does, and where two have the
    same name.
    """
    folds = tuple(find(one) for one in wanted)
    for fold in folds:
        fold.lateness_ms = lateness_ms
    names = [fold.name for fold in folds]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two folds are named {name}, and would write the same rows")
    return folds


def check(fold: type[Fold[Any]]) -> None:
    """Raise ValueError unless a job can run it: its methods, name and state are as `Fold` asks for."""
    for problem in _problems(fold):
        raise ValueError(f"{fold.__module__}:{fold.__qualname__} {problem}")


def _class(wanted: str) -> Any:
    module, colon, name = wanted.partition(":")
    if not colon:
        raise ValueError(f"{wanted} is none of {', '.join(BUILT_IN)}, and no package.module:ClassName")
    try:
        return getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise ValueError(f"{wanted} cannot be imported: {type(error).__name__}: {error}") from error
        raise ValueError(
            f"{wanted} cannot be imported: neither this folder nor PYTHONPATH holds {error.name}, so stand in the"
            " folder that does, or put it into PYTHONPATH"
        ) from error
    except Exception as error:  # a team's module may raise whatever it likes
        raise ValueError(f"{wanted} cannot be imported: {type(error).__name__}: {error}") from error


def _problems(fold: type[Fold[Any]]) -> list[str]:
    name = getattr(fold, "name", None)
    state = getattr(fold, "state", None)
    problems = []
    if missing := getattr(fold, "__abstractmethods__", None):
        problems.append(f"lacks {', '.join(sorted(missing))}")
    if type(name) is not str or not _NAME.fullmatch(name):
        problems.append(
            f"has the name {name!r}, not one of lower-case letters, digits, - and _ that begins with a letter"
        )
    elif name in _TAKEN:
        problems.append(f"has the name {name}, which is that of a view of Telefold's own")
    if not (isinstance(state, type) and issubclass(state, msgspec.Struct) and state.__struct_config__.frozen):
        problems.append("has a state that is no frozen msgspec.Struct")
    if (clock := getattr(fold, "clock", None)) not in CLOCKS:
        problems.append(
            f"has the clock {clock!r}, which is neither 'arrival' nor 'processing': write clock = \"arrival\", or leave"
            " it out, and measure wake_at by telefold.heard_at(event) where it was by event.event_time"
        )
    return problems
