"""An application of Managed Service for Apache Flink: what it is, and what can be done with it."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from botocore.exceptions import ClientError

from telefold.deploy.managed.poller import Poller
from telefold.schemas.errors import DeployError

if TYPE_CHECKING:
    from mypy_boto3_kinesisanalyticsv2 import KinesisAnalyticsV2Client
    from mypy_boto3_kinesisanalyticsv2.type_defs import (
        ApplicationRestoreConfigurationTypeDef,
        ListApplicationSnapshotsRequestTypeDef,
    )

RUNNING, READY, ROLLED_BACK = "RUNNING", "READY", "ROLLED_BACK"
_AT_REST = (RUNNING, READY, ROLLED_BACK)
_ENDING = ("STOPPING", "FORCE_STOPPING", "ROLLING_BACK", "MAINTENANCE", "DELETING")
"""States that have to pass before the application can be stopped."""
_PATIENCE_S = 1_800
_REFUSED_FOR_NOW = ("InvalidRequestException", "ResourceInUseException", "InvalidApplicationConfigurationException")


class State(NamedTuple):
    status: str
    version: int
    code: str
    """The object of the package."""

    @property
    def is_at_rest(self) -> bool:
        return self.status in _AT_REST


class Snapshot(NamedTuple):
    name: str
    status: str
    at: datetime


class Operation(NamedTuple):
    """An operation on the application, by us or by the service."""

    kind: str
    status: str
    at: datetime
    error: str
    """Why it failed, as the service says; empty if it did not, or nothing is said."""


class Application:
    """Calls return once what they began has come to rest. `say` gets a line on what takes long."""

    def __init__(
        self, client: "KinesisAnalyticsV2Client", name: str, poller: Poller, say: Callable[[str], None]
    ) -> None:
        self._client = client
        self.name = name
        self._poller = poller
        self._say = say

    def state(self) -> State | None:
        """The application's state; None if there is no such application."""
        try:
            detail = self._client.describe_application(ApplicationName=self.name)["ApplicationDetail"]
        except ClientError as error:
            if error.response["Error"]["Code"] == "ResourceNotFoundException":
                return None
            raise
        code = detail["ApplicationConfigurationDescription"]["ApplicationCodeConfigurationDescription"]
        location = code["CodeContentDescription"]["S3ApplicationCodeLocationDescription"]
        return State(detail["ApplicationStatus"], detail["ApplicationVersionId"], location["FileKey"])

    def settle(self) -> State | None:
        """The state once nothing is under way."""
        state = self.state()
        if state is None or state.is_at_rest:
            return state
        self._say(f"application {self.name} is {state.status}: waiting")
        return self._rest()

    def start(self, snapshot: str | None, *, anew: bool = False) -> State:
        """Start it from `snapshot`, or from the latest there is; `anew` with no state at all.

        Returns when the service has done its part; the status that it ends with is for the caller to evaluate.
        """
        if anew:
            restore: ApplicationRestoreConfigurationTypeDef = {"ApplicationRestoreType": "SKIP_RESTORE_FROM_SNAPSHOT"}
        elif snapshot is None:
            restore = {"ApplicationRestoreType": "RESTORE_FROM_LATEST_SNAPSHOT"}
        else:
            restore = {"ApplicationRestoreType": "RESTORE_FROM_CUSTOM_SNAPSHOT", "SnapshotName": snapshot}
        self._say(f"starting the application{'' if snapshot is None else f' from snapshot {snapshot}'}")
        self._client.start_application(
            ApplicationName=self.name, RunConfiguration={"ApplicationRestoreConfiguration": restore}
        )
        return self._rest()

    def stop(self) -> None:
        """Stop the application unless it is stopped. No last snapshot: a job from an earlier one will replace it."""
        state = self.state()
        if state is not None and state.status in _ENDING:
            state = self._rest()
        if state is None or state.status in (READY, ROLLED_BACK):
            return
        self._say("stopping the application")
        self._client.stop_application(ApplicationName=self.name, Force=True)
        self._rest()

    def begin_snapshot(self, name: str) -> bool:
        """False if it is refused, as it is while the job fails and starts again."""
        try:
            self._client.create_application_snapshot(ApplicationName=self.name, SnapshotName=name)
        except ClientError as error:
            if error.response["Error"]["Code"] in _REFUSED_FOR_NOW:
                return False
            raise
        return True

    def snapshot_status(self, name: str) -> str:
        """The status of a snapshot: CREATING, READY or FAILED."""
        answer = self._client.describe_application_snapshot(ApplicationName=self.name, SnapshotName=name)
        return str(answer["SnapshotDetails"]["SnapshotStatus"])

    def take_snapshot(self, name: str) -> bool:
        """Whether there is one of this name now; False if it failed or was refused."""
        self._say(f"taking snapshot {name}")
        return self.begin_snapshot(name) and self._poller.until(
            lambda: self._taken(name), _PATIENCE_S, f"Snapshot {name}"
        )

    def snapshots(self) -> list[Snapshot]:
        """List the snapshots, newest first."""
        found: list[Snapshot] = []
        request: ListApplicationSnapshotsRequestTypeDef = {"ApplicationName": self.name, "Limit": 50}
        while True:
            page = self._client.list_application_snapshots(**request)
            found += [
                Snapshot(one["SnapshotName"], one["SnapshotStatus"], one["SnapshotCreationTimestamp"])
                for one in page["SnapshotSummaries"]
            ]
            if "NextToken" not in page:
                return sorted(found, key=lambda snapshot: snapshot.at, reverse=True)
            request["NextToken"] = page["NextToken"]

    def latest_snapshot(self) -> str | None:
        return next((one.name for one in self.snapshots() if one.status == "READY"), None)

    def forget_snapshots(self, names: Callable[[str], bool]) -> None:
        """Delete those of which `names` is true; they cost, and there may be 1 000."""
        for one in self.snapshots():
            if names(one.name) and one.status in (READY, "FAILED"):
                self._client.delete_application_snapshot(
                    ApplicationName=self.name, SnapshotName=one.name, SnapshotCreationTimestamp=one.at
                )

    def failures(self, since: float) -> list[Operation]:
        """The operations that failed since then (epoch seconds), oldest first."""
        if self.state() is None:
            return []
        return [one for one in reversed(list(self._operations(since))) if one.status == "FAILED"]

    def _operations(self, since: float) -> Iterator[Operation]:
        answer = self._client.list_application_operations(ApplicationName=self.name, Limit=20)
        for one in answer["ApplicationOperationInfoList"]:
            if one["StartTime"].timestamp() < since:
                return
            described = self._client.describe_application_operation(
                ApplicationName=self.name, OperationId=one["OperationId"]
            )["ApplicationOperationInfoDetails"]
            said = described.get("OperationFailureDetails", {}).get("ErrorInfo", {}).get("ErrorString", "")
            yield Operation(described["Operation"], described["OperationStatus"], described["StartTime"], said)

    def _taken(self, name: str) -> bool | None:
        status = self.snapshot_status(name)
        return None if status == "CREATING" else status == READY

    def _rest(self) -> State:
        return self._poller.until(self._at_rest, _PATIENCE_S, f"What is done to application {self.name}")

    def _at_rest(self) -> State | None:
        state = self.state()
        if state is None:
            raise DeployError(f"Application {self.name} is gone: somebody deleted it; deploy again.")
        return state if state.is_at_rest else None
