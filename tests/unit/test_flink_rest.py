"""A job's progress as Flink 2.2's REST API tells it, from a server that gives the answers of one."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from telefold.deploy import flink_rest
from telefold.deploy.flink_rest import Checkpoint, JobApi, Progress
from tests.support.fake_flink import Answer, FakeCluster, serving

JOB = "0f0e0d0c0b0a09080706050403020100"
JOB_URL = f"/jobs/{JOB}"
SOURCE, SINK = "cbc357ccb763df2852fee8c4fc7d55f2", "0a448493b4782967b150582570326227"
BEHIND = "Source__events.kinesisanalytics.Program.telefold.behindMs"


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


@pytest.fixture
def api(cluster: FakeCluster) -> Iterator[JobApi]:
    with serving(cluster) as address:
        yield JobApi(address, JOB)


def job(*vertices: str, state: str = "RUNNING") -> dict[str, Any]:
    return {
        "jid": JOB,
        "name": "telefold-telemetry",
        "isStoppable": False,
        "state": state,
        "start-time": 1_769_860_800_000,
        "end-time": -1,
        "vertices": [{"id": vertex, "name": "a task", "parallelism": 2, "status": state} for vertex in vertices],
    }


def aggregate(name: str, low: float, high: float) -> dict[str, Any]:
    """A metric over two subtasks, `low` in one and `high` in the other."""
    return {"id": name, "min": low, "max": high, "avg": (low + high) / 2, "sum": low + high, "skew": 0.0}


def has_metrics(cluster: FakeCluster, vertex: str, *wanted: dict[str, Any], others: tuple[str, ...] = ()) -> None:
    names = [metric["id"] for metric in wanted]
    path = f"GET {JOB_URL}/vertices/{vertex}/subtasks/metrics"
    cluster.says(path, [{"id": name} for name in (*others, *names)])
    cluster.says(f"{path}?get={','.join(names)}", list(wanted))


def checkpoints(latest: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "counts": {"restored": 0, "total": 1, "in_progress": 0, "completed": 1, "failed": 0},
        "latest": {"completed": latest, "savepoint": None, "failed": None, "restored": None},
        "history": [],
    }


def runs(cluster: FakeCluster) -> None:
    """A job of two tasks and no metrics yet."""
    cluster.says(f"GET {JOB_URL}", job(SOURCE, SINK))
    has_metrics(cluster, SOURCE)
    has_metrics(cluster, SINK)
    cluster.says(f"GET {JOB_URL}/checkpoints", checkpoints(None))


def test_a_job_without_metrics_or_checkpoint_has_no_progress(cluster: FakeCluster, api: JobApi) -> None:
    runs(cluster)
    assert api.progress() == Progress()
    assert not any("?get=" in request for request, _ in cluster.asked)


def test_counters_are_summed_over_tasks_and_subtasks(cluster: FakeCluster, api: JobApi) -> None:
    runs(cluster)
    has_metrics(
        cluster,
        SOURCE,
        aggregate("Source__events.kinesisanalytics.Program.telefold.eventsIn", 40.0, 2.0),
        aggregate("Source__events.kinesisanalytics.Program.telefold.rejected", 1.0, 0.0),
        others=("numRecordsIn", "Source__events.numRecordsOut", "buffers.outputQueueLength"),
    )
    has_metrics(
        cluster,
        SINK,
        aggregate("fold.kinesisanalytics.Program.telefold.tooLate", 2.0, 3.0),
        aggregate("fold.kinesisanalytics.Program.telefold.tooManyNames", 1.0, 1.0),
        aggregate("fold.kinesisanalytics.Program.telefold.accepted", 20.0, 16.0),
        aggregate("view-writer.kinesisanalytics.Program.telefold.rowsWritten", 7.0, 5.0),
        aggregate("another.kinesisanalytics.Program.telefold.rowsWritten", 1.0, 0.0),
        others=("elsewhere.rowsWritten",),
    )
    progress = api.progress()
    assert progress == Progress(events_in=42, rejected=1, too_late=5, too_many_names=2, accepted=36, rows_written=13)
    assert progress.dead_letters == 8


def test_the_lag_is_that_of_the_subtask_farthest_behind(cluster: FakeCluster, api: JobApi) -> None:
    runs(cluster)
    has_metrics(cluster, SOURCE, aggregate(BEHIND, 100.0, 1_500.0))
    assert api.progress().behind_ms == 1_500


def test_before_a_subtask_has_read_all_its_shards_the_lag_is_not_known(cluster: FakeCluster, api: JobApi) -> None:
    runs(cluster)
    has_metrics(cluster, SOURCE, aggregate(BEHIND, -1.0, 1_500.0))
    assert api.progress().behind_ms == -1


def test_of_tasks_of_two_kinds_the_slowest_counts(cluster: FakeCluster, api: JobApi) -> None:
    runs(cluster)
    rounds = BEHIND.replace("behindMs", "archiveRounds")
    has_metrics(cluster, SOURCE, aggregate(BEHIND, 100.0, 200.0), aggregate(rounds, 4.0, 5.0))
    has_metrics(cluster, SINK, aggregate(BEHIND, 50.0, 300.0), aggregate(rounds, 2.0, 3.0))
    assert (api.progress().behind_ms, api.progress().archive_rounds) == (300, 2)


def test_the_connectors_word_on_shards_that_have_ended_does_not_count(cluster: FakeCluster, api: JobApi) -> None:
    runs(cluster)
    ended = "Source__events.KinesisConsumer.stream.telemetry.shardId.shardId-000000000000.millisBehindLatest"
    has_metrics(cluster, SOURCE, aggregate(BEHIND, 0.0, 0.0), others=(ended,))
    assert api.progress().behind_ms == 0


def test_the_last_completed_checkpoint_is_told_in_epoch_seconds(cluster: FakeCluster, api: JobApi) -> None:
    runs(cluster)
    completed = {
        "@class": "completed",
        "id": 7,
        "status": "COMPLETED",
        "is_savepoint": False,
        "trigger_timestamp": 1_769_860_800_000,
        "latest_ack_timestamp": 1_769_860_800_250,
        "external_path": f"file:/checkpoints/{JOB}/chk-7",
    }
    cluster.says(f"GET {JOB_URL}/checkpoints", checkpoints(completed))
    assert api.progress().checkpoint == Checkpoint(7, 1_769_860_800.0, 1_769_860_800.25)


def test_the_state_is_the_jobs(cluster: FakeCluster, api: JobApi) -> None:
    cluster.says(f"GET {JOB_URL}", job(state="FAILED"))
    assert api.state() == "FAILED"


IN_PROGRESS = {"status": {"id": "IN_PROGRESS"}, "operation": None}
COMPLETED = {"status": {"id": "COMPLETED"}, "operation": {"checkpointId": 8}}
FAILED = {
    "status": {"id": "COMPLETED"},
    "operation": {
        "failureCause": {
            "class": "java.util.concurrent.CompletionException",
            "stack-trace": "org.apache.flink.runtime.checkpoint.CheckpointException: Checkpoint was declined.",
            "serialized-throwable": "rO0ABQ==",
        }
    },
}


def takes_checkpoints(cluster: FakeCluster, *statuses: Any) -> None:
    cluster.says(f"POST {JOB_URL}/checkpoints", Answer({"request-id": "a1"}, 202))
    cluster.says(f"GET {JOB_URL}/checkpoints/a1", *statuses)


def test_a_checkpoint_is_awaited_until_it_is_complete(cluster: FakeCluster, api: JobApi) -> None:
    takes_checkpoints(cluster, IN_PROGRESS, COMPLETED)
    assert api.checkpoint(timeout_s=5)
    assert cluster.asked == [
        (f"POST {JOB_URL}/checkpoints", {"checkpointType": "CONFIGURED"}),
        (f"GET {JOB_URL}/checkpoints/a1", None),
        (f"GET {JOB_URL}/checkpoints/a1", None),
    ]


def test_a_declined_checkpoint_is_none(cluster: FakeCluster, api: JobApi) -> None:
    takes_checkpoints(cluster, IN_PROGRESS, FAILED)
    assert not api.checkpoint(timeout_s=5)


def test_a_checkpoint_that_takes_too_long_is_given_up(cluster: FakeCluster, api: JobApi) -> None:
    takes_checkpoints(cluster, IN_PROGRESS)
    began = time.monotonic()
    assert not api.checkpoint(timeout_s=0.3)
    assert 0.3 <= time.monotonic() - began < 2


def test_a_checkpoint_that_flink_refuses_to_take_is_none(cluster: FakeCluster, api: JobApi) -> None:
    cluster.says(f"POST {JOB_URL}/checkpoints", Answer({"errors": ["Job is not running."]}, 500))
    assert not api.checkpoint(timeout_s=5)


def test_cancelling_is_one_request(cluster: FakeCluster, api: JobApi) -> None:
    cluster.says(f"PATCH {JOB_URL}?mode=cancel", Answer({}, 202))
    api.cancel()
    assert cluster.asked == [(f"PATCH {JOB_URL}?mode=cancel", {})]


@pytest.mark.parametrize(
    "answer",
    [
        Answer({"errors": ["Service temporarily unavailable."]}, 503),
        Answer({}, silence=0.3),
        Answer({}, cut_off=True),
    ],
    ids=["refused", "silent", "cut off"],
)
def test_whatever_is_no_answer_is_an_oserror(
    cluster: FakeCluster, api: JobApi, monkeypatch: pytest.MonkeyPatch, answer: Answer
) -> None:
    monkeypatch.setattr(flink_rest, "_TIMEOUT_S", 0.1)
    cluster.says(f"GET {JOB_URL}", answer)
    with pytest.raises(OSError):  # noqa: PT011 - of any kind
        api.progress()


def test_a_cluster_that_is_not_there_is_an_oserror() -> None:
    with pytest.raises(OSError, match="refused"):
        JobApi("http://127.0.0.1:9", JOB).state()
