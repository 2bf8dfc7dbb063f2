"""What folds in Python come to: rows in the stores, and what is told of alerts."""

import time
from collections import defaultdict
from collections.abc import Mapping
from contextlib import closing

import msgspec

from telefold.connectors import aws
from telefold.connectors.event_log import read_stream
from telefold.jobs.settings import Settings
from telefold.jobs.stores import STORES, open_reader
from telefold.schemas.alerts import AlertTransition
from telefold.schemas.events import ArrivedEvent, DeviceEvent
from telefold.schemas.view_rows import ViewRow
from telefold.verify.folding import current_views, open_oracle
from telefold.verify.judged import Judged, judges_of
from telefold.verify.oracle import Oracle, Retention


def rows_of_folds(settings: Settings, partition: str) -> dict[str, dict[str, ViewRow]]:
    """By store and sort key, those of one device."""
    found: dict[str, dict[str, ViewRow]] = {}
    for store in STORES:
        with closing(open_reader(settings, store)) as reader:
            rows = [*reader.range(partition, "device"), *reader.range(partition, "presence")]
        found[store] = {row.sort: row for row in rows}
    return found


def transitions_in_the_log(settings: Settings) -> set[str]:
    """The ids of all that has to be told of alerts by now."""
    judged = Judged(judges_of(settings, None))
    with closing(aws.client("kinesis", settings.source.region, settings.source.endpoint)) as kinesis:
        log = list(read_stream(kinesis, settings.source.name))
    oracle = open_oracle(settings, current_views(settings), lambda: log, judged)
    for record in log:
        oracle.add(record)
    return {one.id for one in judged.judges.messages_at(time.time_ns() // 1_000_000)}


def transitions_told(settings: Settings) -> list[str]:
    """The ids of what the stream of alerts holds."""
    assert settings.alerts.stream
    with closing(aws.client("kinesis", settings.source.region, settings.source.endpoint)) as kinesis:
        records = list(read_stream(kinesis, settings.alerts.stream))
    return [msgspec.json.decode(record.data, type=AlertTransition).id for record in records]


class AcceptedEvents(Oracle):
    """Keeps the events of each device that are folded, in the order of the log, with their arrivals."""

    def __init__(self, sizes: Mapping[str, int], lateness_ms: int, retention: Retention) -> None:
        super().__init__(sizes, lateness_ms, retention, on_accepted=self._keep)
        self.events: defaultdict[str, list[DeviceEvent]] = defaultdict(list)

    def _keep(self, event: DeviceEvent, arrival: int) -> None:
        self.events[event.device_id].append(ArrivedEvent(**msgspec.structs.asdict(event), arrival=arrival))
