"""A fleet that reports while a test does something to the job."""

import itertools
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import closing

from telefold.connectors import aws
from telefold.jobs import settings
from telefold.simulator import produce
from telefold.simulator.generator import GeneratedRecord, Spec

RATE = 150


class Producer(threading.Thread):
    """Sends the fleet's events at a steady rate until told that they are enough, so they flow through every kill."""

    def __init__(self, loaded: settings.Settings, fleet: Spec) -> None:
        super().__init__()
        self._loaded = loaded
        self._fleet = fleet
        self._enough = threading.Event()
        self.sent: list[bytes] = []

    def close(self) -> None:
        self._enough.set()
        self.join()

    def run(self) -> None:
        source = self._loaded.source
        records = produce.records_to_send(self._fleet, RATE, None, lambda: time.time_ns() // 1_000_000)
        with closing(aws.client("kinesis", source.region, source.endpoint)) as client:
            produce.send(client, source.name, self._noted(records), RATE)

    def _noted(self, records: Iterable[GeneratedRecord]) -> Iterator[GeneratedRecord]:
        for record in itertools.takewhile(lambda _: not self._enough.is_set(), records):
            self.sent.append(record.data)
            yield record
