"""Whether a job really works: a status of RUNNING says only that the service has started it."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_cloudwatch.type_defs import MetricDataQueryTypeDef, MetricTypeDef

PERIOD_S = 60
LAG_IS_SMALL_MS = 60_000
_RESTARTS_ARE_A_LOOP = 3
_POINTS_OF_A_TREND = 3
_NAMESPACE = "AWS/KinesisAnalytics"


class Readings(NamedTuple):
    """The values that CloudWatch has of a job since a moment, one a minute, oldest first."""

    lag_ms: tuple[float, ...] = ()
    """How far the job is behind the stream; -1, which says that nothing is known, is left out."""
    restarts: tuple[float, ...] = ()
    """How often the job restarted since it was submitted."""
    failed_checkpoints: tuple[float, ...] = ()
    """How many checkpoints failed since the job was submitted."""
    checkpoint_ms: tuple[float, ...] = ()
    """How long the last checkpoint took."""


class Verdict(NamedTuple):
    broken: str = ""
    """Why nothing better is to be expected; empty while it may."""
    lacking: tuple[str, ...] = ()
    """The evidence that is not there yet; the job works when none is lacking."""

    @property
    def works(self) -> bool:
        return not self.broken and not self.lacking


def judge(readings: Readings, *, has_snapshot: bool) -> Verdict:
    """A job works that has completed a snapshot, does not restart, and has little lag or less and less of it.

    A snapshot is a checkpoint that has passed all of its tasks, Python's included, after both stores had acknowledged
    every row before it.
    """
    restarts = readings.restarts[-1] - readings.restarts[0] if readings.restarts else 0
    if restarts >= _RESTARTS_ARE_A_LOOP:
        minutes = len(readings.restarts)
        return Verdict(broken=f"the job fails and starts again and again ({restarts:.0f} times in {minutes} min)")
    lacking = []
    if not has_snapshot:
        lacking.append("a completed snapshot")
    if not _is_well(readings.lag_ms):
        lacking.append(_lag(readings.lag_ms))
    if len(set(readings.restarts[-2:])) > 1:
        lacking.append("a minute without a restart")
    return Verdict(lacking=tuple(lacking))


def _is_well(lag: Sequence[float]) -> bool:
    if not lag:
        return False
    recent = lag[-_POINTS_OF_A_TREND:]
    return lag[-1] <= LAG_IS_SMALL_MS or (len(recent) == _POINTS_OF_A_TREND and recent[-1] < recent[0])


def _lag(lag: Sequence[float]) -> str:
    if not lag:
        return "a first figure of how far it is behind the stream"
    return f"a lag that falls (it is {lag[-1] / 1_000:,.0f} s)"


class Metrics:
    """The metrics of one application that reads one stream."""

    def __init__(self, client: "CloudWatchClient", application: str, stream: str) -> None:
        self._client = client
        self._queries = [_query(field, application, stream) for field in Readings._fields]

    def since(self, moment: float, now: float) -> Readings:
        """Values of whole minutes that began after `moment`, in epoch seconds: none is of the job before."""
        start = math.ceil(moment / PERIOD_S) * PERIOD_S
        if now <= start:
            return Readings()
        answer = self._client.get_metric_data(
            MetricDataQueries=self._queries,
            StartTime=datetime.fromtimestamp(start, UTC),
            EndTime=datetime.fromtimestamp(now, UTC),
            ScanBy="TimestampAscending",
        )
        values = {one["Id"]: tuple(float(value) for value in one["Values"]) for one in answer["MetricDataResults"]}
        values["lag_ms"] = tuple(value for value in values.get("lag_ms", ()) if value >= 0)
        return Readings(**{field: values.get(field, ()) for field in Readings._fields})


_METRICS = {
    "lag_ms": "millisBehindLatest",
    "restarts": "numRestarts",
    "failed_checkpoints": "numberOfFailedCheckpoints",
    "checkpoint_ms": "lastCheckpointDuration",
}


def _query(field: str, application: str, stream: str) -> "MetricDataQueryTypeDef":
    dimensions = {"Application": application}
    if field == "lag_ms":
        dimensions |= {"Flow": "Input", "Id": stream}
    metric: MetricTypeDef = {
        "Namespace": _NAMESPACE,
        "MetricName": _METRICS[field],
        "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
    }
    return {"Id": field, "MetricStat": {"Metric": metric, "Period": PERIOD_S, "Stat": "Maximum"}}
