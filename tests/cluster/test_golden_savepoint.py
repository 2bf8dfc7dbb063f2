"""State that another build has left is read by this one, or the CHANGELOG says that it is not."""

from pathlib import Path

from telefold.jobs import settings
from telefold.verify.checker import verify
from tests.support.golden_savepoint import send, unpacked
from tests.support.processes import Job


def test_a_job_goes_on_with_the_state_of_the_golden_build(tmp_path: Path) -> None:
    with unpacked(tmp_path / "telefold") as (properties, savepoint):
        loaded, job = settings.load(properties), Job(properties)
        job.start("--resume", str(savepoint))
        try:
            sent = send(loaded, seed=2)
            job.await_events(sent)
            job.await_caught_up()
            folded = job.status()["events_in"]
            assert job.stop() == 0
        finally:
            job.end()
        found = verify(loaded)
        assert {check.store: list(check.differences) for check in found.stores} == {"dynamodb": [], "redis": []}
        assert found.right
        assert folded == sent
        assert found.records > sent
