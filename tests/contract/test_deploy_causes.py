"""What a job's log in CloudWatch tells of why it does not work."""

import json
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from telefold.deploy.managed.causes import cause, program_failed

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

GROUP = "/aws/kinesis-analytics/telefold-causes"
PYTHON = "org.apache.flink.client.python.PythonDriver"
GRAPH = "org.apache.flink.runtime.executiongraph.ExecutionGraph"
TRACEBACK = ["Traceback (most recent call last):", '  File "main.py", line 1', "ValueError: bad"]
THROWN = ["java.lang.RuntimeException: task failed", "\tat a.b.C", "Caused by: first", "\tat d", "Caused by: deepest"]

Write = Callable[..., None]


@pytest.fixture
def logs(s3_endpoint: str) -> "Iterator[CloudWatchLogsClient]":
    """Of the server that has S3 too."""
    client = boto3.client(
        "logs", "us-east-1", endpoint_url=s3_endpoint, aws_access_key_id="testing", aws_secret_access_key="testing"
    )
    client.create_log_group(logGroupName=GROUP)
    client.create_log_stream(logGroupName=GROUP, logStreamName="job")
    yield client
    client.delete_log_group(logGroupName=GROUP)


@pytest.fixture
def write(logs: "CloudWatchLogsClient") -> Write:
    start = int(time.time() * 1_000) - 60_000

    def write(*events: dict[str, Any] | str, after_ms: int = 0) -> None:
        lines = [one if isinstance(one, str) else json.dumps(one) for one in events]
        logs.put_log_events(
            logGroupName=GROUP,
            logStreamName="job",
            logEvents=[{"timestamp": start + after_ms, "message": line} for line in lines],
        )

    return write


def python(*lines: str) -> list[dict[str, Any]]:
    return [{"logger": PYTHON, "message": line} for line in lines]


def test_what_python_said_last_comes_first(logs: "CloudWatchLogsClient", write: Write) -> None:
    write(*python("--- Python Process Started ---", *TRACEBACK[:2], "KeyError: earlier", *TRACEBACK))
    write({"logger": GRAPH, "message": "switched from RUNNING to FAILED", "throwableInformation": THROWN})
    assert cause(logs, GROUP, 0) == TRACEBACK
    assert program_failed(logs, GROUP, 0)


def test_without_a_traceback_its_errors_do(logs: "CloudWatchLogsClient", write: Write) -> None:
    write(*python("The settings cannot be used:", "telefold.views/redis.url is missing: an error"))
    assert cause(logs, GROUP, 0)[-1].startswith("telefold.views/redis.url")
    assert not program_failed(logs, GROUP, 0)


def test_the_first_task_that_failed_is_the_cause_and_its_root_is_told(
    logs: "CloudWatchLogsClient", write: Write
) -> None:
    write(*python("--- Python Process Started ---"))
    write({"logger": GRAPH, "message": "noise", "throwableInformation": ["Caused by: noise"]})
    write(
        {"logger": GRAPH, "message": "fold switched from RUNNING to FAILED", "throwableInformation": THROWN}, after_ms=1
    )
    write(
        {"logger": GRAPH, "message": "fold switched from RUNNING to FAILED", "throwableInformation": ["a later one"]},
        after_ms=2,
    )
    assert cause(logs, GROUP, 0) == ["Caused by: deepest"]


def test_a_throwable_may_be_one_text(logs: "CloudWatchLogsClient", write: Write) -> None:
    write({"logger": GRAPH, "message": "failed", "throwableInformation": "\n".join(THROWN)})
    assert cause(logs, GROUP, 0) == ["Caused by: deepest"]


def test_what_is_no_json_or_older_says_nothing(logs: "CloudWatchLogsClient", write: Write) -> None:
    write("no JSON", "[1]", *python(*TRACEBACK))
    assert cause(logs, GROUP, time.time()) == []
    assert not program_failed(logs, GROUP, time.time())


def test_a_log_group_that_is_not_there_says_nothing(logs: "CloudWatchLogsClient") -> None:
    assert cause(logs, "/aws/kinesis-analytics/nowhere", 0) == []
