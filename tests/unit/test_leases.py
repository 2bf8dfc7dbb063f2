"""Two jobs over one set of views: who may start, who has to wait, and who must write no more."""

import os
import socket
import threading
import time
from collections.abc import Callable

import psutil
import pytest

from connectors.leases import LeasedWriter, LeaseRecord
from connectors.memory import MemoryViews
from jobs import leases
from jobs.leases import claim_from
from jobs.local import flink_rest
from schemas.errors import JobError, StoreUnavailable
from schemas.leases import HELD_S, STARTING_S, Holder, Lease
from schemas.view_rows import ViewUpdate
from tests.support.fake_flink import Answer, FakeCluster, serving

NOW = 1_795_900_000.0
HOST = socket.gethostname()
HERE = leases.machine()
ROW = ViewUpdate("latest", "device#1", "latest#t", 1, {"value": 1.0, "at": 1})
ELSEWHERE = Holder("run", host="another", machine="another", pid=17, created=1.0)
NAMED = Holder("managed", name="telefold-prod")
ON_THEIR_CLUSTER = Holder("application", name="telefold-prod")
CLUSTER = leases.cluster_here("http://127.0.0.1:1")
ENDED = Holder("run", host=HOST, machine=HERE, pid=os.getppid(), created=1.0)  # a pid that another process had


def running_here() -> Holder:
    parent = os.getppid()
    return Holder("run", host=HOST, machine=HERE, pid=parent, created=psutil.Process(parent).create_time())


class Scene:
    """A record of a lease, and a clock that moves while somebody waits."""

    def __init__(self) -> None:
        self.store = MemoryViews()
        self.record = LeaseRecord(self.store, self.store)
        self.now = NOW
        self.ahead = 0.0
        self.said: list[str] = []
        self.meanwhile: Callable[[], None] = lambda: None

    @property
    def clock(self) -> float:
        """What the machine of whoever claims takes for the time."""
        return self.now + self.ahead

    def claim(self, holder: Holder) -> Lease:
        return claim_from(self.record, holder, 2, self.said.append, lambda: self.clock, self.sleep)

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.meanwhile()

    def writer(self, lease: Lease) -> LeasedWriter:
        """One that looks when it begins, and then only when it is told to."""
        return LeasedWriter(MemoryViews(), self.record, lease, every_s=3_600, clock=lambda: self.now)


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
    [(running_here(), "kill"), (CLUSTER, None)],
    ids=["a run", "a cluster that does not answer"],
)
def test_a_job_on_this_machine_is_seen_at_once(scene: Scene, held: Holder, way_out: str | None) -> None:
    scene.claim(held)
    if way_out is None:
        scene.claim(leases.this_run())
    else:
        with pytest.raises(JobError, match=way_out) as refused:
            scene.claim(leases.cluster_here("http://127.0.0.1:2"))
        assert f"pid {held.pid} on {HOST}, since 2026-11-28 " in str(refused.value)
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


@pytest.mark.parametrize("held", [ELSEWHERE, NAMED, ON_THEIR_CLUSTER], ids=lambda held: held.kind)
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


def test_a_clock_that_is_ahead_does_not_end_a_lease(scene: Scene) -> None:
    writer = scene.writer(scene.claim(ELSEWHERE))
    scene.ahead = 86_400
    scene.meanwhile = writer.look
    with pytest.raises(JobError, match="already runs"):
        scene.claim(leases.this_run())
    writer.close()


def test_a_lease_that_is_renewed_at_the_last_moment_is_not_over(scene: Scene) -> None:
    writer = scene.writer(scene.claim(ELSEWHERE))
    asked = iter(range(100))
    load = scene.record.load

    def renewed_after_the_last_look() -> Lease | None:
        if next(asked) == HELD_S / 2 + 1:
            scene.record.load = load  # type: ignore[method-assign]
            writer.look()
        return load()

    scene.record.load = renewed_after_the_last_look  # type: ignore[method-assign]
    with pytest.raises(JobError, match="already runs"):
        scene.claim(leases.this_run())
    assert scene.now >= NOW + HELD_S
    writer.close()


def test_a_lease_that_is_released_while_somebody_watches_is_free(scene: Scene) -> None:
    lease = scene.claim(ELSEWHERE)
    scene.meanwhile = lambda: scene.record.release(lease.owner)
    scene.claim(leases.this_run())
    assert scene.now < NOW + 3


def test_an_application_of_the_same_name_is_watched_where_flink_is_not_managed(scene: Scene) -> None:
    first = scene.writer(scene.claim(ON_THEIR_CLUSTER))
    scene.meanwhile = first.look
    with pytest.raises(JobError, match="already runs over these views: the application telefold-prod"):
        scene.claim(ON_THEIR_CLUSTER)
    first.close()
    scene.meanwhile = lambda: None
    assert scene.claim(ON_THEIR_CLUSTER).since > NOW * 1_000


@pytest.mark.parametrize(
    "other",
    [
        Holder("run", host=HOST, machine=f"{HERE}0", pid=os.getppid(), created=1.0),
        Holder("cluster", "http://127.0.0.1:1", host=HOST, machine=f"{HERE}0"),
        Holder("run", host=HOST, machine=HERE, pid=os.getpid(), created=1.0),
    ],
    ids=[
        "a run in another container",
        "a cluster in another container",
        "a run with our pid on a copy of this machine",
    ],
)
def test_what_a_machine_of_the_same_name_runs_is_not_seen_from_here(scene: Scene, other: Holder) -> None:
    writer = scene.writer(scene.claim(other))
    scene.meanwhile = writer.look
    with pytest.raises(JobError, match="already runs"):
        scene.claim(leases.this_run())
    assert not leases.has_ended(other)
    writer.close()


@pytest.mark.parametrize(
    "answer",
    [Answer({"errors": ["starting"]}, 503), Answer({}, cut_off=True), Answer([])],
    ids=["it is in trouble", "it breaks off", "something else answers there"],
)
def test_a_cluster_that_does_not_say_what_it_runs_has_not_ended(scene: Scene, answer: Answer) -> None:
    cluster = FakeCluster()
    cluster.says("GET /jobs/overview", answer)
    with serving(cluster) as address:
        writer = scene.writer(scene.claim(leases.cluster_here(address)))
        scene.meanwhile = writer.look
        with pytest.raises(JobError, match="already runs"):
            scene.claim(leases.this_run())
        assert not leases.has_ended(leases.cluster_here(address))
    writer.close()


def test_a_cluster_that_is_slow_has_not_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = FakeCluster()
    cluster.says("GET /jobs/overview", Answer({"jobs": []}, silence=0.5))
    monkeypatch.setattr(flink_rest, "_TIMEOUT_S", 0.05)
    with serving(cluster) as address:
        assert not leases.has_ended(leases.cluster_here(address))


def test_a_cluster_without_the_job_has_ended_it() -> None:
    cluster = FakeCluster()
    cluster.says("GET /jobs/overview", {"jobs": [{"jid": "1", "name": "another", "state": "RUNNING"}]})
    with serving(cluster) as address:
        assert leases.has_ended(leases.cluster_here(address))


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
    deadline = time.monotonic() + 10
    while (held := scene.record.load()) is None or held.version < 3:
        assert time.monotonic() < deadline
        time.sleep(0.01)
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
    assert seen.wait(10)
    writer.close()
    assert "could not be looked at" in caplog.text
