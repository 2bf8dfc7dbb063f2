"""Managed Service for Apache Flink: applications, whose jobs, snapshots and operations it moves on."""

from collections.abc import Callable
from typing import Any

from tests.support.aws.application import ApiError, Application, Behaviour, Job, Operation, Snapshot
from tests.support.aws.clock import Clock

STARTS_S, UPDATES_S, STOPS_S, ROLLS_BACK_S, SNAPSHOT_S = 60, 90, 30, 60, 20


class Flink:
    """`minute` is told of each minute that a job has run, and leaves the figures and log lines of it."""

    def __init__(self, clock: Clock, minute: Callable[[Application, Job], None]) -> None:
        self._clock = clock
        self._minute = minute
        self.applications: dict[str, Application] = {}
        self.behaviours: dict[str, Behaviour] = {}
        """By the object of the package; works unless it is told otherwise."""
        self._count = 0

    def create(self, properties: dict[str, Any]) -> None:
        name = properties["ApplicationName"]
        self.applications[name] = Application(name, properties)

    def update(self, properties: dict[str, Any]) -> Operation:
        """As CloudFormation does it: a running job is replaced by one of the new properties, from a last snapshot."""
        application = self._find(properties["ApplicationName"])
        before, was_running = application.properties, application.status == "RUNNING"
        operation = self._begin(application, "UpdateApplication", "UPDATING", ("RUNNING", "READY"))
        application.version += 1
        application.properties = properties
        if was_running:
            self._clock.after(UPDATES_S, lambda: self._updated(application, before, operation))
        else:
            self._clock.after(1, lambda: self._rest(application, "READY", operation))
        return operation

    def call(self, target: str, request: dict[str, Any]) -> dict[str, Any]:
        """One request of the API."""
        return dict(getattr(self, f"_{target}")(self._find(request["ApplicationName"]), request))

    def _updated(self, application: Application, before: dict[str, Any], operation: Operation) -> None:
        old = application.job
        if old and old.behaviour in (Behaviour.SILENT, Behaviour.LOOPS):
            self._update_failed(application, before, operation, "the snapshot before the update failed")
            return
        last = self._snapshot(application, f"service-{self._next()}")
        last.status = "READY"
        job = self._submit(application, last.name)
        if job is None:
            self._update_failed(
                application, before, operation, "the job could not be submitted: cannot import name 'fold'"
            )
        else:
            self._rest(application, "RUNNING", operation)

    def _update_failed(
        self, application: Application, before: dict[str, Any], operation: Operation, error: str
    ) -> None:
        operation.status, operation.error = "FAILED", error
        if not application.rolls_back:
            application.status, application.job = "READY", None
            return
        application.status = "ROLLING_BACK"
        rollback = self._operation(application, "RollbackApplication")
        self._clock.after(ROLLS_BACK_S, lambda: self._rolled_back(application, before, rollback))

    def _rolled_back(self, application: Application, before: dict[str, Any], operation: Operation) -> None:
        application.version += 1
        application.properties = before
        ready = [one.name for one in application.snapshots if one.status == "READY"]
        self._submit(application, ready[-1] if ready else None)
        self._rest(application, "RUNNING", operation)

    def _submit(self, application: Application, snapshot: str | None) -> Job | None:
        behaviour = self.behaviours.get(application.code, Behaviour.WORKS)
        if behaviour is Behaviour.REFUSED:
            application.job = None
            return None
        job = application.job = Job(application.code, behaviour, snapshot, self._clock.now())
        self._clock.after(60, lambda: self._minute_ends(application, job))
        return job

    def _minute_ends(self, application: Application, job: Job) -> None:
        if application.job is not job or application.status not in ("RUNNING", "UPDATING"):
            return
        job.minutes += 1
        if job.behaviour is Behaviour.ENDS and job.minutes == 2:
            application.status, application.job = "READY", None
            return
        self._minute(application, job)
        self._clock.after(60, lambda: self._minute_ends(application, job))

    def _DescribeApplication(self, application: Application, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        location = {"BucketARN": "arn:aws:s3:::bucket", "FileKey": application.code}
        code = {
            "CodeContentType": "ZIPFILE",
            "CodeContentDescription": {"S3ApplicationCodeLocationDescription": location},
        }
        return {
            "ApplicationDetail": {
                "ApplicationARN": f"arn:aws:kinesisanalytics:us-east-1:123456789012:application/{application.name}",
                "ApplicationName": application.name,
                "RuntimeEnvironment": "FLINK-2_2",
                "ApplicationStatus": application.status,
                "ApplicationVersionId": application.version,
                "ApplicationConfigurationDescription": {"ApplicationCodeConfigurationDescription": code},
            }
        }

    def _StartApplication(self, application: Application, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        restore = request["RunConfiguration"]["ApplicationRestoreConfiguration"]
        snapshot = self._wanted(application, restore)
        operation = self._begin(application, "StartApplication", "STARTING", ("READY",))
        self._clock.after(STARTS_S, lambda: self._started(application, snapshot, operation))
        return {"OperationId": operation.id}

    def _wanted(self, application: Application, restore: dict[str, Any]) -> str | None:
        ready = [one.name for one in application.snapshots if one.status == "READY"]
        match restore["ApplicationRestoreType"]:
            case "SKIP_RESTORE_FROM_SNAPSHOT":
                return None
            case "RESTORE_FROM_LATEST_SNAPSHOT":
                return ready[-1] if ready else None
            case _ if restore["SnapshotName"] in ready:
                return str(restore["SnapshotName"])
        raise ApiError("ResourceNotFoundException", f"no snapshot {restore['SnapshotName']}")

    def _started(self, application: Application, snapshot: str | None, operation: Operation) -> None:
        if self._submit(application, snapshot) is None:
            operation.error = "the job could not be submitted: cannot import name 'fold'"
            self._rest(application, "READY", operation, "FAILED")
        else:
            self._rest(application, "RUNNING", operation)

    def _StopApplication(self, application: Application, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        force = bool(request.get("Force"))
        allowed = ("RUNNING", "STARTING", "UPDATING", "AUTOSCALING") if force else ("RUNNING",)
        operation = self._begin(application, "StopApplication", "FORCE_STOPPING" if force else "STOPPING", allowed)
        if not force:
            self._snapshot(application, f"service-{self._next()}").status = "READY"
        self._clock.after(STOPS_S, lambda: self._stopped(application, operation))
        return {"OperationId": operation.id}

    def _stopped(self, application: Application, operation: Operation) -> None:
        application.job = None
        self._rest(application, "READY", operation)

    def _CreateApplicationSnapshot(self, application: Application, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        job = application.job
        if application.status != "RUNNING" or job is None or job.behaviour is Behaviour.LOOPS:
            raise ApiError("InvalidRequestException", "the application takes no snapshot now")
        snapshot = self._snapshot(application, request["SnapshotName"])
        works = job.behaviour is not Behaviour.SILENT
        self._clock.after(SNAPSHOT_S, lambda: setattr(snapshot, "status", "READY" if works else "FAILED"))
        return {}

    def _DescribeApplicationSnapshot(self, application: Application, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        found = next((one for one in application.snapshots if one.name == request["SnapshotName"]), None)
        if found is None:
            raise ApiError("ResourceNotFoundException", f"no snapshot {request['SnapshotName']}")
        return {"SnapshotDetails": _summary(found)}

    def _ListApplicationSnapshots(self, application: Application, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        begin, most = int(request.get("NextToken", 0)), min(request.get("Limit", 50), 2)
        page = [_summary(one) for one in application.snapshots[begin : begin + most]]
        more = begin + most < len(application.snapshots)
        return {"SnapshotSummaries": page} | ({"NextToken": str(begin + most)} if more else {})

    def _DeleteApplicationSnapshot(self, application: Application, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        named = [one for one in application.snapshots if one.name == request["SnapshotName"]]
        if not named or int(named[0].at) != int(request["SnapshotCreationTimestamp"]):
            raise ApiError("ResourceNotFoundException", "no such snapshot of that time")
        application.snapshots.remove(named[0])
        return {}

    def _ListApplicationOperations(self, application: Application, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        newest_first = list(reversed(application.operations))[: request.get("Limit", 50)]
        return {"ApplicationOperationInfoList": [{"OperationId": one.id, **_operation(one)} for one in newest_first]}

    def _DescribeApplicationOperation(self, application: Application, request: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        found = next(one for one in application.operations if one.id == request["OperationId"])
        details = _operation(found)
        if found.error:
            details["OperationFailureDetails"] = {"ErrorInfo": {"ErrorString": found.error}}
        return {"ApplicationOperationInfoDetails": details}

    def _find(self, name: str) -> Application:
        if name not in self.applications:
            raise ApiError("ResourceNotFoundException", f"no application {name}")
        return self.applications[name]

    def _begin(self, application: Application, kind: str, status: str, allowed: tuple[str, ...]) -> Operation:
        if application.status not in allowed:
            raise ApiError("ResourceInUseException", f"the application is {application.status}")
        application.status = status
        return self._operation(application, kind)

    def _rest(self, application: Application, status: str, operation: Operation, outcome: str = "SUCCESSFUL") -> None:
        if operation.kind != "StopApplication" and application.status == "FORCE_STOPPING":
            operation.status = "CANCELLED"
            return
        application.status, operation.status = status, outcome

    def _operation(self, application: Application, kind: str) -> Operation:
        operation = Operation(f"op-{self._next()}", kind, self._clock.now())
        application.operations.append(operation)
        return operation

    def _snapshot(self, application: Application, name: str) -> Snapshot:
        if any(one.name == name for one in application.snapshots):
            raise ApiError("InvalidRequestException", f"there is a snapshot {name}")
        snapshot = Snapshot(
            name, self._clock.now(), application.version, application.job.code if application.job else ""
        )
        application.snapshots.append(snapshot)
        return snapshot

    def _next(self) -> int:
        self._count += 1
        return self._count


def _summary(one: Snapshot) -> dict[str, Any]:
    return {
        "SnapshotName": one.name,
        "SnapshotStatus": one.status,
        "ApplicationVersionId": one.version,
        "SnapshotCreationTimestamp": one.at,
    }


def _operation(one: Operation) -> dict[str, Any]:
    return {"Operation": one.kind, "OperationStatus": one.status, "StartTime": one.at, "EndTime": one.at}
