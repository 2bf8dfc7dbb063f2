"""Rows of folds in Python as the stores have them."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

import msgspec

from connectors import aws
from connectors.event_log import read_stream
from jobs.settings import Settings
from jobs.stores import STORES, open_reader
from operators.folds.steps import TIMES_AN_EVENT
from schemas.alerts import AlertTransition
from schemas.events import DeviceEvent
from schemas.view_rows import Data, ViewRow, ViewUpdate, device_partition
from tests.support.alerts import AlertOracle, NaiveRule
from tests.support.folds import device_row
from views.oracle import Key, Oracle


def rows_of_folds(settings: Settings, partition: str) -> dict[str, dict[str, ViewRow]]:
    """By store and sort key, those of one device."""
    found = {}
    for store in STORES:
        with closing(open_reader(settings, store)) as reader:
            rows = [*reader.range(partition, "device"), *reader.range(partition, "presence")]
        found[store] = {row.sort: row for row in rows}
    return found


def unlike_the_log(settings: Settings) -> list[str]:
    """What either store shows of a device's life that is not as the oracle has it, from the events of the stream that
    were to be folded."""
    problems = []
    for device_id, events in _accepted(settings).items():
        expected = device_row(events), len(events) * TIMES_AN_EVENT
        for store, rows in rows_of_folds(settings, device_partition(device_id)).items():
            found = (rows["device"].data, rows["device"].version) if "device" in rows else None
            if found is None or (dict(_without_firmware(found[0])), found[1]) != expected:
                problems.append(f"{store} {device_id}: {found}, expected {expected}")
            if "presence" not in rows and any(event.metrics for event in events):
                problems.append(f"{store} {device_id}: no presence")
    return problems


def alerts_unlike_the_log(settings: Settings, name: str, rule: NaiveRule) -> list[str]:
    """What either store shows of the alerts of a rule of no duration that is not as the oracle has it."""
    problems = []
    for device_id, events in _accepted(settings).items():
        expected = {(episode["fired"], episode.get("resolved")) for episode in _alerts(rule, events).episodes}
        for store in STORES:
            with closing(open_reader(settings, store)) as reader:
                rows = reader.range(device_partition(device_id), f"alert#{name}#")
            found = {(row.data["fired_at"], row.data.get("resolved_at")) for row in rows}
            if found != expected:
                problems.append(f"{store} {device_id}: {sorted(found)}, expected {sorted(expected)}")
    return problems


def fleets_unlike(settings: Settings, expected: Mapping[Key, ViewUpdate], rolled_up: bool = True) -> list[str]:
    """What either store shows of all devices together that does not add up to `expected`, the rows of each."""
    rolled: defaultdict[str, float] = defaultdict(float)
    devices = set()
    for (partition, sort), row in expected.items():
        if rolled_up and sort.startswith("rollup#"):
            rolled[sort] += float(row.data["count"])
        devices.add(partition)
    problems = []
    for store in STORES:
        with closing(open_reader(settings, store)) as reader:
            found = {row.sort: row.data["count"] for row in reader.range("fleet#all", "rollup#")}
            counts = reader.get("fleet#all", "fleet")
        problems += [
            f"{store} {sort}: {found.get(sort)} of {count}"
            for sort, count in rolled.items()
            if found.get(sort) != count
        ]
        if counts is None or counts.data["devices"] < len(devices):
            problems.append(f"{store}: {counts} of {len(devices)} devices")
    return problems


def transitions_in_the_log(settings: Settings, name: str, rule: NaiveRule) -> set[str]:
    """The ids of all that has to be told of such a rule."""
    return {
        f"{device_id}/{name}/{episode['fired']}/{state}"
        for device_id, events in _accepted(settings).items()
        for episode in _alerts(rule, events).episodes
        for state, step in (("firing", "fired"), ("resolved", "resolved"))
        if step in episode
    }


def transitions_told(settings: Settings) -> list[str]:
    """The ids of what the stream of alerts holds."""
    assert settings.alerts.stream
    with closing(aws.client("kinesis", settings.source.region, settings.source.endpoint)) as kinesis:
        records = list(read_stream(kinesis, settings.alerts.stream))
    return [msgspec.json.decode(record.data, type=AlertTransition).id for record in records]


def _alerts(rule: NaiveRule, events: Sequence[DeviceEvent]) -> AlertOracle:
    oracle = AlertOracle(rule)
    for event in events:
        oracle.hear(event)
    return oracle


def _accepted(settings: Settings) -> Mapping[str, Sequence[DeviceEvent]]:
    """The events of each device that were to be folded, in the order of the stream."""
    accepted = AcceptedEvents(settings.job.rollup_sizes, settings.job.rollup_lateness, settings.views.retention)
    with closing(aws.client("kinesis", settings.source.region, settings.source.endpoint)) as kinesis:
        for record in read_stream(kinesis, settings.source.name):
            accepted.add(record)
    assert accepted.events
    return accepted.events


class AcceptedEvents(Oracle):
    """Keeps the events of each device that are folded, in the order of the log."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.events: defaultdict[str, list[DeviceEvent]] = defaultdict(list)

    def _fold(self, device: Any, event: DeviceEvent) -> None:
        super()._fold(device, event)
        self.events[event.device_id].append(event)


def _without_firmware(data: Data) -> Iterator[tuple[str, object]]:
    """It is an attribute, too, and the oracle tells of those."""
    return ((name, value) for name, value in data.items() if not name.startswith("firmware"))
