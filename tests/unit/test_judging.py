"""The first start with rules over views that have devices says whom it does not know."""

from types import SimpleNamespace
from typing import Any

import pytest

from telefold.connectors.memory import MemoryViews
from telefold.deploy.minicluster.judging import recording
from telefold.jobs import judging, stores
from telefold.schemas.errors import StoreError


@pytest.fixture
def devices(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[Any]]]:
    """Those of the views."""
    table, found = MemoryViews(), list[tuple[str, list[Any]]]()
    monkeypatch.setattr(stores, "open_bookkeeping_reader", lambda settings: table)
    monkeypatch.setattr(stores, "open_bookkeeping_writer", lambda settings: table)
    monkeypatch.setattr(stores, "rows_of_devices", lambda settings: iter(found))
    return found


def test_only_the_first_start_with_rules_over_devices_warns(devices: list[tuple[str, list[Any]]]) -> None:
    judges: Any = SimpleNamespace(judges_by_rules=True)
    without: Any = SimpleNamespace(judges_by_rules=False)
    assert judging.unknown_devices(judges, 1) is None
    devices.append(("pump-1", []))
    assert judging.unknown_devices(without, 1) is None
    assert "`telefold rebuild`" in (judging.unknown_devices(judges, 1) or "")
    judging.record(without, 1)
    assert judging.unknown_devices(judges, 1) is not None
    judging.record(judges, 1)
    assert judging.unknown_devices(judges, 1) is None
    assert judging.unknown_devices(judges, 2) is not None


def test_a_start_without_rules_makes_the_next_one_with_them_the_first_again(
    devices: list[tuple[str, list[Any]]],
) -> None:
    judges: Any = SimpleNamespace(judges_by_rules=True)
    without: Any = SimpleNamespace(judges_by_rules=False)
    devices.append(("pump-1", []))
    judging.record(judges, 1)
    judging.record(without, 1)
    assert judging.unknown_devices(judges, 1) is not None
    judging.record(judges, 1)
    assert judging.unknown_devices(judges, 1) is None


def test_a_job_is_recorded_with_its_first_checkpoint_and_not_before(
    devices: list[tuple[str, list[Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    judges: Any = SimpleNamespace(judges_by_rules=True)
    started: Any = SimpleNamespace(checkpoint=None)
    running: Any = SimpleNamespace(checkpoint="chk-1")
    devices.append(("pump-1", []))
    reported: list[Any] = []
    report = recording(judges, 1, reported.append)
    report(started)
    assert judging.unknown_devices(judges, 1) is not None

    def fails(settings: object) -> None:
        raise StoreError("away")

    with monkeypatch.context() as away:
        away.setattr(stores, "open_bookkeeping_writer", fails)
        report(running)
    assert judging.unknown_devices(judges, 1) is not None
    report(running)
    assert judging.unknown_devices(judges, 1) is None
    assert reported == [started, running, running]
