"""Sends generated records into a stream, as fast as it takes them or at a steady rate."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

from telefold.connectors.event_log import MAX_RECORDS_A_CALL, append, batches, check_stream
from telefold.simulator.generator import DEFAULT_SPAN_MS, GeneratedRecord, Spec, generate, generate_at, spread

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

TICK_SECONDS = 0.05


class Tally:
    """Counts of what has been acknowledged so far; they stay true when sending is cut short."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._started = clock()
        self.kinds: Counter[str] = Counter()
        self.seconds = 0.0

    def add(self, records: Iterable[GeneratedRecord]) -> None:
        self.kinds.update(record.kind for record in records)
        self.seconds = self._clock() - self._started

    @property
    def records(self) -> int:
        return self.kinds.total()

    @property
    def rate(self) -> float:
        return self.records / self.seconds if self.seconds else 0.0

    def summary(self) -> dict[str, int | float]:
        return {
            "records": self.records,
            "events": self.kinds["event"],
            "duplicates": self.kinds["duplicate"],
            "corrections": self.kinds["correction"],
            "poison": self.kinds["poison"],
            "seconds": round(self.seconds, 3),
            "rate": round(self.rate, 1),
        }


def records_to_send(
    spec: Spec, rate: float | None, start: int | None, now: Callable[[], int]
) -> Iterator[GeneratedRecord]:
    """The records of `spec`, `start` and `now` in epoch milliseconds.

    Without a rate, events are spread over the hour from `start`, or the hour that ends now. With a rate they are
    1 / rate apart from `start`, or happen as they are sent. With a start the bytes depend on nothing else.
    """
    if rate is None:
        return generate(spec, now() - DEFAULT_SPAN_MS if start is None else start)
    interval_ms = 1_000 * spec.devices / rate
    if start is None:
        return generate_at(spec, (now() for _ in range(spec.events)), interval_ms, salt=now())
    times = spread(spec.events, start, span_ms=1_000 * spec.events / rate)
    return generate_at(spec, times, interval_ms, salt=start)


def send(
    client: "KinesisClient",
    stream: str,
    records: Iterable[GeneratedRecord],
    rate: float | None = None,
    tally: Tally | None = None,
    report: Callable[[Tally], None] = lambda _: None,
) -> Tally:
    """Append all records, `rate` a second or as fast as they go; `report` is called after every call to Kinesis.

    Raises StreamError; `tally` then holds what was acknowledged.
    """
    check_stream(client, stream)
    tally = tally or Tally()
    for batch in batches(records) if rate is None else paced(records, rate):
        append(client, stream, batch)
        tally.add(batch)
        report(tally)
    return tally


def paced(
    records: Iterable[GeneratedRecord],
    rate: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[list[GeneratedRecord]]:
    """Small batches whose sum follows `rate` times the seconds passed; a slow consumer is caught up with."""
    source = iter(records)
    started, taken = clock(), 0
    while True:
        passed = clock() - started
        due = int(passed * rate) + 1 - taken
        if due < 1:
            sleep(max(TICK_SECONDS, taken / rate - passed))
            continue
        if not (some := list(islice(source, min(due, MAX_RECORDS_A_CALL)))):
            return
        taken += len(some)
        yield from batches(some)
