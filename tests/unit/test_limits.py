"""What the checks of an event let through fits every key, field and item that the product makes of it."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import pytest

from telefold.operators.folds.alert import Alerts
from telefold.operators.folds.device import Device
from telefold.operators.folds.fleet import Fleet
from telefold.operators.folds.fold import Fold
from telefold.operators.folds.groups import Contributed, GroupRow, take_all
from telefold.operators.folds.presence import Presence
from telefold.schemas.codec import decode, encode
from telefold.schemas.events import DeviceEvent
from telefold.schemas.limits import LIMITS, TextLimit
from telefold.schemas.rules import RuleChange
from telefold.schemas.view_rows import ViewUpdate, device_partition, group_partition, latest_sort, rollup_sort

NOW = 1_760_000_000_000
MAX_PARTITION_BYTES, MAX_SORT_BYTES, MAX_ITEM_BYTES = 2_048, 1_024, 400 * 1_024
GENERATION = "g1000000/"
RULE = "r" * 63


def largest(limit: TextLimit, number: int = 0) -> list[str]:
    """Texts as long as they may be, in characters of one byte, two and four; `number` tells them apart."""
    mark = f"{number:03}"
    texts = []
    for character, size in (("m", 1), ("é", 2), ("🛰", 4)):
        length = min(limit.characters, limit.utf8_bytes // size) - len(mark)
        texts.append(mark + character * length)
    return texts


def text(limit: TextLimit, number: int = 0) -> str:
    return max(largest(limit, number), key=lambda one: (len(one.encode()), len(one)))


DEVICE = text(LIMITS.id)
METRICS = {text(LIMITS.metric_name, number): -1e60 / 3 for number in range(LIMITS.metrics)}
ATTRIBUTES = {
    **{name: text(LIMITS.attribute_value) for name in ("site", "model", "firmware")},
    **{
        text(LIMITS.attribute_name, number): text(LIMITS.attribute_value, number)
        for number in range(LIMITS.attributes - 3)
    },
}


def events() -> Iterator[DeviceEvent]:
    """A device that says all that it may, and acknowledges its alert."""
    at = iter(range(NOW, NOW + 100))
    plain = DeviceEvent("e", DEVICE, "telemetry", NOW, 2**63 - 1, METRICS, ATTRIBUTES, text(LIMITS.correlation_id))
    for number, kind in enumerate(["registered", "configured", "telemetry", *(["own"] * 20), "retired", "registered"]):
        event_type = text(LIMITS.type, number) if kind == "own" else kind
        yield msgspec.structs.replace(plain, event_id=text(LIMITS.id, number), type=event_type, event_time=next(at))
    yield msgspec.structs.replace(plain, event_id="last", event_time=next(at))
    attributes = {"rule": RULE, "by": text(LIMITS.attribute_value), "at": str(NOW + 600_000)}
    yield DeviceEvent("ack", DEVICE, LIMITS.acknowledgement, next(at), 1, {}, attributes)


def rows_of(fold: Fold[Any]) -> Iterator[ViewUpdate]:
    state = fold.initial(DEVICE)
    groups: dict[str, dict[str, GroupRow]] = {}
    for event in events():
        before, state = state, fold.evolve(state, decode(encode(event), NOW))
        for row in fold.rows(state):
            yield ViewUpdate(fold.name, row.partition or device_partition(DEVICE), row.sort, 2**62, row.data)
        for made in fold.contributes(before, state):
            rows = groups.setdefault(made.group, {})
            for device in (DEVICE, *(text(LIMITS.id, number) for number in range(1, 12))):
                take_all(rows, [Contributed.of(fold.name, device, made, event.event_time)], lambda sort: None)
    for group, rows in groups.items():
        for sort, group_row in rows.items():
            yield from group_row.updates(group_partition(group), sort)


def fits(updates: Iterable[ViewUpdate]) -> int:
    """How many rows there are; every one is asserted to fit."""
    seen = 0
    for row in updates:
        seen += 1
        partition, sort = (GENERATION + row.partition).encode(), row.sort.encode()
        assert len(partition) <= MAX_PARTITION_BYTES
        assert len(sort) <= MAX_SORT_BYTES
        assert len(msgspec.json.encode(row)) + len(partition) + len(sort) < MAX_ITEM_BYTES
    return seen


@pytest.mark.parametrize("fold", [Device(), Presence(), Fleet()], ids=lambda fold: fold.name)
def test_the_largest_events_that_are_accepted_fit_every_row_of_the_folds(fold: Fold[Any]) -> None:
    assert fits(rows_of(fold))


def test_the_largest_device_fits_the_rows_of_its_alerts() -> None:
    metric = next(iter(METRICS))
    alerts = Alerts().under([RuleChange(RULE, 1, f'"{metric}" < 0', "critical")])
    rows = list(rows_of(alerts))
    assert fits(rows)
    assert any(row.data.get("acknowledged_by") == text(LIMITS.attribute_value) for row in rows)


@pytest.mark.parametrize("metric", largest(LIMITS.metric_name))
def test_the_largest_metric_fits_the_keys_of_latest_values_and_rollups(metric: str) -> None:
    sorts = latest_sort(metric), rollup_sort("86400000ms", metric, NOW)
    assert fits(ViewUpdate("v", device_partition(DEVICE), sort, 1, {}) for sort in sorts)


@pytest.mark.parametrize("value", largest(LIMITS.attribute_value))
@pytest.mark.parametrize("name", largest(LIMITS.attribute_name))
def test_the_largest_group_fits_its_partition_and_the_list_of_groups(name: str, value: str) -> None:
    row = GroupRow("fleet", 1, {"devices": 1})
    assert fits(row.updates(group_partition(f"{name}#{value}"), "fleet")) == 2
