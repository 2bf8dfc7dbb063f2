"""Up to when `verify` asks of a job that it has done what time alone calls for."""

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from telefold.connectors.leases import LeaseRecord
from telefold.connectors.memory import MemoryViews
from telefold.jobs import stores
from telefold.schemas.leases import HELD_S, Holder, Lease
from telefold.verify.judged import taken_on
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


@pytest.mark.parametrize("holder", [running_here(), ELSEWHERE, ENDED, CLUSTER])
def test_a_job_is_asked_for_what_was_due_when_it_was_last_seen(monkeypatch: pytest.MonkeyPatch, holder: Holder) -> None:
    """Whether it has ended since may be beyond knowing, as where its cluster is slow to answer."""
    assert found(monkeypatch, lease_of(holder)) == SEEN
    assert found(monkeypatch, msgspec.structs.replace(lease_of(holder), owner="")) == SEEN


def test_a_machine_whose_clock_is_ahead_saw_nothing_that_is_to_come(monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(monkeypatch, lease_of(ELSEWHERE), SEEN - 5) == SEEN - 5


def test_views_without_a_job_have_had_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert found(monkeypatch, None) == 0.0
