"""What `telefold run` tells: its line, its status file, why a job failed, and how Python runs."""

import json
import os
import socket
import sys
import threading
from importlib.machinery import PathFinder
from pathlib import Path

import find_libpython
import pytest

from telefold.cli.run import describe, write_status
from telefold.deploy.flink_rest import Checkpoint, Progress
from telefold.deploy.local.servers import free_port
from telefold.deploy.minicluster import environment, jvm
from telefold.deploy.minicluster.environment import execution_mode
from telefold.deploy.minicluster.runner import root_cause
from telefold.schemas.errors import JobError

NOON = 1_769_860_800.0
SENTENCE = "The table views does not exist in this account and region: create it."


def test_one_line_says_how_a_job_is_doing() -> None:
    progress = Progress(
        events_in=1_234_567,
        rows_written=8_901,
        rejected=10,
        too_late=2,
        behind_ms=1_549,
        checkpoint=Checkpoint(3, NOON - 2, NOON),
    )
    assert describe(progress, NOON + 4) == (
        "events in 1,234,567  rows out 8,901  dead letters 12  lag 1.5 s  last checkpoint 4 s ago"
    )


def test_before_the_first_checkpoint_there_is_none_yet() -> None:
    assert describe(Progress(), NOON).endswith("lag unknown  last checkpoint none yet")


def test_a_clock_that_is_behind_does_not_make_a_checkpoint_of_the_future() -> None:
    assert describe(Progress(checkpoint=Checkpoint(1, NOON, NOON)), NOON - 3).endswith("last checkpoint 0 s ago")


def test_retries_of_a_store_are_told_only_when_there_are_any() -> None:
    assert "store retries" not in describe(Progress(), NOON)
    assert describe(Progress(store_retries=1_024), NOON).endswith("store retries 1,024 (see the log)")


def test_keys_that_are_not_the_device_are_told_when_there_are_any() -> None:
    assert "keys that are not" not in describe(Progress(), NOON)
    assert describe(Progress(other_keys=1_024), NOON).endswith("keys that are not the device 1,024 (see the log)")


def test_the_status_file_holds_all_there_is_to_know(tmp_path: Path) -> None:
    path = tmp_path / "telemetry.status.json"
    write_status(path, Progress(events_in=5, checkpoint=Checkpoint(3, NOON - 2, NOON)))
    status = json.loads(path.read_text())
    assert status["events_in"] == 5
    assert status["checkpoint"] == {"id": 3, "triggered_at": NOON - 2, "completed_at": NOON}
    assert status["generation"] == 1
    assert set(status) == {*Progress._fields, "generation"}
    write_status(path, Progress())
    assert json.loads(path.read_text())["checkpoint"] is None


def test_whoever_reads_the_status_file_never_sees_half_of_it(tmp_path: Path) -> None:
    path = tmp_path / "telemetry.status.json"
    write_status(path, Progress())
    done = threading.Event()

    def write_often() -> None:
        for number in range(300):
            write_status(path, Progress(events_in=10 ** (number % 19)))
        done.set()

    writer = threading.Thread(target=write_often)
    writer.start()
    while not done.is_set():
        json.loads(path.read_text())
    writer.join()
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


IN_THE_JVM = f"""\
org.apache.flink.runtime.JobException: Recovery is suppressed by FailureRateRestartBackoffTimeStrategy(...)
\tat org.apache.flink.runtime.executiongraph.failover.ExecutionFailureHandler.handleFailure(...)
Caused by: org.apache.flink.streaming.runtime.tasks.ExceptionInChainedOperatorException: \
Could not forward element to next operator
\tat org.apache.flink.streaming.runtime.tasks.CopyingChainingOutput.pushToOperator(CopyingChainingOutput.java:92)
Caused by: pemja.core.PythonException: <class 'telefold.schemas.errors.StoreRefused'>: {SENTENCE}
\tat connectors/view_sink.process_element(connectors/view_sink.py:44)
\tat pemja.core.PythonInterpreter.invokeMethod(Native Method)
\t... 8 more
"""

IN_A_PROCESS = f"""\
org.apache.flink.runtime.JobException: Recovery is suppressed by FailureRateRestartBackoffTimeStrategy(...)
Caused by: java.util.concurrent.ExecutionException: java.lang.RuntimeException: \
Error received from SDK harness for instruction 4: Traceback (most recent call last):
  File "connectors/dynamodb.py", line 49, in check
    described = self._client.describe_table(TableName=self._table)["Table"]
botocore.errorfactory.ResourceNotFoundException: An error occurred (ResourceNotFoundException): Not found

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "connectors/view_sink.py", line 44, in process_element
    result = self._writer.write(decode_batch(batch[1]))
schemas.errors.StoreRefused: {SENTENCE}

\tat java.base/java.util.concurrent.CompletableFuture.reportGet(CompletableFuture.java:395)
Caused by: java.lang.RuntimeException: Error received from SDK harness for instruction 4: \
Traceback (most recent call last):
  File "connectors/view_sink.py", line 44, in process_element
    result = self._writer.write(decode_batch(batch[1]))
schemas.errors.StoreRefused: {SENTENCE}

\t... 1 more
"""


@pytest.mark.parametrize("trace", [IN_THE_JVM, IN_A_PROCESS], ids=["thread mode", "process mode"])
def test_of_a_trace_with_an_error_of_ours_its_sentence_is_told(trace: str) -> None:
    assert root_cause(trace) == SENTENCE


@pytest.mark.parametrize(
    ("trace", "told"),
    [
        (
            "java.util.concurrent.ExecutionException: failed\n\tat a.B.c(B.java:1)\n"
            "Caused by: java.lang.RuntimeException: java.io.IOException: no\n"
            "Caused by: java.io.IOException: No space left on device\n\t... 3 more",
            "IOException: No space left on device.",
        ),
        (
            "An error occurred while calling o52.executeAsync.\n"
            ": java.lang.IllegalStateException: No operators defined in streaming topology. Cannot execute.\n\tat a.b",
            "IllegalStateException: No operators defined in streaming topology. Cannot execute.",
        ),
        ("Job 0f0e was cancelled.\n", "Job 0f0e was cancelled."),
        ("", "Flink gives no reason."),
    ],
)
def test_of_any_other_trace_the_last_cause_is_told(trace: str, told: str) -> None:
    assert root_cause(trace) == told


def without_libpython(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find_libpython, "find_libpython", lambda: None)


def test_without_libpython_python_runs_in_a_process_and_one_line_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    without_libpython(monkeypatch)
    mode, why = execution_mode("thread")
    assert mode == "process"
    assert why == (
        "python.execution-mode is process: this Python has no shared libpython to load into the JVM"
        " (build it with --enable-shared to use thread)."
    )


@pytest.mark.parametrize("wanted", ["thread", "process"])
def test_with_libpython_python_runs_as_wanted(monkeypatch: pytest.MonkeyPatch, wanted: str) -> None:
    monkeypatch.setattr(find_libpython, "find_libpython", lambda: "/usr/lib/libpython3.12.so")
    assert execution_mode(wanted) == (wanted, None)


def test_who_wants_a_process_needs_no_libpython(monkeypatch: pytest.MonkeyPatch) -> None:
    without_libpython(monkeypatch)
    assert execution_mode("process") == ("process", None)


def test_an_embedded_python_finds_what_embeds_it_whatever_python_is_first_on_the_path(tmp_path: Path) -> None:
    """Flink would else start the job again and again."""
    variables = environment.jvm_environment(environment.Paths.below(tmp_path, "live", "one"), None)
    places = variables["PYTHONPATH"].split(os.pathsep)
    assert str(Path.cwd()) in places
    assert PathFinder.find_spec("pemja", places) is not None
    assert variables["PATH"].startswith(str(Path(sys.executable).parent))


def java_home(folder: Path, says: str) -> str:
    java = folder / "bin" / "java"
    java.parent.mkdir()
    java.write_text(f"#!/bin/sh\necho '{says}' >&2\n")
    java.chmod(0o755)
    return str(folder)


@pytest.mark.parametrize(
    ("says", "told"),
    [('openjdk version "11.0.2" 2019-01-15', "Java 11 is too old"), ("who is java?", "No Java was found")],
)
def test_a_java_that_does_not_fit_is_told_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, told: str
) -> None:
    monkeypatch.setenv("JAVA_HOME", java_home(tmp_path, says))
    with pytest.raises(JobError, match=f"^{told}: install a JDK 17"):
        jvm.check_java()


def test_no_java_at_all_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(JobError, match=r"^No Java was found"):
        jvm.check_java()


@pytest.mark.parametrize("version", ["17.0.15", "21"])
def test_a_java_that_fits_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    monkeypatch.setenv("JAVA_HOME", java_home(tmp_path, f'openjdk version "{version}" 2025-04-15'))
    jvm.check_java()


def test_a_port_for_metrics_that_is_taken_is_told_before_anything_starts() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(
            JobError, match=rf"^Port {port} of 127\.0\.0\.1 cannot be used: give --metrics-port another"
        ):
            environment.check_metrics(port)
    environment.check_metrics(port)


def test_without_a_port_flink_reports_to_nobody() -> None:
    assert environment.metrics_options(None) == {}
    assert environment.metrics_options(9249)["metrics.reporter.prometheus.port"] == "9249"


def test_the_port_of_flink_is_never_that_of_the_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = free_port()
    real, handed_out = socket.socket.bind, iter([taken])
    monkeypatch.setattr(socket.socket, "bind", lambda self, address: real(self, (address[0], next(handed_out, 0))))
    assert free_port(besides=taken) != taken
