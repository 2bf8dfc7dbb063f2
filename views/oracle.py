"""What the views must hold: the log folded in plain Python. The job is right when its rows agree with these.

It keeps every event id and every row in memory, and means to be obvious, not fast.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from schemas.codec import decode
from schemas.errors import Reason, RejectedEvent
from schemas.events import DeviceEvent
from schemas.log_records import LogRecord
from schemas.view_rows import LATEST, ROLLUPS, ViewRow, ViewUpdate, device_partition, latest_sort, rollup_sort
from schemas.view_stores import ViewReader

RELATIVE_TOLERANCE = 1e-9
# DynamoDB numbers begin here: squares of tiny readings are 0 in the durable store.
SMALLEST_MAGNITUDE = 1e-130

Key = tuple[str, str]
"""Partition and sort key of a row."""


class Rollup(msgspec.Struct, frozen=True):
    """One metric of one device in one window; the fields are those of the row's data."""

    count: int
    sum: float
    min: float
    max: float
    sum_sq: float
    first_at: int
    last_at: int


class Latest(msgspec.Struct, frozen=True, order=True):
    """The reading that counts as newest is the greatest: `sequence` breaks ties of `at`."""

    at: int
    sequence: int
    value: float


class RejectedRecord(msgspec.Struct, frozen=True):
    """A record that belongs in the dead letters, and why."""

    reason: Reason
    shard: str
    sequence_number: str


class Reckoning(msgspec.Struct, frozen=True):
    """What a log comes to. `sent == accepted + duplicates + sum(rejected.values())`."""

    rows: Mapping[Key, ViewUpdate]
    sent: int
    accepted: int
    duplicates: int
    rejected: Mapping[Reason, int]
    dead_letters: tuple[RejectedRecord, ...]

    @property
    def partitions(self) -> list[str]:
        return sorted({partition for partition, _ in self.rows})


class Difference(msgspec.Struct, frozen=True):
    """One thing in which a store disagrees with the oracle."""

    partition: str
    sort: str
    problem: str

    def __str__(self) -> str:
        return f"{self.partition} {self.sort}: {self.problem}"


def rollup_of(value: float, at: int) -> Rollup:
    return Rollup(1, value, value, value, value * value, at, at)


def merge_rollups(a: Rollup, b: Rollup) -> Rollup:
    """Associative, and order-free but for the rounding of the two sums."""
    return Rollup(
        count=a.count + b.count,
        sum=a.sum + b.sum,
        min=min(a.min, b.min),
        max=max(a.max, b.max),
        sum_sq=a.sum_sq + b.sum_sq,
        first_at=min(a.first_at, b.first_at),
        last_at=max(a.last_at, b.last_at),
    )


class _Device:
    def __init__(self) -> None:
        self.clock: int | None = None
        self.seen: set[str] = set()
        self.rollups: dict[tuple[str, str, int], Rollup] = {}
        self.latest: dict[str, Latest] = {}


class Oracle:
    """Folds records one by one; `reckoning` may be taken at any point and does not disturb what follows.

    Records of one device come in the order in which they lie in the log; devices may interleave in any way.
    """

    def __init__(self, sizes: Mapping[str, int], lateness_ms: int, retention: Mapping[str, int | None]) -> None:
        self._sizes = sizes
        self._lateness_ms = lateness_ms
        self._retention = retention
        self._devices: dict[str, _Device] = {}
        self._accepted = 0
        self._duplicates = 0
        self._dead_letters: list[RejectedRecord] = []

    def add(self, record: LogRecord) -> None:
        try:
            event = decode(record.data, record.arrival)
        except RejectedEvent as rejected:
            self._reject(record, rejected.reason)
            return
        device = self._devices.setdefault(event.device_id, _Device())
        if device.clock is not None and event.event_time < device.clock - self._lateness_ms:
            self._reject(record, Reason.TOO_LATE)
        elif event.event_id in device.seen:
            self._duplicates += 1
        else:
            self._accepted += 1
            self._accept(device, event)

    def reckoning(self) -> Reckoning:
        return Reckoning(
            rows={(row.partition, row.sort): row for row in self._rows()},
            sent=self._accepted + self._duplicates + len(self._dead_letters),
            accepted=self._accepted,
            duplicates=self._duplicates,
            rejected=dict(Counter(letter.reason for letter in self._dead_letters)),
            dead_letters=tuple(self._dead_letters),
        )

    def _reject(self, record: LogRecord, reason: Reason) -> None:
        self._dead_letters.append(RejectedRecord(reason, record.shard, record.sequence_number))

    def _accept(self, device: _Device, event: DeviceEvent) -> None:
        at = event.event_time
        device.clock = at if device.clock is None else max(device.clock, at)
        device.seen.add(event.event_id)
        for metric, value in event.metrics.items():
            reading = Latest(at, event.sequence, value)
            device.latest[metric] = max(device.latest.get(metric, reading), reading)
            for size, size_ms in self._sizes.items():
                window = (size, metric, at - at % size_ms)
                one = rollup_of(value, at)
                held = device.rollups.get(window)
                device.rollups[window] = one if held is None else merge_rollups(held, one)

    def _rows(self) -> Iterator[ViewUpdate]:
        for device_id, device in self._devices.items():
            partition = device_partition(device_id)
            for metric, reading in device.latest.items():
                yield self._latest_row(partition, metric, reading)
            for (size, metric, start), rollup in device.rollups.items():
                yield self._rollup_row(partition, size, metric, start, rollup)

    def _latest_row(self, partition: str, metric: str, reading: Latest) -> ViewUpdate:
        data = {"value": reading.value, "at": reading.at}
        return ViewUpdate(
            LATEST, partition, latest_sort(metric), reading.at, data, self._expires_at(LATEST, reading.at)
        )

    def _rollup_row(self, partition: str, size: str, metric: str, start: int, rollup: Rollup) -> ViewUpdate:
        return ViewUpdate(
            ROLLUPS,
            partition,
            rollup_sort(size, metric, start),
            rollup.count,
            msgspec.structs.asdict(rollup),
            self._expires_at(ROLLUPS, start + self._sizes[size]),
        )

    def _expires_at(self, view: str, time_ms: int) -> int | None:
        seconds = self._retention.get(view)
        return None if seconds is None else time_ms // 1000 + seconds


def fold(
    records: Iterable[LogRecord], sizes: Mapping[str, int], lateness_ms: int, retention: Mapping[str, int | None]
) -> Reckoning:
    """The views over a whole log.

    `sizes` gives the rollup windows in milliseconds by their label ("1m": 60_000), `retention` the seconds
    a view's rows are kept, None for ever.
    """
    oracle = Oracle(sizes, lateness_ms, retention)
    for record in records:
        oracle.add(record)
    return oracle.reckoning()


def read_rows(reader: ViewReader, partitions: Iterable[str]) -> dict[Key, ViewRow]:
    """All rows that a store holds in `partitions`."""
    return {(partition, row.sort): row for partition in partitions for row in reader.range(partition)}


def unexpired(rows: Mapping[Key, ViewUpdate], now: int) -> dict[Key, ViewUpdate]:
    """The rows that a reader still shows at `now`, in epoch seconds."""
    return {key: row for key, row in rows.items() if row.expires_at is None or row.expires_at > now}


def compare(expected: Mapping[Key, ViewUpdate], actual: Mapping[Key, ViewRow]) -> list[Difference]:
    """Everything in which `actual` is not as `expected`, ordered by key; empty when they agree.

    Floats agree within 1e-9 of their size; sums within 1e-9 of what their terms can add up to without
    their signs, since that is what bounds their rounding.
    """
    return [
        Difference(*key, problem)
        for key in sorted(expected.keys() | actual.keys())
        for problem in _problems(expected.get(key), actual.get(key))
    ]


def _problems(expected: ViewUpdate | None, actual: ViewRow | None) -> Iterator[str]:
    if expected is None or actual is None:
        yield "missing" if actual is None else "unexpected"
        return
    for field in ("version", "expires_at"):
        if (wanted := getattr(expected, field)) != (found := getattr(actual, field)):
            yield f"{field} is {found}, expected {wanted}"
    for field in sorted(expected.data.keys() | actual.data.keys()):
        wanted, found = expected.data.get(field), actual.data.get(field)
        if wanted is None or found is None:
            yield f"data.{field} is {'missing' if found is None else 'unexpected'}"
        elif not math.isclose(wanted, found, rel_tol=RELATIVE_TOLERANCE, abs_tol=_rounding(field, expected)):
            yield f"data.{field} is {found}, expected {wanted}"


def _rounding(field: str, row: ViewUpdate) -> float:
    if field != "sum" or row.view != ROLLUPS:
        return SMALLEST_MAGNITUDE
    return RELATIVE_TOLERANCE * math.sqrt(row.data["count"] * row.data["sum_sq"]) + SMALLEST_MAGNITUDE
