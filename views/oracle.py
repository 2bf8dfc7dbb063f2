"""What the views must hold: the log folded in plain Python. The job is right when its rows agree with these.

It keeps every event id and what every row is made of in memory, and means to be obvious before it is fast.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import cast

import msgspec

from schemas.codec import decode
from schemas.errors import Reason, RejectedEvent
from schemas.events import DeviceEvent
from schemas.limits import LIMITS
from schemas.log_records import LogRecord, Positions, position
from schemas.view_rows import (
    LATEST,
    ROLLUPS,
    VIEWS,
    Numbers,
    Value,
    ViewRow,
    ViewUpdate,
    device_partition,
    is_of_a_python_fold,
    latest_sort,
    rollup_sort,
)
from schemas.view_stores import ViewReader

RELATIVE_TOLERANCE = 1e-9
# DynamoDB numbers begin here: squares of tiny readings are 0 in the durable store.
SMALLEST_MAGNITUDE = 1e-130
# A latest value's version counts the readings of its metric at its time, below this, and grows with the time.
VERSIONS_A_TIME = 2**20

Key = tuple[str, str]
"""Partition and sort key of a row."""

Corrections = Mapping[tuple[str, str], DeviceEvent]
"""By device_id and the event_id of the event to correct, the event that says what it should have said."""


Retention = Mapping[str, int | None]
"""The seconds that the rows of a view are kept, None or no entry for ever."""

# Rows of many devices share their sort keys, and a device its own from one event to the next.
_shared_latest_sort = lru_cache(maxsize=1_000)(latest_sort)
_shared_rollup_sort = lru_cache(maxsize=100_000)(rollup_sort)


class Latest(msgspec.Struct, frozen=True, order=True, gc=False):
    """The reading that counts as newest is the greatest: `sequence` breaks ties of `at`, and `event_id` the others."""

    at: int
    sequence: int
    event_id: str
    value: float
    readings: int = 1
    """How many there were at that time."""

    def or_newer(self, reading: "Latest") -> "Latest":
        if self.at != reading.at:
            return max(self, reading)
        newest = max(self, reading)
        return Latest(newest.at, newest.sequence, newest.event_id, newest.value, self.readings + 1)

    def row(self, partition: str, sort: str, retention: Retention) -> ViewUpdate:
        version = self.at * VERSIONS_A_TIME + min(self.readings, VERSIONS_A_TIME - 1)
        data = {"value": self.value, "at": self.at}
        return ViewUpdate(LATEST, partition, sort, version, data, _expires_at(retention.get(LATEST), self.at))


class Rollup(msgspec.Struct, frozen=True, gc=False):
    """One metric of one device in one window."""

    window_end: int
    count: int
    sum: float
    min: float
    max: float
    sum_sq: float
    first_at: int
    last_at: int

    def with_reading(self, value: float, at: int) -> "Rollup":
        return Rollup(
            self.window_end,
            self.count + 1,
            self.sum + value,
            value if value < self.min else self.min,
            value if value > self.max else self.max,
            self.sum_sq + value * value,
            at if at < self.first_at else self.first_at,
            at if at > self.last_at else self.last_at,
        )

    def row(self, partition: str, sort: str, retention: Retention) -> ViewUpdate:
        data = msgspec.structs.asdict(self)
        expires_at = _expires_at(retention.get(ROLLUPS), data.pop("window_end"))
        return ViewUpdate(ROLLUPS, partition, sort, self.count, data, expires_at)


def first_reading(window_end: int, value: float, at: int) -> Rollup:
    return Rollup(window_end, 1, value, value, value, value * value, at, at)


def _expires_at(seconds: int | None, time_ms: int) -> int | None:
    return None if seconds is None else time_ms // 1000 + seconds


class Rows(Mapping[Key, ViewUpdate]):
    """Rows by key, each made when it is asked for: a long log has millions, too many to hold as finished rows."""

    def __init__(self, folds: Mapping[str, Mapping[str, Latest | Rollup]], retention: Retention) -> None:
        self._folds = folds
        self._retention = retention

    def __getitem__(self, key: Key) -> ViewUpdate:
        partition, sort = key
        return self._folds[partition][sort].row(partition, sort, self._retention)

    def __iter__(self) -> Iterator[Key]:
        return ((partition, sort) for partition, folds in self._folds.items() for sort in folds)

    def __len__(self) -> int:
        return sum(map(len, self._folds.values()))


class RejectedRecord(msgspec.Struct, frozen=True):
    """A record that belongs in the dead letters, and why."""

    reason: Reason
    shard: str
    sequence_number: str
    sub_sequence_number: int | None = None

    @property
    def position(self) -> str:
        return position(self.sequence_number, self.sub_sequence_number)


class Reckoning(msgspec.Struct, frozen=True):
    """What a log comes to. `sent == accepted + duplicates + corrections + sum(rejected.values())`."""

    rows: Mapping[Key, ViewUpdate]
    sent: int
    accepted: int
    duplicates: int
    rejected: Mapping[Reason, int]
    dead_letters: tuple[RejectedRecord, ...]
    corrections: int = 0
    devices: frozenset[str] = frozenset()
    """The ids of those that have sent an event that was accepted."""
    other_keys: int = 0
    """Valid events whose partition key is not their device_id: their order among shards is not in the log."""
    other_keyed: str | None = None
    """The device of the first of them."""

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


class _Device:
    def __init__(self) -> None:
        self.clock: int | None = None
        self.seen: set[str] = set()
        self.latest: dict[str, Latest] = {}
        self.rollups: dict[str, Rollup] = {}
        self.reported: dict[str, int] = {}
        """When each metric was reported, at the latest."""

    def names_with(self, event: DeviceEvent, kept_ms: int) -> int:
        """How many metrics are known once `event` is folded, of those that no later reading has left behind."""
        clock = event.event_time if self.clock is None else max(self.clock, event.event_time)
        return len(event.metrics.keys() | {name for name, at in self.reported.items() if at >= clock - kept_ms})

    def is_late(self, event: DeviceEvent, lateness_ms: int) -> bool:
        return self.clock is not None and event.event_time < self.clock - lateness_ms

    @property
    def folds(self) -> dict[str, Latest | Rollup]:
        """What the device's rows are made of, by their sort keys."""
        return {**self.latest, **self.rollups}


class Oracle:
    """Folds records one by one; `reckoning` may be taken at any point and does not disturb what follows.

    Records of one device come in the order in which they lie in the log; devices may interleave in any way, and so may
    the records within the cut. Those are never late, and are folded as `corrections` say.

    `sizes` gives the rollup windows in milliseconds by their label ("1m": 60_000). Rows are those of `views`.
    """

    def __init__(
        self,
        sizes: Mapping[str, int],
        lateness_ms: int,
        retention: Retention,
        cut: Positions = MappingProxyType({}),
        corrections: Corrections = MappingProxyType({}),
        views: Collection[str] = VIEWS,
    ) -> None:
        self._sizes = sizes if ROLLUPS in views else {}
        self._folds_latest = LATEST in views
        self._lateness_ms = lateness_ms
        self._names_kept_ms = max(lateness_ms, *sizes.values(), 0)
        self._retention = retention
        self._cut = cut
        self._corrections = corrections
        self._devices: dict[str, _Device] = {}
        self._accepted = 0
        self._duplicates = 0
        self._corrections_seen = 0
        self._other_keys = 0
        self._other_keyed: str | None = None
        self._dead_letters: list[RejectedRecord] = []

    def add(self, record: LogRecord) -> None:
        try:
            event = decode(record.data, record.arrival)
        except RejectedEvent as rejected:
            self._reject(record, rejected.reason)
            return
        if record.partition_key != event.device_id:
            self._other_keys += 1
            self._other_keyed = self._other_keyed or event.device_id
        if event.corrects is not None:
            self._corrections_seen += 1
        elif record.is_within(self._cut):
            self._fold_once(record, self._corrected(event))
        elif (device := self._devices.get(event.device_id)) and device.is_late(event, self._lateness_ms):
            self._reject(record, Reason.TOO_LATE)
        else:
            self._fold_once(record, event)

    def reckoning(self) -> Reckoning:
        folds = {device_partition(device_id): device.folds for device_id, device in self._devices.items()}
        return Reckoning(
            rows=Rows(folds, self._retention),
            sent=self._accepted + self._duplicates + self._corrections_seen + len(self._dead_letters),
            accepted=self._accepted,
            duplicates=self._duplicates,
            rejected=dict(Counter(letter.reason for letter in self._dead_letters)),
            dead_letters=tuple(self._dead_letters),
            corrections=self._corrections_seen,
            devices=frozenset(self._devices),
            other_keys=self._other_keys,
            other_keyed=self._other_keyed,
        )

    def rows_of(self, device_id: str) -> list[ViewUpdate]:
        """The rows of one device at this point, none if it has not been heard of."""
        device = self._devices.get(device_id, _Device())
        return list(Rows({device_partition(device_id): device.folds}, self._retention).values())

    def _reject(self, record: LogRecord, reason: Reason) -> None:
        self._dead_letters.append(
            RejectedRecord(reason, record.shard, record.sequence_number, record.sub_sequence_number)
        )

    def _corrected(self, event: DeviceEvent) -> DeviceEvent:
        said = self._corrections.get((event.device_id, event.event_id))
        if said is None:
            return event
        return msgspec.structs.replace(event, event_time=said.event_time, sequence=said.sequence, metrics=said.metrics)

    def _fold_once(self, record: LogRecord, event: DeviceEvent) -> None:
        device = self._devices.get(event.device_id)
        if device is None:
            device = self._devices[event.device_id] = _Device()
        if event.event_id in device.seen:
            self._duplicates += 1
            return
        if (
            len(device.reported) + len(event.metrics) > LIMITS.metrics_of_a_device
            and device.names_with(event, self._names_kept_ms) > LIMITS.metrics_of_a_device
        ):
            self._reject(record, Reason.TOO_MANY_NAMES)
            return
        self._accepted += 1
        device.seen.add(event.event_id)
        at = event.event_time
        device.clock = at if device.clock is None else max(device.clock, at)
        self._fold(device, event)

    def _fold(self, device: _Device, event: DeviceEvent) -> None:
        at = event.event_time
        for metric, value in event.metrics.items():
            device.reported[metric] = max(at, device.reported.get(metric, at))
            if self._folds_latest:
                reading, sort = Latest(at, event.sequence, event.event_id, value), _shared_latest_sort(metric)
                held = device.latest.get(sort)
                device.latest[sort] = reading if held is None else held.or_newer(reading)
            for size, size_ms in self._sizes.items():
                start = at - at % size_ms
                sort = _shared_rollup_sort(size, metric, start)
                rollup = device.rollups.get(sort)
                if rollup is None:
                    device.rollups[sort] = first_reading(start + size_ms, value, at)
                else:
                    device.rollups[sort] = rollup.with_reading(value, at)


def fold(
    records: Iterable[LogRecord],
    sizes: Mapping[str, int],
    lateness_ms: int,
    retention: Retention,
    cut: Positions = MappingProxyType({}),
    corrections: Corrections | None = None,
) -> Reckoning:
    """The views over a whole log: see `Oracle`.

    With a cut and without `corrections`, they are those of `records`, which are then all held in memory.
    """
    if corrections is None:
        records = list(records) if cut else records
        corrections = corrections_in(records, cut) if cut else {}
    oracle = Oracle(sizes, lateness_ms, retention, cut, corrections)
    for record in records:
        oracle.add(record)
    return oracle.reckoning()


def corrections_in(records: Iterable[LogRecord], cut: Positions) -> dict[tuple[str, str], DeviceEvent]:
    """The corrections that count where `records` are folded with `cut`: of those within it the greatest of each event.

    `records` may be read anew for this, and any that lie outside the cut may be left out.
    """
    found: dict[tuple[str, str], DeviceEvent] = {}
    for record in records:
        if record.is_within(cut) and (said := _correction(record)) and said.corrects is not None:
            key = said.device_id, said.corrects
            found[key] = max(found.get(key, said), said, key=_rank)
    return found


def _correction(record: LogRecord) -> DeviceEvent | None:
    try:
        return decode(record.data, record.arrival)
    except RejectedEvent:
        return None


def _rank(said: DeviceEvent) -> tuple[int, int, str, list[tuple[str, float]]]:
    return said.sequence, said.event_time, said.event_id, sorted(said.metrics.items())


def read_rows(reader: ViewReader, partitions: Iterable[str]) -> dict[Key, ViewRow]:
    """All rows that a store holds in `partitions`, but for those of folds in Python, which are not reckoned here."""
    return {
        (partition, row.sort): row
        for partition in partitions
        for row in reader.range(partition)
        if not is_of_a_python_fold(row)
    }


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
        elif not _agree(wanted, found, _rounding(field, expected)):
            yield f"data.{field} is {found}, expected {wanted}"


def _agree(wanted: Value, found: Value, tolerance: float) -> bool:
    if isinstance(wanted, str | bool) or isinstance(found, str | bool):
        return wanted == found
    return math.isclose(wanted, found, rel_tol=RELATIVE_TOLERANCE, abs_tol=tolerance)


def _rounding(field: str, row: ViewUpdate) -> float:
    if field != "sum" or row.view != ROLLUPS:
        return SMALLEST_MAGNITUDE
    data = cast(Numbers, row.data)
    return RELATIVE_TOLERANCE * math.sqrt(data["count"] * data["sum_sq"]) + SMALLEST_MAGNITUDE
