"""A cluster as Flink 2.2's REST API tells it: what runs, and savepoints that succeed, fail or are refused."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from telefold.deploy.cluster.rest import ClusterApi, Job, Overview, await_that
from telefold.deploy.local.servers import free_port
from telefold.schemas.errors import JobError, LocalStackError
from tests.support.fake_flink import Answer, FakeCluster, serving

JOB = "0f0e0d0c0b0a09080706050403020100"
SAVEPOINTS = Path("/state/save points")
TRIGGER = {"request-id": "t1"}
IN_PROGRESS = {"status": {"id": "IN_PROGRESS"}, "operation": None}


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


@pytest.fixture
def api(cluster: FakeCluster) -> Iterator[ClusterApi]:
    with serving(cluster) as address:
        yield ClusterApi(address)


def test_what_there_is(cluster: FakeCluster, api: ClusterApi) -> None:
    cluster.says("GET /overview", {"taskmanagers": 2, "slots-total": 4, "slots-available": 3, "jobs-running": 1})
    assert api.overview() == Overview(task_managers=2, slots=4, free_slots=3)


def test_jobs_that_ended_are_not_told(cluster: FakeCluster, api: ClusterApi) -> None:
    states = ["RUNNING", "FAILED", "RESTARTING", "FINISHED", "CANCELED", "SUSPENDED"]
    found = [{"jid": str(number), "name": "a", "state": state} for number, state in enumerate(states)]
    cluster.says("GET /jobs/overview", {"jobs": found})
    assert api.jobs() == [Job("0", "a", "RUNNING"), Job("2", "a", "RESTARTING")]


def test_those_that_run_tasks_have_fewer_free_slots(cluster: FakeCluster, api: ClusterApi) -> None:
    found = [{"id": f"task-manager-{free}", "freeSlots": free, "slotsNumber": 2} for free in (0, 1, 2)]
    cluster.says("GET /taskmanagers", {"taskmanagers": found})
    assert api.busy_task_managers() == ["task-manager-0", "task-manager-1"]


@pytest.mark.parametrize(
    ("statuses", "all_run"), [(["RUNNING", "RUNNING"], True), (["RUNNING", "INITIALIZING"], False), ([], False)]
)
def test_a_job_runs_once_all_of_its_tasks_do(
    cluster: FakeCluster, api: ClusterApi, statuses: list[str], all_run: bool
) -> None:
    cluster.says(f"GET /jobs/{JOB}", {"state": "RUNNING", "vertices": [{"status": status} for status in statuses]})
    assert api.all_tasks_run(JOB) is all_run


def test_the_last_failure_is_the_first_of_the_history(cluster: FakeCluster, api: ClusterApi) -> None:
    histories = [[{"stacktrace": "a.B: last\n"}, {"stacktrace": "a.B: before\n"}], []]
    cluster.says(f"GET /jobs/{JOB}/exceptions", *({"exceptionHistory": {"entries": one}} for one in histories))
    assert api.failure(JOB) == "a.B: last\n"
    assert api.failure(JOB) == ""


def test_a_savepoint_is_where_flink_says(cluster: FakeCluster, api: ClusterApi) -> None:
    done = {"status": {"id": "COMPLETED"}, "operation": {"location": "file:/state/save%20points/savepoint-0f0e0d-1"}}
    cluster.says(f"POST /jobs/{JOB}/savepoints", TRIGGER)
    cluster.says(f"GET /jobs/{JOB}/savepoints/t1", IN_PROGRESS, done)
    assert api.savepoint(JOB, SAVEPOINTS, 10) == SAVEPOINTS / "savepoint-0f0e0d-1"
    asked = {"target-directory": "file:///state/save%20points", "cancel-job": False}
    assert cluster.asked[0] == (f"POST /jobs/{JOB}/savepoints", asked)


def test_a_job_is_stopped_without_draining_it(cluster: FakeCluster, api: ClusterApi) -> None:
    done = {"status": {"id": "COMPLETED"}, "operation": {"location": "file:/s/savepoint-0f0e0d-1"}}
    cluster.says(f"POST /jobs/{JOB}/stop", TRIGGER)
    cluster.says(f"GET /jobs/{JOB}/savepoints/t1", done)
    assert api.stop(JOB, Path("/s"), 10) == Path("/s/savepoint-0f0e0d-1")
    assert cluster.asked[0] == (f"POST /jobs/{JOB}/stop", {"targetDirectory": "file:///s", "drain": False})


def test_a_savepoint_that_fails_leaves_the_job(cluster: FakeCluster, api: ClusterApi) -> None:
    cause = {"failure-cause": {"stack-trace": "a.B: disk full\n\tat c.d"}}
    cluster.says(f"POST /jobs/{JOB}/savepoints", TRIGGER)
    cluster.says(f"GET /jobs/{JOB}/savepoints/t1", {"status": {"id": "COMPLETED"}, "operation": cause})
    with pytest.raises(JobError, match=r"^The savepoint failed \(a\.B: disk full\); the job goes on as it was\.$"):
        api.savepoint(JOB, SAVEPOINTS, 10)


def test_a_savepoint_that_is_refused_or_late(cluster: FakeCluster, api: ClusterApi) -> None:
    cluster.says(f"POST /jobs/{JOB}/savepoints", Answer({"errors": ["no"]}, 400), TRIGGER)
    cluster.says(f"GET /jobs/{JOB}/savepoints/t1", IN_PROGRESS)
    with pytest.raises(JobError, match="Flink refused the savepoint"):
        api.savepoint(JOB, SAVEPOINTS, 10)
    with pytest.raises(JobError, match="was not complete within 0 s"):
        api.savepoint(JOB, SAVEPOINTS, 0.1)


def test_a_job_manager_that_does_not_answer_is_told_as_such() -> None:
    silent = ClusterApi(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(LocalStackError, match=r"The JobManager does not answer at http://127\.0\.0\.1"):
        silent.jobs()
    assert not await_that(lambda: bool(silent.jobs()), 0.1)
