"""The fold as Python describes it to the JVM: what becomes of the log in `tests.support.device_fold`."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from telefold.schemas.codec import encode
from telefold.schemas.events import DeviceEvent
from telefold.schemas.log_records import LogRecord
from telefold.schemas.view_rows import ViewRow
from telefold.verify.oracle import Oracle, compare
from tests.support.fold_report import LATENESS, NOON, RETENTION, SIZES, Decision, Report
from tests.support.waiting import PATIENCE_S


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    command = [sys.executable, "-m", "tests.support.device_fold", str(tmp_path_factory.mktemp("fold"))]
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE_S, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr.decode()
    return msgspec.json.decode(done.stdout, type=Report)


def test_a_cut_forgives_and_corrects_what_it_holds(report: Report) -> None:
    late, warm = NOON - LATENESS - 1, {"temperature": 50.0}
    assert sorted(decision for decision in report.decisions if decision.device_id == "d") == [
        Decision("d", "also too late", late, 1, warm, "too_late"),
        Decision("d", "in time", late + 1, 1, warm, None),
        Decision("d", "late", NOON - 5_000, 9, {"temperature": 0.1, 'quoted "é"': -5e-324}, None),
        Decision("d", "new", NOON, 1, warm, None),
        Decision("d", "too late", late, 1, warm, "too_late"),
    ]


def test_the_rows_are_those_of_the_accepted_events_in_plain_python(report: Report) -> None:
    folded = {
        (row.partition, row.sort): ViewRow(row.sort, row.version, row.data, row.expires_at) for row in report.folded
    }
    oracle = Oracle(SIZES, lateness_ms=10**12, retention=RETENTION)
    for decision in report.decisions:
        if decision.reason is None:
            event = DeviceEvent(
                decision.event_id, decision.device_id, "telemetry", decision.event_time, decision.sequence,
                decision.metrics,
            )  # fmt: skip
            oracle.add(LogRecord(encode(event), decision.event_time, event.device_id, "shard-0", "1"))
    assert compare(oracle.reckoning().rows, folded) == []


def test_the_log_holds_what_makes_folds_differ(report: Report) -> None:
    """Late events, duplicates, windows of each size that several flushes changed."""
    reasons = Counter(decision.reason for decision in report.decisions)
    assert reasons["too_late"] > 10
    assert report.sent - reasons.total() > 100
    views = Counter(row.sort.split("#")[1] for row in report.folded if row.view == "rollups")
    assert views.keys() == {"1m", "5m", "1h", "1d@Asia/Kathmandu"}
    assert views["1m"] > 500
    assert sum(row.view == "latest" for row in report.folded) > 10
    assert report.flushes > 10
