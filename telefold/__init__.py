"""Folds device telemetry from Kinesis into views in DynamoDB and Redis, on Apache Flink.

What is listed in `__all__` is for everybody, and stays; every other module of the package may change with any release.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from telefold.operators.folds.fold import Contribution, Fold, FoldRow
    from telefold.reading import Views
    from telefold.schemas.errors import TelefoldError
    from telefold.schemas.events import DeviceEvent, heard_at
    from telefold.schemas.view_rows import ViewRow

__all__ = ["Contribution", "DeviceEvent", "Fold", "FoldRow", "TelefoldError", "ViewRow", "Views", "heard_at"]

_HOMES = {
    "Contribution": "operators.folds.fold",
    "DeviceEvent": "schemas.events",
    "Fold": "operators.folds.fold",
    "FoldRow": "operators.folds.fold",
    "TelefoldError": "schemas.errors",
    "ViewRow": "schemas.view_rows",
    "Views": "reading",
    "heard_at": "schemas.events",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: a fold need not load the clients of the stores."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
