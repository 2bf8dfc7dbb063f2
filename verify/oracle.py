"""Expected content of the views: the log folded in plain Python. The job is right when its rows agree with it.

It keeps every event id and what every row is made of in memory, and means to be obvious before it is fast.
"""

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import cast

import msgspec

from telefold.schemas.codec import decode
from telefold.schemas.errors import Reason, RejectedEvent
from telefold.schemas.events import DeviceEvent
from telefold.schemas.limits import LIMITS
from telefold.schemas.log_records import LogRecord, Positions, position
from telefold.schemas.view_rows import (
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
from telefold.schemas.view_stores import ViewReader
from telefold.verify.comparing import (
    MISSING,
    RELATIVE_TOLERANCE,
    SMALLEST_MAGNITUDE,
    TOO_NEW,
    UNEXPECTED,
    fields_unlike,
)
from telefold.views.windows import Windows

_EPSILON = 2**-50  # a few times that of a double
# A latest value's version counts the readings of its metric at its time, below this, and grows with the time.
VERSIONS_A_TIME = 2**20

Key = tuple[str, str]
"""Partition and sort key of a row."""

Corrections = Mapping[tuple[str, str], DeviceEvent]
"""The event that says what an event should have said, by device_id and the event_id of the event to correct."""


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
    """How many readings there were at that time."""

    def or_newer(self, reading: "Latest") -> "Latest":
        if self.at != reading.at:
            return self if self.at > reading.at else reading
        newest = max(self, reading)
        return Latest(newest.at, newest.sequence, newest.event_id, newest.value, self.readings + 1)

    def row(self, partition: str, sort: str, retention: Retention) -> ViewUpdate:
        version = self.at * VERSIONS_A_TIME + min(self.readings, VERSIONS_A_TIME - 1)
        data = {"value": self.value, "at": self.at}
        return ViewUpdate(LATEST, partition, sort, version, data, _expires_at(retention.get(LATEST), self.at))


Reading = tuple[int, int, str, float]
"""event_time, sequence, event_id and value, as which readings of a metric are ordered."""


class Rollup(msgspec.Struct, frozen=True, gc=False):
    """The rollup of one metric of one device in one window."""

    window_end: int
    """The end of the window if it is as long as it can be."""
    count: int
    sum: float
    min: float
    max: float
    mean: float
    m2: float
    """The sum of squared deviations from the mean, by Welford's method."""
    first: Reading
    last: Reading
    increase: float

    def with_reading(self, reading: Reading, rise: float = 0.0) -> "Rollup":
        value, count = reading[3], self.count + 1
        mean = self.mean + (value - self.mean) / count
        return Rollup(
            self.window_end,
            count,
            self.sum + value,
            value if value < self.min else self.min,
            value if value > self.max else self.max,
            mean,
            self.m2 + (value - self.mean) * (value - mean),
            reading if reading < self.first else self.first,
            reading if reading > self.last else self.last,
            self.increase + rise,
        )

    def row(self, partition: str, sort: str, retention: Retention) -> ViewUpdate:
        data: dict[str, Value] = {
            "count": self.count,
            "sum": self.sum,
            "min": self.min,
            "max": self.max,
            "m2": self.m2,
            "first_at": self.first[0],
            "first": self.first[3],
            "last_at": self.last[0],
            "last": self.last[3],
            "increase": self.increase,
        }
        return ViewUpdate(
            ROLLUPS, partition, sort, self.count, data, _expires_at(retention.get(ROLLUPS), self.window_end)
        )


def first_reading(window_end: int, reading: Reading, rise: float = 0.0) -> Rollup:
    value = reading[3]
    return Rollup(window_end, 1, value, value, value, value, 0.0, reading, reading, rise)


def rise(before: Reading | None, reading: Reading) -> float:
    """The rise of a counter since its newest reading so far; one that has fallen was reset, and began at 0."""
    if before is None or reading < before:
        return 0.0
    return reading[3] - before[3] if reading[3] >= before[3] else reading[3]


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
    """The result of folding a log. `sent == accepted + duplicates + corrections + sum(rejected.values())`."""

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
    """The device of the first of those events."""

    @property
    def partitions(self) -> list[str]:
        return sorted({partition for partition, _ in self.rows})


class Difference(msgspec.Struct, frozen=True):
    """A difference between a store and the oracle."""

    partition: str
    sort: str
    problem: str

    def __str__(self) -> str:
        return f"{self.partition} {self.sort}: {self.problem}"


class _Device:
    def __init__(self) -> None:
        self.clock: int | None = None
        self.heard: int | None = None
        """The greatest arrival of its events so far."""
        self.closed_before: int | None = None
        """The time before which windows are closed to it, since it was silent; None if none are."""
        self.seen: set[str] = set()
        self.latest: dict[str, Latest] = {}
        self.rollups: dict[str, Rollup] = {}
        self.reported: dict[str, int] = {}
        """The latest time at which each metric was reported."""
        self.written: dict[str, Latest | Rollup] = {}
        """The folds that the stores hold of before it was silent."""
        self.newest: dict[str, Reading] = {}
        """The newest readings, from which counters go on."""

    def silence_until(self, arrival: int) -> int:
        """The milliseconds for which nothing of it arrived before its event of `arrival`."""
        return 0 if self.heard is None else arrival - self.heard

    def hear(self, arrival: int) -> None:
        self.heard = arrival if self.heard is None else max(self.heard, arrival)

    def forget_windows(self) -> None:
        """Forget windows that are closed to it, and the ids of their events."""
        self.written = self.folds
        self.seen, self.rollups = set(), {}

    def forget(self) -> None:
        self.forget_windows()
        self.latest, self.reported, self.newest = {}, {}, {}
        self.clock = self.closed_before = self.heard = None

    def begin_anew(self, at: int) -> None:
        """Begin as if it had not been before its event of `at`, but with its ids and windows: these last in the cut."""
        self.written = self.folds
        self.latest, self.reported, self.newest = {}, {}, {}
        self.clock, self.closed_before = at, None

    def rise(self, metric: str, reading: Reading) -> float:
        before = self.newest.get(metric)
        if before is None or reading > before:
            self.newest[metric] = reading
        return rise(before, reading)

    def forget_old_counters(self, kept_ms: int) -> None:
        """Forget counters of names that are not known any more, once all exceed what may be known by a quarter."""
        most = LIMITS.metrics_of_a_device
        if self.clock is not None and len(self.newest) > most + most // 4:
            oldest = self.clock - kept_ms
            self.newest = {name: reading for name, reading in self.newest.items() if reading[0] >= oldest}

    def names_with(self, event: DeviceEvent, kept_ms: int) -> int:
        """How many metrics are known once `event` is folded, of those that no later reading has left behind."""
        clock = event.event_time if self.clock is None else max(self.clock, event.event_time)
        return len(event.metrics.keys() | {name for name, at in self.reported.items() if at >= clock - kept_ms})

    def is_late(self, event: DeviceEvent, lateness_ms: int) -> bool:
        if self.closed_before is not None and event.event_time < self.closed_before:
            return True
        return self.clock is not None and event.event_time < self.clock - lateness_ms

    @property
    def folds(self) -> dict[str, Latest | Rollup]:
        """The folds that the device's rows are made of, by sort key. No store takes an older row over a newer one."""
        folds: dict[str, Latest | Rollup] = {**self.latest, **self.rollups}
        for sort, held in self.written.items():
            if sort not in folds or _version(held) > _version(folds[sort]):
                folds[sort] = held
        return folds


def _version(fold: Latest | Rollup) -> int:
    return fold.row("", "", {}).version


class Oracle:
    """Folds records one by one; `reckoning` may be taken at any point and does not disturb what follows.

    Records of one device come in the order in which they lie in the log; devices may interleave in any way, and so may
    the records within the cut. Those are never late, and are folded as `corrections` say.

    `sizes` gives by the label of each window size the milliseconds of the longest window ("1m": 60_000). Rows are those
    of `views`.

    A device is silent from the greatest arrival of its events, those that were accepted or sent twice, to that of its
    next one. After more than `state_retention_ms` the windows that it had are closed to it; after more than
    `device_retention_ms` it is as if it had never been; within the cut, its ids and windows last all the same. None is
    for ever.

    Each event that is folded is given to `on_accepted`, with its arrival, as it is folded: corrected, if it is. Of one
    that was sent before, the device is given to `on_duplicate`, with the arrival.
    """

    def __init__(
        self,
        sizes: Mapping[str, int],
        lateness_ms: int,
        retention: Retention,
        cut: Positions = MappingProxyType({}),
        corrections: Corrections = MappingProxyType({}),
        views: Collection[str] = VIEWS,
        state_retention_ms: int | None = None,
        device_retention_ms: int | None = None,
        on_accepted: Callable[[DeviceEvent, int], None] = lambda event, arrival: None,
        on_duplicate: Callable[[str, int], None] = lambda device_id, arrival: None,
    ) -> None:
        self._on_accepted, self._on_duplicate = on_accepted, on_duplicate
        self._windows = {size: Windows(size, ms) for size, ms in sizes.items() if ROLLUPS in views}
        self._folds_latest = LATEST in views
        self._lateness_ms = lateness_ms
        self._names_kept_ms = max(lateness_ms, *sizes.values(), 0)
        self._state_retention_ms = math.inf if state_retention_ms is None else state_retention_ms
        self._device_retention_ms = math.inf if device_retention_ms is None else device_retention_ms
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
            self._fold_forgiven(record, self._corrected(event))
        elif (device := self._after_silence(event, record.arrival)) and device.is_late(event, self._lateness_ms):
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

    def _fold_forgiven(self, record: LogRecord, event: DeviceEvent) -> None:
        device = self._devices.get(event.device_id)
        if device is not None and device.silence_until(record.arrival) > self._device_retention_ms:
            device.begin_anew(event.event_time)
        self._fold_once(record, event)

    def _after_silence(self, event: DeviceEvent, arrival: int) -> _Device | None:
        """The event's device as the silence before the event has left it."""
        device = self._devices.get(event.device_id)
        if device is None or (silence := device.silence_until(arrival)) <= self._state_retention_ms:
            return device
        if silence > self._device_retention_ms:
            device.forget()
        elif device.clock is not None and (device.closed_before is None or device.closed_before <= device.clock):
            device.forget_windows()
            device.closed_before = self._next_windows(device.clock)
        return device

    def _next_windows(self, clock: int) -> int:
        """The time from which on windows begin that hold nothing of what a device with this clock has sent."""
        return max((windows.bounds(clock)[1] for windows in self._windows.values()), default=clock + 1)

    def _fold_once(self, record: LogRecord, event: DeviceEvent) -> None:
        device = self._devices.get(event.device_id)
        if device is None:
            device = self._devices[event.device_id] = _Device()
        if event.event_id in device.seen:
            self._duplicates += 1
            self._on_duplicate(event.device_id, record.arrival)
            device.hear(record.arrival)
            return
        if (
            len(device.reported) + len(event.metrics) > LIMITS.metrics_of_a_device
            and device.names_with(event, self._names_kept_ms) > LIMITS.metrics_of_a_device
        ):
            self._reject(record, Reason.TOO_MANY_NAMES)
            return
        self._accepted += 1
        self._on_accepted(event, record.arrival)
        device.hear(record.arrival)
        device.seen.add(event.event_id)
        at = event.event_time
        device.clock = at if device.clock is None else max(device.clock, at)
        self._fold(device, event)

    def _fold(self, device: _Device, event: DeviceEvent) -> None:
        at = event.event_time
        starts = [(size, windows.start(at), windows.longest_ms) for size, windows in self._windows.items()]
        for metric, value in event.metrics.items():
            device.reported[metric] = max(at, device.reported.get(metric, at))
            if self._folds_latest:
                reading, sort = Latest(at, event.sequence, event.event_id, value), _shared_latest_sort(metric)
                held = device.latest.get(sort)
                device.latest[sort] = reading if held is None else held.or_newer(reading)
            counted = (at, event.sequence, event.event_id, value)
            rose = device.rise(metric, counted)
            for size, start, longest_ms in starts:
                sort = _shared_rollup_sort(size, metric, start)
                rollup = device.rollups.get(sort)
                if rollup is None:
                    device.rollups[sort] = first_reading(start + longest_ms, counted, rose)
                else:
                    device.rollups[sort] = rollup.with_reading(counted, rose)
        device.forget_old_counters(self._names_kept_ms)


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
    """The rows that a store holds in `partitions`, but for those of folds in Python, which are not computed here."""
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
    """List the ways in which `actual` differs from `expected`, ordered by key; empty when they agree.

    Floats agree within 1e-9 of their size; sums within 1e-9 of what their terms can add up to without
    their signs, since that is what bounds their rounding; deviations and increases of many large readings within what
    rounding leaves of those.
    """
    return [
        Difference(*key, problem)
        for key in sorted(expected.keys() | actual.keys())
        for problem in _problems(expected.get(key), actual.get(key))
    ]


def _problems(expected: ViewUpdate | None, actual: ViewRow | None) -> Iterator[str]:
    if expected is None or actual is None:
        yield MISSING if actual is None else UNEXPECTED
        return
    if actual.version > expected.version:
        yield f"version is {actual.version}, {TOO_NEW}: expected {expected.version}"
    elif actual.version < expected.version:
        yield f"version is {actual.version}, expected {expected.version}"
    if actual.expires_at != expected.expires_at:
        yield f"expires_at is {actual.expires_at}, expected {expected.expires_at}"
    yield from fields_unlike(
        expected.data,
        actual.data,
        lambda field, wanted, found: _agree(wanted, found, _rounding(field, expected)),
    )


def _agree(wanted: Value, found: Value, tolerance: float) -> bool:
    if isinstance(wanted, str | bool) or isinstance(found, str | bool):
        return wanted == found
    if isinstance(wanted, int) and isinstance(found, int):
        return wanted == found
    return math.isclose(wanted, found, rel_tol=RELATIVE_TOLERANCE, abs_tol=tolerance)


def _rounding(field: str, row: ViewUpdate) -> float:
    if row.view != ROLLUPS or field not in ("sum", "m2", "increase"):
        return SMALLEST_MAGNITUDE
    data = cast(Numbers, row.data)
    count, largest = data["count"], max(abs(data["min"]), abs(data["max"]))
    if field == "sum":
        return RELATIVE_TOLERANCE * math.sqrt(count * data["m2"] + data["sum"] ** 2) + SMALLEST_MAGNITUDE
    rounding = _EPSILON * (count + 8)
    if field == "increase":
        return rounding * count * largest + SMALLEST_MAGNITUDE
    squares = count * largest**2
    return rounding * math.sqrt(data["m2"] * squares) + rounding**2 * squares + SMALLEST_MAGNITUDE
