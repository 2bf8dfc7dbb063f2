"""Who must write no more over views that another job holds, and how a writer keeps its lease."""

import threading

import pytest

from telefold.connectors.leases import LeasedWriter, LeaseRecord
from telefold.connectors.memory import MemoryViews
from telefold.schemas.errors import JobError, StoreUnavailable
from telefold.schemas.leases import HELD_S, Lease
from telefold.schemas.view_rows import ViewUpdate
from tests.support.leases import CLUSTER, NAMED, Scene
from tests.support.waiting import PATIENCE_S, until

ROW = ViewUpdate("latest", "device#1", "latest#t", 1, {"value": 1.0, "at": 1})


def test_an_application_whose_program_runs_again_beside_its_recovered_job_goes_on(scene: Scene) -> None:
    """As where a JobManager is replaced: the job that was recovered has the first lease, and writes on."""
    writer = scene.writer(scene.claim(NAMED))
    scene.claim(NAMED)
    writer.look()
    assert writer.write([ROW]).written == 1
    writer.close()


def test_a_job_whose_lease_was_taken_over_writes_no_more_and_says_who_has_it(scene: Scene) -> None:
    writer = scene.writer(scene.claim(CLUSTER))
    assert writer.write([ROW]).written == 1
    second = scene.claim(CLUSTER)
    writer.look()
    with pytest.raises(JobError, match=r"taken over by the cluster at http://127\.0\.0\.1:1") as refused:
        writer.write([ROW])
    assert "stop this one, with `telefold stop` and the --properties" in str(refused.value)
    assert scene.record.load() == second
    writer.close()


def test_a_job_that_outlives_the_one_that_took_it_over_holds_the_lease_again(scene: Scene) -> None:
    first = scene.claim(CLUSTER)
    writer = scene.writer(first)
    second = scene.claim(CLUSTER)
    writer.look()
    scene.record.release(second.owner)
    writer.look()
    assert writer.write([ROW]).written == 1
    held = scene.record.load()
    assert held is not None
    assert (held.owner, held.held_s) == (first.owner, HELD_S)
    writer.close()


def test_a_writer_that_outlives_its_job_does_not_hold_the_lease_that_was_released(scene: Scene) -> None:
    lease = scene.claim(CLUSTER)
    writer = scene.writer(lease)
    scene.record.release(lease.owner)
    scene.now += 60
    writer.look()
    held = scene.record.load()
    assert held is not None
    assert (held.owner, held.renewed) == ("", lease.renewed)
    writer.close()


def test_a_writer_looks_before_it_writes(scene: Scene) -> None:
    first = scene.claim(CLUSTER)
    scene.claim(CLUSTER)
    writer = scene.writer(first)
    with pytest.raises(JobError, match="taken over"):
        writer.write([ROW])
    writer.close()


def test_a_store_that_is_away_keeps_no_writer_from_beginning(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    lease = scene.claim(CLUSTER)

    def away() -> Lease | None:
        raise StoreUnavailable("away")

    monkeypatch.setattr(scene.record, "load", away)
    writer = scene.writer(lease)
    assert writer.write([ROW]).written == 1
    writer.close()


def test_a_renewal_that_was_on_its_way_does_not_undo_a_claim(scene: Scene) -> None:
    first = scene.claim(CLUSTER)
    second = scene.claim(CLUSTER)
    scene.record.keep(Lease(first.owner, CLUSTER, first.since, first.renewed, HELD_S, 2, first.version + 1))
    assert scene.record.load() == second


def test_a_table_that_has_lost_its_lease_is_given_it_again(scene: Scene) -> None:
    lease = scene.claim(CLUSTER)
    scene.record = LeaseRecord(empty := MemoryViews(), empty)
    scene.writer(lease).close()
    found = scene.record.load()
    assert found is not None
    assert found.owner == lease.owner


def test_the_lease_is_renewed_while_nothing_is_written(scene: Scene) -> None:
    lease = scene.claim(CLUSTER)
    writer = LeasedWriter(MemoryViews(), scene.record, lease, every_s=0.01)
    held = until(scene.record.load, lambda held: held is not None and held.version >= 3, every_s=0.01)
    assert held is not None
    assert held.held_s == HELD_S
    writer.close()


def test_a_look_that_fails_is_told_and_is_not_the_last(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lease = scene.claim(CLUSTER)
    looks, load = iter(range(1_000_000)), scene.record.load
    seen = threading.Event()

    def broken_once() -> Lease | None:
        match next(looks):
            case 2:  # the writer's first look takes two
                raise ValueError("not a lease")
            case 3:
                seen.set()
        return load()

    monkeypatch.setattr(scene.record, "load", broken_once)
    writer = LeasedWriter(MemoryViews(), scene.record, lease, every_s=0.01)
    assert seen.wait(PATIENCE_S)
    writer.close()
    assert "could not be looked at" in caplog.text
