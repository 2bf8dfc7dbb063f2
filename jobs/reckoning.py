"""The reckoning: does the log add up, and does every row of both stores say what plain Python says it must?"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext
from itertools import groupby, islice
from operator import itemgetter
from typing import Any, NamedTuple, cast

from connectors import aws
from connectors.archive_holes import Hole
from connectors.dead_letters import DeadLetter, read_dead_letters
from connectors.event_log import read_stream
from jobs.log import Log, Selection, check_takeover, event_in, selection
from jobs.settings import Settings
from jobs.stores import STORES, StoreName, open_generations, open_reader, partitions
from schemas.generations import FoldSettings, Generations
from schemas.log_records import LogRecord, Positions
from schemas.view_rows import ViewRow, ViewUpdate, device_partition, is_of_a_python_fold, latest_sort, rollup_sort
from schemas.view_stores import ViewReader
from views import oracle
from views.oracle import Difference, Key
from views.present import counted

SETTLE_S = 10.0
"""So long after a record arrived, at the latest, are its rows in the stores of a job that keeps up."""
_PATIENCE_S = 5.0
_PAUSE_S = 0.3
NO_SUCH_DEVICE = "rows of a device of which the log has no event"
_PARTITIONS_AT_ONCE = 64
_READS_AT_ONCE = 4

Counting = Callable[[str, int | None], AbstractContextManager[Callable[[int], None]]]
"""Shows how far something has got, of a total if it is known; as `views.present.counting`."""


class ViewsInUse(NamedTuple):
    """One generation of the views."""

    generation: int
    cut: Positions
    fold: FoldSettings | None = None
    """What it folds, None for what the properties say."""


class StoreCheck(NamedTuple):
    store: StoreName
    rows: int
    """Rows compared, those that either side lacks included."""
    differences: Sequence[Difference]
    in_flight: Sequence[Key] = ()
    """Rows that records moved just now and that the store has yet to catch up with: not compared."""


class Account(NamedTuple):
    """The log and what became of it."""

    expected: oracle.Reckoning
    log_problems: Sequence[str]
    dead_letters: Counter[str]
    dead_letter_problems: Sequence[str]
    stores: Sequence[StoreCheck]

    @property
    def dead(self) -> int:
        return self.dead_letters.total()

    @property
    def balanced(self) -> bool:
        expected = self.expected
        return expected.sent == expected.accepted + expected.duplicates + expected.corrections + self.dead

    @property
    def right(self) -> bool:
        differences = any(check.differences for check in self.stores)
        return self.balanced and not (self.log_problems or self.dead_letter_problems or differences)


class Verification(NamedTuple):
    """What became of the records that were looked at, and where the stores disagree with them."""

    expected: oracle.Reckoning
    records: int
    """Records that were folded: all of the log, or those of the devices that were picked."""
    stores: Sequence[StoreCheck]
    has_archive: bool
    positions: Positions
    """How far the log was read."""
    holes: Sequence[Hole] = ()
    """What the archive lacks of it."""
    dropped: Sequence[str] = ()
    """What may lack between the archive and the stream, a sentence for each shard."""

    @property
    def balanced(self) -> bool:
        """Whether each record was folded, or is accounted for."""
        expected = self.expected
        rejected = sum(expected.rejected.values())
        return self.records == expected.accepted + expected.duplicates + expected.corrections + rejected

    @property
    def right(self) -> bool:
        return self.balanced and not any(check.differences for check in self.stores)


def views_of(generations: Generations, number: int) -> ViewsInUse:
    return ViewsInUse(number, generations.cuts.get(number, {}), generations.folds.get(number))


def current_views(settings: Settings) -> ViewsInUse:
    """Those that readers see now."""
    with closing(open_generations(settings)) as store:
        generations = store.load()
    return views_of(generations, generations.current)


def _open_oracle(settings: Settings, views: ViewsInUse, log: Callable[[], Iterable[LogRecord]]) -> oracle.Oracle:
    """The oracle of one generation; its corrections are found in `log`, which is read for them alone."""
    corrections = oracle.corrections_in(log(), views.cut) if views.cut else {}
    job, retention = settings.folding(views.fold).job, settings.views.retention
    return oracle.Oracle(job.rollup_sizes, job.rollup_lateness, retention, views.cut, corrections, job.views)


def reckon(settings: Settings, produced: Iterable[bytes] | None = None) -> Account:
    """Fold the whole stream in plain Python and compare dead letters and both stores with it.

    `produced`, where given, is every record that was sent: the stream must hold exactly those.
    """
    views = current_views(settings)
    with closing(aws.client("kinesis", settings.source.region, settings.source.endpoint)) as kinesis:
        log = list(read_stream(kinesis, settings.source.name))
        folded = _open_oracle(settings, views, lambda: log)
        for record in log:
            folded.add(record)
        expected = folded.reckoning()
        letters = _await_dead_letters(kinesis, settings.dead_letter.name, len(expected.dead_letters))
    return Account(
        expected,
        [] if produced is None else _log_problems(produced, log),
        Counter(letter.reason for letter in letters),
        _dead_letter_problems(expected, letters, log),
        [_check(settings, store, views, expected) for store in STORES],
    )


def _await_dead_letters(kinesis: Any, stream: str, expected: int) -> list[DeadLetter]:
    """Letters reach their stream a moment after the checkpoint that covers them."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        letters = list(read_dead_letters(kinesis, stream))
        if len(letters) >= expected or time.monotonic() > deadline:
            return letters
        time.sleep(0.2)


def _log_problems(produced: Iterable[bytes], log: Sequence[LogRecord]) -> list[str]:
    sent, kept = Counter(produced), Counter(record.data for record in log)
    return [
        f"{(some - others).total()} records {what}"
        for some, others, what in (
            (sent, kept, "sent and not in the stream"),
            (kept, sent, "in the stream and not sent"),
        )
        if some - others
    ]


def _dead_letter_problems(
    expected: oracle.Reckoning, letters: Sequence[DeadLetter], log: Sequence[LogRecord]
) -> list[str]:
    payloads = {f"{record.shard}:{record.position}": record.data for record in log}
    wanted = {f"{one.shard}:{one.position}": str(one.reason) for one in expected.dead_letters}
    found = {letter.identity: letter for letter in letters}
    problems = [f"{key}: no dead letter, expected {wanted[key]}" for key in wanted.keys() - found.keys()]
    for key, letter in found.items():
        if letter.reason != wanted.get(key):
            problems.append(f"{key}: dead letter {letter.reason}, expected {wanted.get(key, 'none')}")
        if letter.payload != payloads.get(key):
            problems.append(f"{key}: the dead letter's bytes are not the record's")
    return problems


def _check(settings: Settings, store: StoreName, views: ViewsInUse, expected: oracle.Reckoning) -> StoreCheck:
    with closing(open_reader(settings, store, views.generation)) as reader:
        looked = _Look.at(reader, expected.rows)
    return StoreCheck(store, looked.rows, _differences(_some(expected.rows, looked.unlike), looked.unlike))


def _quiet(what: str, total: int | None) -> AbstractContextManager[Callable[[int], None]]:
    return nullcontext(lambda done: None)


def verify(
    settings: Settings,
    views: ViewsInUse | None = None,
    *,
    device: str | None = None,
    sample: float | None = None,
    settle_s: float = SETTLE_S,
    counting: Counting = _quiet,
    until: Positions | None = None,
    settled: Positions | None = None,
) -> Verification:
    """Fold the log, the archive and what the stream has behind it, and compare both stores with it row by row.

    With `device` or `sample`, a share from 0 to 1, only valid events of that device or of that share of the devices
    are folded. With `until`, the archive up to there is all the log.

    Rows may move meanwhile: after the stores were read the log is read on, so that no store can be ahead of it. A
    row that differs because of young records, those beyond `settled` or else those that arrived `settle_s` before the
    start or later, is read again for some seconds, and if the store is still behind, it is in flight.
    """
    views = views or current_views(settings)
    with ExitStack() as opened:
        kinesis = opened.enter_context(closing(aws.client("kinesis", settings.source.region, settings.source.endpoint)))
        log = Log(settings, kinesis)
        gaps = check_takeover(settings, kinesis) if until is None else []
        readers = {
            store: opened.enter_context(closing(open_reader(settings, store, views.generation))) for store in STORES
        }
        is_young = _young(settled, time.time() - settle_s)
        folded = _open_oracle(settings, views, log.reread)
        sizes = settings.folding(views.fold).job.rollup_sizes
        fold = _Fold(folded, sizes, selection(device, sample), is_young)
        with counting("Folding the log", None) as tell:
            fold.add(counted(_log_up_to(log, until), tell))
        fresh = log.fresh if until is None else lambda: iter(())
        named = set() if device is None else {device_partition(device)}
        is_whole = device is None and sample is None
        stores = [
            _Store(
                store,
                reader,
                _Look.at(reader, fold.expected.rows, named, counting, store),
                _of_devices(partitions(settings, store, views.generation)) if is_whole else frozenset(),
            )
            for store, reader in readers.items()
        ]
        _settle(stores, fold, fresh)
        if any(each.unknown(fold) for each in stores):
            fold.add(fresh())
        for each in stores:
            each.judge_devices(fold)
    return Verification(
        fold.expected,
        fold.records,
        [store.check() for store in stores],
        log.archive is not None,
        log.positions,
        log.holes,
        gaps,
    )


def _log_up_to(log: Log, until: Positions | None) -> Iterator[LogRecord]:
    if until is not None:
        yield from (record for record in log.archived() if record.is_within(until))
        return
    yield from log.archived()
    yield from log.fresh()


def _of_devices(names: Iterable[str]) -> frozenset[str]:
    return frozenset(name for name in names if name.startswith(device_partition("")))


def _settle(stores: "Sequence[_Store]", fold: "_Fold", fresh: Callable[[], Iterator[LogRecord]]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while any(store.unlike for store in stores):
        fold.add(fresh())
        for store in stores:
            store.judge(fold)
        if not any(store.unlike for store in stores) or time.monotonic() > deadline:
            return
        time.sleep(_PAUSE_S)
        for store in stores:
            store.look_again()


def _young(settled: Positions | None, since: float) -> Selection:
    """Records beyond `settled`, or else those that arrived at `since` (epoch seconds) or later."""
    if settled is not None:
        return lambda record: not record.is_within(settled)
    return lambda record: record.arrival >= since * 1000


class _Fold:
    """The log as folded so far, and what young records moved."""

    def __init__(
        self, folded: oracle.Oracle, sizes: Mapping[str, int], selected: Selection, is_young: Selection
    ) -> None:
        self._oracle = folded
        self._sizes = sizes
        self._selected = selected
        self._is_young = is_young
        self._moves: Counter[Key] = Counter()
        self._newest: dict[Key, int] = {}
        self._reckoned: oracle.Reckoning | None = None
        self.records = 0

    def add(self, records: Iterable[LogRecord]) -> None:
        for record in records:
            if not self._selected(record):
                continue
            self._reckoned = None
            self.records += 1
            self._oracle.add(record)
            if self._is_young(record):
                self._note(record)

    @property
    def expected(self) -> oracle.Reckoning:
        if self._reckoned is None:
            self._reckoned = self._oracle.reckoning()
        return self._reckoned

    def _note(self, record: LogRecord) -> None:
        if (event := event_in(record)) is None:
            return
        partition, at = device_partition(event.device_id), event.event_time
        for metric in event.metrics:
            latest = (partition, latest_sort(metric))
            self._newest[latest] = max(at, self._newest.get(latest, at))
            for size, size_ms in self._sizes.items():
                self._moves[partition, rollup_sort(size, metric, at - at % size_ms)] += 1

    def may_be_behind(self, key: Key, row: ViewRow | None) -> bool:
        """Whether a store that has `row`, or none, need only wait for young records to be as expected.

        A rollup's version counts its events: the young ones are all that may be missing. A latest value whose time
        no young record has must be there.
        """
        expected = self.expected.rows.get(key)
        version = row.version if row else 0
        if expected is None:
            return False
        if key in self._newest:
            return self._newest[key] >= cast(int, expected.data["at"]) and expected.version >= version
        return expected.version - self._moves[key] <= version < expected.version


class _Look(NamedTuple):
    """What a store had that was not as expected."""

    rows: int
    unlike: dict[Key, ViewRow | None]

    @classmethod
    def at(
        cls,
        reader: ViewReader,
        expected: Mapping[Key, ViewUpdate],
        named: Set[str] = frozenset(),
        counting: Counting = _quiet,
        store: str = "",
    ) -> "_Look":
        """Compare every row of the partitions that `expected` has, and of those `named`; keep what disagrees."""
        unlike: dict[Key, ViewRow | None] = {}
        compared = 0
        with (
            counting(f"Comparing {store}", len(expected)) as tell,
            ThreadPoolExecutor(_READS_AT_ONCE, "verify") as pool,
        ):
            partitions = _partitions(expected, named)
            while some := list(islice(partitions, _PARTITIONS_AT_ONCE)):
                for (name, keys), rows in zip(some, pool.map(lambda one: reader.range(one[0]), some), strict=True):
                    actual = {(name, row.sort): row for row in rows if not is_of_a_python_fold(row)}
                    wrong = set(map(_key, _differences(_some(expected, keys), actual)))
                    unlike |= {key: actual.get(key) for key in wrong}
                    compared += len(actual.keys() | keys)
                tell(compared)
        return cls(compared, unlike)


def _partitions(expected: Mapping[Key, ViewUpdate], named: Set[str]) -> Iterator[tuple[str, list[Key]]]:
    """Each partition with its expected keys. The oracle has the rows of a partition together, so none is sorted."""
    without_rows = set(named)
    for partition, keys in groupby(expected, itemgetter(0)):
        without_rows.discard(partition)
        yield partition, list(keys)
    yield from ((partition, []) for partition in sorted(without_rows))


class _Store:
    """One store's rows that were unlike those expected, until each is found right, wrong or in flight."""

    def __init__(self, name: StoreName, reader: ViewReader, looked: _Look, partitions: frozenset[str]) -> None:
        self._name = name
        self._partitions = partitions
        self._reader = reader
        self._rows = looked.rows
        self._differences: list[Difference] = []
        self.unlike = looked.unlike

    def judge(self, fold: _Fold) -> None:
        """Leave only the rows that may yet become right."""
        found = _differences(_some(fold.expected.rows, self.unlike), self.unlike)
        waiting = {key for key in map(_key, found) if fold.may_be_behind(key, self.unlike[key])}
        self._differences += [one for one in found if _key(one) not in waiting]
        self.unlike = {key: self.unlike[key] for key in waiting}

    def judge_devices(self, fold: _Fold) -> None:
        """Find the rows of devices that the log does not have, whoever wrote them; it was read on since."""
        self._differences += [Difference(name, "", NO_SUCH_DEVICE) for name in self.unknown(fold)]

    def unknown(self, fold: _Fold) -> frozenset[str]:
        return self._partitions - {device_partition(device) for device in fold.expected.devices}

    def look_again(self) -> None:
        self.unlike = {key: self._reader.get(*key) for key in self.unlike}

    def check(self) -> StoreCheck:
        ordered = sorted(self._differences, key=_key)
        return StoreCheck(self._name, self._rows, ordered, sorted(self.unlike))


def _differences(expected: Mapping[Key, ViewUpdate], actual: Mapping[Key, ViewRow | None]) -> list[Difference]:
    """What is wrong with `actual`, None standing for no row; that a row has expired meanwhile is nothing wrong."""
    now = int(time.time())
    there = {key: row for key, row in actual.items() if row and (row.expires_at is None or row.expires_at > now)}
    return oracle.compare(oracle.unexpired(expected, now), there)


def _some(rows: Mapping[Key, ViewUpdate], keys: Iterable[Key]) -> dict[Key, ViewUpdate]:
    return {key: row for key in keys if (row := rows.get(key)) is not None}


def _key(difference: Difference) -> Key:
    return difference.partition, difference.sort
