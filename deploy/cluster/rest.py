"""Client of a cluster's REST API, which is Flink's."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.parse import unquote, urlparse

from telefold.deploy.flink_rest import call
from telefold.schemas.errors import JobError, LocalStackError

_ENDED = ("FINISHED", "FAILED", "CANCELED", "SUSPENDED")


class NotListening(LocalStackError):
    """No process listens where the cluster was: it has ended, or never began."""


class Overview(NamedTuple):
    task_managers: int
    slots: int
    free_slots: int


class Job(NamedTuple):
    id: str
    name: str
    state: str


class ClusterApi:
    """The cluster at `address` (http://host:port). Every call raises LocalStackError while it does not answer."""

    def __init__(self, address: str) -> None:
        self.address = address

    def overview(self) -> Overview:
        found = self._call("GET", "/overview")
        return Overview(found["taskmanagers"], found["slots-total"], found["slots-available"])

    def busy_task_managers(self) -> list[str]:
        """The ids of the TaskManagers that run tasks."""
        found = self._call("GET", "/taskmanagers")["taskmanagers"]
        return [one["id"] for one in found if one["freeSlots"] < one["slotsNumber"]]

    def jobs(self) -> list[Job]:
        """The jobs that have not ended."""
        found = self._call("GET", "/jobs/overview")["jobs"]
        return [Job(one["jid"], one["name"], one["state"]) for one in found if one["state"] not in _ENDED]

    def state(self, job: str) -> str:
        return str(self._call("GET", f"/jobs/{job}")["state"])

    def all_tasks_run(self, job: str) -> bool:
        vertices = self._call("GET", f"/jobs/{job}")["vertices"]
        return bool(vertices) and all(vertex["status"] == "RUNNING" for vertex in vertices)

    def failure(self, job: str) -> str:
        """The stack trace of what failed the job last; empty if nothing did."""
        found = self._call("GET", f"/jobs/{job}/exceptions")
        entries = found["exceptionHistory"]["entries"]
        return str(entries[0]["stacktrace"] if entries else found.get("root-exception") or "")

    def savepoint(self, job: str, folder: Path, timeout_s: float) -> Path:
        """Take a savepoint in `folder` while the job goes on; JobError if it was refused, failed or took too long."""
        body = {"target-directory": folder.as_uri(), "cancel-job": False}
        return self._savepoint(job, "savepoints", body, timeout_s)

    def stop(self, job: str, folder: Path, timeout_s: float) -> Path:
        """Take a savepoint in `folder` and end the job with it, all or nothing; raises JobError as `savepoint` does."""
        return self._savepoint(job, "stop", {"targetDirectory": folder.as_uri(), "drain": False}, timeout_s)

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        try:
            return call(method, self.address + path, body)
        except HTTPError:
            raise
        except OSError as error:
            refused = isinstance(getattr(error, "reason", None), ConnectionRefusedError)
            raise (NotListening if refused else LocalStackError)(
                f"The JobManager does not answer at {self.address} ({error}): see `telefold cluster status`."
            ) from error

    def _savepoint(self, job: str, how: str, body: Any, timeout_s: float) -> Path:
        deadline = time.monotonic() + timeout_s
        try:
            trigger = self._call("POST", f"/jobs/{job}/{how}", body)["request-id"]
            while time.monotonic() < deadline:
                status = self._call("GET", f"/jobs/{job}/savepoints/{trigger}")
                if status["status"]["id"] == "COMPLETED":
                    return _location(status["operation"])
                time.sleep(0.2)
        except HTTPError as error:
            raise JobError(f"Flink refused the savepoint ({error}); the job goes on as it was.") from error
        raise JobError(f"The savepoint was not complete within {timeout_s:.0f} s; look at {self.address}.")


def _location(operation: Any) -> Path:
    if "failure-cause" in operation:
        first, *_ = str(operation["failure-cause"]["stack-trace"]).splitlines()
        raise JobError(f"The savepoint failed ({first}); the job goes on as it was.")
    return Path(unquote(urlparse(operation["location"]).path))


def await_that(condition: Callable[[], bool], timeout_s: float) -> bool:
    """Whether `condition` came true in time; while the cluster does not answer it is not."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            if condition():
                return True
        except (HTTPError, KeyError, LocalStackError):
            pass
        time.sleep(0.2)
    return False
