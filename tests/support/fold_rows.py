"""Rows of folds in Python as the stores have them."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from connectors import aws
from connectors.event_log import read_stream
from jobs.settings import Settings
from jobs.stores import STORES, open_reader
from operators.folds.steps import TIMES_AN_EVENT
from schemas.events import DeviceEvent
from schemas.view_rows import Data, ViewRow, device_partition
from tests.support.folds import device_row
from views.oracle import Oracle


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
    accepted = _Accepted(settings.job.rollup_sizes, settings.job.rollup_lateness, settings.views.retention)
    with closing(aws.client("kinesis", settings.source.region, settings.source.endpoint)) as kinesis:
        for record in read_stream(kinesis, settings.source.name):
            accepted.add(record)
    assert accepted.events
    problems = []
    for device_id, events in accepted.events.items():
        expected = device_row(events), len(events) * TIMES_AN_EVENT
        for store, rows in rows_of_folds(settings, device_partition(device_id)).items():
            found = (rows["device"].data, rows["device"].version) if "device" in rows else None
            if found is None or (dict(_without_firmware(found[0])), found[1]) != expected:
                problems.append(f"{store} {device_id}: {found}, expected {expected}")
            if "presence" not in rows and any(event.metrics for event in events):
                problems.append(f"{store} {device_id}: no presence")
    return problems


class _Accepted(Oracle):
    """Keeps the events that are folded, in the order of the log."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.events: defaultdict[str, list[DeviceEvent]] = defaultdict(list)

    def _fold(self, device: Any, event: DeviceEvent) -> None:
        self.events[event.device_id].append(event)


def _without_firmware(data: Data) -> Iterator[tuple[str, object]]:
    """It is an attribute, too, and the oracle tells of those."""
    return ((name, value) for name, value in data.items() if not name.startswith("firmware"))
