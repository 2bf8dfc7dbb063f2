"""Up to when `verify` asks of a job that it has done what time alone calls for."""

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from telefold.connectors.leases import LeaseRecord
from telefold.connectors.memory import MemoryViews
from telefold.deploy import leases
from telefold.jobs import stores
from telefold.schemas.leases import HELD_S, Holder, Lease
from telefold.verify.judged import taken_on
from tests.support.fake_flink import FakeCluster, serving
from tests.support.leases import CLUSTER, ELSEWHERE, ENDED, NOW, running_here

SEEN = NOW - 20


def found(monkeypatch: pytest.MonkeyPatch, lease: Lease | None, now: float = NOW) -> float:
    store = MemoryViews()
    record = LeaseRecord(store, store)
    if lease is not None:
        record.keep(lease)
    monkeypatch.setattr(stores, "open_lease", lambda settings: record)
    settings: Any = SimpleNamespace()
    return taken_on(settings, now)


def lease_of(holder: Holder) -> Lease:
    at = round(SEEN * 1_000)
    return Lease("somebody", holder, since=at, renewed=at, held_s=HELD_S, generation=1, version=1)


def test_a_job_that_runs_is_to_have_done_all_by_now(monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(monkeypatch, lease_of(running_here())) == NOW
    assert found(monkeypatch, lease_of(ELSEWHERE)) == NOW


@pytest.mark.parametrize("holder", [ENDED, CLUSTER])
def test_one_that_was_stopped_or_killed_is_asked_for_nothing_since(
    monkeypatch: pytest.MonkeyPatch, holder: Holder
) -> None:
    assert found(monkeypatch, lease_of(holder)) == SEEN


def test_a_cluster_that_goes_on_without_the_job_has_ended_it(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = FakeCluster()
    cluster.says("GET /jobs/overview", {"jobs": []})
    with serving(cluster) as address:
        assert found(monkeypatch, lease_of(leases.cluster_here(address))) == SEEN


def test_one_that_released_its_lease_or_let_it_run_out_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    released = msgspec.structs.replace(lease_of(running_here()), owner="")
    assert found(monkeypatch, released) == SEEN
    assert found(monkeypatch, lease_of(ELSEWHERE), SEEN + HELD_S + 1) == SEEN


def test_views_without_a_job_have_had_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(monkeypatch, None) == 0.0
