"""Two jobs over one set of views: who may start, who has to wait, and who must write no more."""

import os
import socket
import time
from collections.abc import Callable

import psutil
import pytest

from connectors.leases import LeasedWriter, LeaseRecord
from connectors.memory import MemoryViews
from jobs import leases
from jobs.leases import claim_from
from schemas.errors import JobError
from schemas.leases import HELD_S, STARTING_S, Holder, Lease
from schemas.view_rows import ViewUpdate

NOW = 1_795_900_000.0
HERE = socket.gethostname()
ROW = ViewUpdate("latest", "device#1", "latest#t", 1, {"value": 1.0, "at": 1})
ELSEWHERE = Holder("run", machine="another", pid=17, created=1.0)
NAMED = Holder("managed", name="telefold-prod")
CLUSTER = Holder("cluster", "http://127.0.0.1:1", HERE)
ENDED = Holder("run", machine=HERE, pid=os.getpid(), created=1.0)  # a pid that another process had


def running_here() -> Holder:
    parent = os.getppid()
    return Holder("run", machine=HERE, pid=parent, created=psutil.Process(parent).create_time())


class Scene:
    """A record of a lease, and a clock that moves while somebody waits."""

    def __init__(self) -> None:
        self.store = MemoryViews()
        self.record = LeaseRecord(self.store, self.store)
        self.now = NOW
        self.said: list[str] = []
        self.meanwhile: Callable[[], None] = lambda: None

    def claim(self, holder: Holder) -> Lease:
        return claim_from(self.record, holder, 2, self.said.append, lambda: self.now, self.sleep)

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.meanwhile()

    def writer(self, lease: Lease) -> LeasedWriter:
        """One that looks only when it is told to, after the first time."""
        writer = LeasedWriter(MemoryViews(), self.record, lease, every_s=3_600, clock=lambda: self.now)
        writer.look()
        return writer


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_the_first_job_holds_the_views_at_once(scene: Scene) -> None:
    lease = scene.claim(leases.this_run())
    assert scene.record.load() == lease
    assert (lease.since, lease.held_s) == (NOW * 1_000, STARTING_S)
    assert scene.said == []


@pytest.mark.parametrize(
    ("held", "way_out"),
    [(running_here(), "kill"), (Holder("cluster", name="http://127.0.0.1:1", machine=HERE), None)],
    ids=["a run", "a cluster that does not answer"],
)
def test_a_job_on_this_machine_is_seen_at_once(scene: Scene, held: Holder, way_out: str | None) -> None:
    scene.claim(held)
    if way_out is None:
        scene.claim(leases.this_run())
    else:
        with pytest.raises(JobError, match=way_out) as refused:
            scene.claim(leases.cluster_here("http://127.0.0.1:2"))
        assert f"pid {held.pid} on {HERE}, since 2026-11-28 " in str(refused.value)
    assert scene.now == NOW


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (ENDED, leases.this_run()),
        (leases.this_run(), leases.this_run()),
        (CLUSTER, CLUSTER),
        (NAMED, NAMED),
    ],
    ids=["a run that was killed", "a run that became another", "the same cluster", "the same application"],
)
def test_the_successor_of_a_job_that_crashed_starts_at_once(scene: Scene, before: Holder, after: Holder) -> None:
    first = scene.claim(before)
    second = scene.claim(after)
    assert scene.now == NOW
    assert second.version > first.version + 1
    assert (second.owner == first.owner) == (before == NAMED)


@pytest.mark.parametrize("held", [ELSEWHERE, NAMED, Holder("managed")], ids=str)
def test_a_job_that_cannot_be_seen_from_here_is_refused_once_it_renews_its_lease(scene: Scene, held: Holder) -> None:
    lease = scene.claim(held)
    writer = scene.writer(lease)
    scene.meanwhile = lambda: writer.look() if scene.now > NOW + 8 else None
    with pytest.raises(JobError, match="The job already runs over these views") as refused:
        scene.claim(leases.this_run())
    assert str(held) in str(refused.value)
    assert str(held) in scene.said[0]
    assert scene.now < NOW + 15
    writer.close()


def test_a_lease_that_nobody_renews_is_over_after_a_minute(scene: Scene) -> None:
    scene.writer(scene.claim(ELSEWHERE)).close()
    assert scene.claim(leases.this_run()).holder.kind == "run"
    assert NOW + HELD_S <= scene.now < NOW + HELD_S + 3


def test_the_clock_of_another_machine_does_not_end_a_lease(scene: Scene) -> None:
    lease = scene.claim(ELSEWHERE)
    scene.now += 1_800
    writer = scene.writer(lease)
    scene.now -= 1_800
    scene.meanwhile = writer.look
    with pytest.raises(JobError, match="already runs"):
        scene.claim(leases.this_run())
    writer.close()


def test_a_lease_of_long_ago_makes_nobody_wait(scene: Scene) -> None:
    scene.claim(ELSEWHERE)
    scene.now += 86_400
    before = scene.now
    scene.claim(leases.this_run())
    assert scene.now == before


def test_a_released_lease_makes_nobody_wait(scene: Scene) -> None:
    lease = scene.claim(ELSEWHERE)
    scene.record.release(lease.owner)
    scene.claim(NAMED)
    assert scene.now == NOW


def test_an_application_whose_program_runs_again_beside_its_recovered_job_goes_on(scene: Scene) -> None:
    """As where a JobManager is replaced: the job that was recovered has the first lease, and writes on."""
    writer = scene.writer(scene.claim(NAMED))
    scene.claim(NAMED)
    writer.look()
    assert writer.write([ROW]).written == 1
    writer.close()


def test_a_release_that_comes_too_late_ends_nobody_elses_lease(scene: Scene) -> None:
    first = scene.claim(CLUSTER)
    second = scene.claim(CLUSTER)
    scene.record.release(first.owner)
    assert scene.record.load() == second


def test_a_job_whose_lease_was_taken_over_writes_no_more_and_says_who_has_it(scene: Scene) -> None:
    writer = scene.writer(scene.claim(CLUSTER))
    assert writer.write([ROW]).written == 1
    second = scene.claim(CLUSTER)
    writer.look()
    with pytest.raises(JobError, match=r"taken over by the cluster at http://127\.0\.0\.1:1"):
        writer.write([ROW])
    assert scene.record.load() == second
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
    deadline = time.monotonic() + 10
    while (held := scene.record.load()) is None or held.version < 3:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert held.held_s == HELD_S
    writer.close()
