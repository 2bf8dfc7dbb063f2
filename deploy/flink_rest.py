"""Client of a running job's REST API, which is Flink's."""

import json
import operator
import re
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError

_TIMEOUT_S = 5


class Checkpoint(NamedTuple):
    id: int
    triggered_at: float
    completed_at: float
    """Epoch seconds, as `triggered_at`."""


class Progress(NamedTuple):
    """Sums over all tasks since this run began."""

    events_in: int = 0
    accepted: int = 0
    duplicates: int = 0
    corrections: int = 0
    too_late: int = 0
    too_many_names: int = 0
    rejected: int = 0
    other_keys: int = 0
    """Events whose partition key is not their device, so that their order among shards is nobody's."""
    rows_written: int = 0
    rows_stale: int = 0
    store_retries: int = 0
    alerts_told: int = 0
    behind_ms: int = -1
    """How far the last record read of the slowest shard is behind its newest;
    -1 until all shards have been read, those too that wait for a checkpoint to cover the shards before them."""
    last_arrival: int = 0
    """The arrival of the newest record read, in epoch milliseconds; 0 before the first."""
    freshness_ms: int = 0
    """How long ago the oldest event arrived that was folded, but whose rows wait to be written; 0 if there is none."""
    archive_bytes: int = 0
    archive_bytes_left: int = 0
    """Bytes, not yet read, of the archive's files that are known so far."""
    archive_rounds: int = 0
    """How often the archive was listed, and what the listing before had found was read, by the slowest task."""
    checkpoint: Checkpoint | None = None

    @property
    def archive_share(self) -> float:
        """How much of the archive's files that are known so far has been read, from 0 to 1."""
        return 1 - self.archive_bytes_left / self.archive_bytes if self.archive_bytes else 0.0

    @property
    def dead_letters(self) -> int:
        return self.rejected + self.too_late + self.too_many_names


METRICS = {
    re.sub(r"_(\w)", lambda next_word: next_word[1].upper(), field): field
    for field in Progress._fields
    if field != "checkpoint"
}
"""The names of Telefold's metrics, which are of letters alone, and what they are called here."""
_SAVEPOINTS = "savepoint-*/_metadata"
_GROUPS = ".kinesisanalytics.Program.telefold"
_OF_ALL_TASKS = {"behind_ms": "max", "last_arrival": "max", "freshness_ms": "max", "archive_rounds": "min"}
"""How a metric of several tasks becomes one; counts are added up."""
_TOGETHER: dict[str, Callable[[int, int], int]] = {"max": max, "min": min, "sum": operator.add}


class JobApi:
    """A job of the mini-cluster at `address` (http://host:port)."""

    def __init__(self, address: str, job_id: str) -> None:
        self._job = f"{address}/jobs/{job_id}"
        self._metrics: dict[str, list[str]] = {}

    def progress(self) -> Progress:
        """The job's counters and its last checkpoint; raises OSError while the API does not answer."""
        sums: dict[str, int] = {}
        for vertex in self._get("")["vertices"]:
            for name, value in self._vertex_metrics(vertex["id"]):
                sums[name] = _together(name, sums[name], value) if name in sums else value
        return Progress(**sums, checkpoint=self._last_checkpoint())

    def state(self) -> str:
        return str(self._get("")["state"])

    def checkpoint(self, timeout_s: float) -> bool:
        """Take a checkpoint now; False if it was refused, failed or did not complete in time."""
        return self._taken("checkpoints", "/checkpoints", {"checkpointType": "CONFIGURED"}, timeout_s)

    def stop(self, folder: Path, timeout_s: float) -> bool:
        """Take a savepoint in `folder` and end the job with it; False if it goes on as it was, or has ended otherwise.

        The savepoint has the format of a checkpoint, which is the quicker one.
        """
        before = set(folder.glob(_SAVEPOINTS))
        body = {"targetDirectory": folder.resolve().as_uri(), "drain": False, "formatType": "NATIVE"}
        try:
            return self._taken("savepoints", "/stop", body, timeout_s)
        except OSError:
            # The cluster ends with its job, and so may not say any more that it is done.
            return set(folder.glob(_SAVEPOINTS)) > before

    def _taken(self, kind: str, path: str, body: Any, timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        try:
            trigger = self._send("POST", path, body)["request-id"]
            while time.monotonic() < deadline:
                status = self._get(f"/{kind}/{trigger}")
                if status["status"]["id"] == "COMPLETED":
                    return not {"failureCause", "failure-cause"} & set(status["operation"])
                time.sleep(0.1)
        except HTTPError:
            pass
        return False

    def cancel(self) -> None:
        self._send("PATCH", "?mode=cancel", {})

    def _vertex_metrics(self, vertex: str) -> list[tuple[str, int]]:
        path = f"/vertices/{vertex}/subtasks/metrics"
        names = [metric["id"] for metric in self._get(path)]
        wanted = {name: short for name in names if (short := _short_name(name))}
        if not wanted:
            return []
        aggregated = self._get(f"{path}?get={','.join(map(urllib.parse.quote, wanted))}")
        return [(name, _of_subtasks(name, one)) for one in aggregated for name in [wanted[one["id"]]]]

    def _last_checkpoint(self) -> Checkpoint | None:
        latest = self._get("/checkpoints").get("latest", {}).get("completed")
        if not latest:
            return None
        return Checkpoint(latest["id"], latest["trigger_timestamp"] / 1000, latest["latest_ack_timestamp"] / 1000)

    def _get(self, path: str) -> Any:
        return self._send("GET", path)

    def _send(self, method: str, path: str, body: Any = None) -> Any:
        return call(method, self._job + path, body)


def call(method: str, url: str, body: Any = None) -> Any:
    """Call Flink; raises OSError while it does not answer."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:
            return json.loads(response.read() or b"{}")
    except HTTPException as error:
        raise OSError(f"the cluster broke off its answer: {error!r}") from error


def _of_subtasks(name: str, metric: dict[str, Any]) -> int:
    return _unless_unknown(name, metric["min"], int(metric[_how(name)]))


def _together(name: str, some: int, other: int) -> int:
    return _unless_unknown(name, min(some, other), _TOGETHER[_how(name)](some, other))


def _how(name: str) -> str:
    return _OF_ALL_TASKS.get(name, "sum")


def _unless_unknown(name: str, least: float, value: int) -> int:
    """The value, or -1 while it is unknown how far one task is behind: then so is how far all are."""
    return -1 if name == "behind_ms" and least < 0 else value


def _short_name(metric: str) -> str | None:
    groups, _, last = metric.rpartition(".")
    return METRICS.get(last) if groups.endswith(_GROUPS) else None
