"""An application of Managed Service for Apache Flink, as the service knows it."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Behaviour(Enum):
    """What becomes of a job whose package behaves so."""

    WORKS = "works"
    REFUSED = "refused"
    """It cannot be submitted, and the service sees that."""
    SILENT = "silent"
    """Its Python fails; the application is RUNNING all the same, with nothing in it."""
    LOOPS = "loops"
    """It fails and starts again for ever."""
    LAGS = "lags"
    """It checkpoints, and falls behind."""
    CATCHES_UP = "catches up"
    """It is far behind, and less so each minute."""
    ENDS = "ends"
    """It stops after two minutes."""


class ApiError(Exception):
    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


@dataclass
class Job:
    code: str
    behaviour: Behaviour
    restored_from: str | None
    began: float
    minutes: int = 0


@dataclass
class Snapshot:
    name: str
    at: float
    version: int
    code: str
    status: str = "CREATING"


@dataclass
class Operation:
    id: str
    kind: str
    at: float
    status: str = "IN_PROGRESS"
    error: str = ""


@dataclass
class Application:
    name: str
    properties: dict[str, Any]
    status: str = "READY"
    version: int = 1
    job: Job | None = None
    snapshots: list[Snapshot] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)

    @property
    def code(self) -> str:
        return str(self._configuration["ApplicationCodeConfiguration"]["CodeContent"]["S3ContentLocation"]["FileKey"])

    @property
    def rolls_back(self) -> bool:
        return bool(self._configuration["ApplicationSystemRollbackConfiguration"]["RollbackEnabled"])

    @property
    def _configuration(self) -> Any:
        return self.properties["ApplicationConfiguration"]
