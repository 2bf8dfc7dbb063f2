"""State that another build has left is read by this one, or the CHANGELOG says that it is not."""

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from telefold.connectors import aws
from telefold.connectors.event_log import read_stream
from telefold.jobs import settings
from telefold.jobs.settings import Settings
from telefold.verify.checker import verify
from tests.support.golden_savepoint import PACKED_ON_FLINK_1, send, unpacked
from tests.support.processes import Job
from tests.support.properties import set_properties


def test_a_job_goes_on_with_the_state_of_the_golden_build(tmp_path: Path) -> None:
    with unpacked(tmp_path / "telefold") as (properties, savepoint):
        sent, folded = _go_on(properties, 0, "--resume", str(savepoint))
        assert folded == sent
        _check_views(settings.load(properties), sent)


def test_a_job_that_ran_on_flink_1_goes_on_from_a_time(tmp_path: Path) -> None:
    """Its savepoint has no position that a source of today takes: half of what it has folded is read again."""
    with unpacked(tmp_path / "telefold", PACKED_ON_FLINK_1) as (properties, savepoint):
        loaded = settings.load(properties)
        arrivals = _arrivals(loaded)
        since = arrivals[len(arrivals) // 2]
        again = sum(arrival >= since for arrival in arrivals)
        assert 0 < again < len(arrivals)
        at = datetime.fromtimestamp(since / 1_000, UTC).isoformat()
        set_properties(properties, {"telefold.source": {"init.position": "AT_TIMESTAMP", "init.timestamp": at}})
        refused = Job(properties)
        assert refused.run("--resume", str(savepoint)) == 1
        assert "moving-to-flink-2.2.md" in refused.output()
        sent, folded = _go_on(properties, again, "--resume", str(savepoint), "--allow-non-restored-state")
        assert folded == again + sent
        _check_views(loaded, len(arrivals) + sent)


def _arrivals(loaded: Settings) -> list[int]:
    with closing(aws.client("kinesis", loaded.source.region, loaded.source.endpoint)) as kinesis:
        return sorted(record.arrival for record in read_stream(kinesis, loaded.source.name))


def _go_on(properties: Path, read_again: int, *options: str) -> tuple[int, int]:
    """Run a job until it has folded what is sent now besides; how much that is, and how much it has folded."""
    loaded, job = settings.load(properties), Job(properties)
    job.start(*options)
    try:
        sent = send(loaded, seed=2)
        job.await_events(read_again + sent)
        job.await_caught_up()
        folded = job.status()["events_in"]
        assert job.stop() == 0
    finally:
        job.end()
    return sent, folded


def _check_views(loaded: Settings, records: int) -> None:
    found = verify(loaded)
    assert {check.store: list(check.differences) for check in found.stores} == {"dynamodb": [], "redis": []}
    assert found.right
    assert found.records >= records
