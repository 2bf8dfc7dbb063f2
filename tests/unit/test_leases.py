"""Two jobs over one set of views: who may start, and who has to wait."""

import os

import pytest

from telefold.deploy import flink_rest, leases
from telefold.schemas.errors import JobError
from telefold.schemas.leases import HELD_S, STARTING_S, Holder, Lease
from tests.support.fake_flink import Answer, FakeCluster, serving
from tests.support.leases import CLUSTER, ELSEWHERE, ENDED, HERE, HOST, NAMED, NOW, Scene, running_here

ON_THEIR_CLUSTER = Holder("application", name="telefold-prod")


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


def test_a_lease_that_is_renewed_at_the_last_moment_is_not_over(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = scene.writer(scene.claim(ELSEWHERE))
    asked = iter(range(100))
    load = scene.record.load

    def renewed_after_the_last_look() -> Lease | None:
        if next(asked) == HELD_S / 2 + 1:
            monkeypatch.setattr(scene.record, "load", load)
            writer.look()
        return load()

    monkeypatch.setattr(scene.record, "load", renewed_after_the_last_look)
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


def test_a_release_that_comes_too_late_ends_nobody_elses_lease(scene: Scene) -> None:
    first = scene.claim(CLUSTER)
    second = scene.claim(CLUSTER)
    scene.record.release(first.owner)
    assert scene.record.load() == second
