"""Verification: does every row of both stores say what plain Python makes of the log?"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from types import MappingProxyType
from typing import NamedTuple

from telefold.connectors import aws
from telefold.connectors.archive_holes import Hole
from telefold.connectors.dynamodb_rows import BOOKKEEPING
from telefold.jobs.settings import Settings
from telefold.jobs.stores import STORES, StoreName, open_reader, partitions
from telefold.schemas.generations import FIRST
from telefold.schemas.hot_rows import ALL
from telefold.schemas.log_records import LogRecord, Positions
from telefold.schemas.view_rows import ViewUpdate, device_partition, is_of_a_device
from telefold.schemas.view_stores import ViewReader
from telefold.verify import oracle
from telefold.verify.event_log import Log, Selection, check_takeover, selection
from telefold.verify.folding import SETTLE_S, Fold, ViewsInUse, current_views, open_oracle, span_of
from telefold.verify.judged import Judged, Span, judges_of, taken_on
from telefold.verify.oracle import Key
from telefold.verify.progress import Counting, counted, quiet
from telefold.verify.store_check import Look, Store, StoreCheck
from telefold.verify.young import Young, young

_PATIENCE_S = 5.0
_PAUSE_S = 0.3


class Verification(NamedTuple):
    """The outcome: what became of the records that were looked at, and where the stores disagree with them."""

    expected: oracle.Reckoning
    records: int
    """Records that were folded: all of the log, or those of the devices that were picked."""
    stores: Sequence[StoreCheck]
    has_archive: bool
    positions: Positions
    """How far the log was read."""
    holes: Sequence[Hole] = ()
    """The records of the log that the archive lacks."""
    dropped: Sequence[str] = ()
    """Sentences, one a shard, on records that may be missing between the archive and the stream."""
    generation: int = FIRST
    wanted: Mapping[Key, ViewUpdate] = MappingProxyType({})
    """The row that must be there, by the key of a difference."""
    unjudged: Sequence[str] = ()
    """Views that the log does not explain, as they go by the machine's clock."""

    @property
    def balanced(self) -> bool:
        """Whether each record was folded, or is accounted for."""
        expected = self.expected
        rejected = sum(expected.rejected.values())
        return self.records == expected.accepted + expected.duplicates + expected.corrections + rejected

    @property
    def has_differences(self) -> bool:
        return any(check.differences for check in self.stores)

    @property
    def right(self) -> bool:
        return self.balanced and not self.has_differences


def verify(
    settings: Settings,
    views: ViewsInUse | None = None,
    *,
    device: str | None = None,
    sample: float | None = None,
    settle_s: float = SETTLE_S,
    counting: Counting = quiet,
    until: Positions | None = None,
    settled: Positions | None = None,
) -> Verification:
    """Fold the log, the archive and what the stream has behind it, and compare both stores with it row by row.

    With `device` or `sample`, a share from 0 to 1, only valid events of that device or of that share of the devices
    are folded. With `until`, the archive up to there is all the log.

    Rows may move meanwhile: after the stores were read the log is read on, so that no store can be ahead of it. A
    row that differs because of young records, those beyond `settled` or else those that arrived `settle_s` before the
    start or later, for DynamoDB `durable.interval` more, is read again for some seconds, and if the store is still
    behind, it is in flight.
    """
    views = views or current_views(settings)
    with ExitStack() as opened:
        kinesis = opened.enter_context(closing(aws.client("kinesis", settings.source.region, settings.source.endpoint)))
        dropped = check_takeover(settings, kinesis) if until is None else []
        readers = {
            store: opened.enter_context(closing(open_reader(settings, store, views.generation))) for store in STORES
        }
        scope = _Scope(device, selection(device, sample), is_whole=device is None and sample is None, until=until)
        now, durable_s = time.time(), settings.job.durable_interval_ms / 1_000
        behind: dict[StoreName, float] = {"redis": settle_s, "dynamodb": settle_s + durable_s}
        are_young = {store: Young(young(settled, now - seconds)) for store, seconds in behind.items()}
        run = _Run(settings, views, scope, Log(settings, kinesis), are_young, settle_s, counting)
        run.fold_log()
        stores = [run.compare(store, reader) for store, reader in readers.items()]
        run.settle(stores)
        run.look_for_unknown_devices(stores)
        return run.verification(stores, dropped)


class _Scope(NamedTuple):
    """The part of the log, and of the stores, that is verified."""

    device: str | None
    selected: Selection
    is_whole: bool
    """Whether it is all of the devices, so that whatever a store has must be explained."""
    until: Positions | None


class _Run:
    """A verification, step by step."""

    def __init__(
        self,
        settings: Settings,
        views: ViewsInUse,
        scope: _Scope,
        log: Log,
        are_young: Mapping[StoreName, Young],
        settle_s: float,
        counting: Counting,
    ) -> None:
        self._settings = settings
        self._views = views
        self._scope = scope
        self._log = log
        self._settle_s = settle_s
        self._counting = counting
        self._done_by = taken_on(settings, time.time()) if scope.until is None else 0.0
        self._judged = Judged(judges_of(settings, views.fold))
        folded = open_oracle(settings, views, log.reread, self._judged)
        sizes = settings.folding(views.fold).job.rollup_sizes
        self._fold = Fold(folded, self._judged, sizes, scope.selected, are_young)

    def fold_log(self) -> None:
        with self._counting("Folding the log", None) as tell:
            self._fold.add(counted(self._records(), tell))

    def compare(self, store: StoreName, reader: ViewReader) -> Store:
        """Compare one store with the log as it is folded so far."""
        named = set() if self._scope.device is None else {device_partition(self._scope.device)}
        there, shared = set[str](), frozenset[str]()
        if self._scope.is_whole:
            there = partitions(self._settings, store, self._views.generation)
            shared = _shared(there, self._judged, self._span())
        hot = self._settings.views.hot if store == "redis" else ALL
        looked = Look.at(
            reader, self._fold.expected, self._judged, self._span, named, shared, self._counting, store, hot
        )
        return Store(store, reader, looked, frozenset(filter(is_of_a_device, there)), hot)

    def settle(self, stores: Sequence[Store]) -> None:
        """Read the log on, and rows again that may yet become right, for as long as `_PATIENCE_S`."""
        deadline = time.monotonic() + _PATIENCE_S
        while any(store.is_waiting for store in stores):
            self._fold.add(self._fresh())
            now = self._span()
            for store in stores:
                store.judge(self._fold, now)
            if not any(store.is_waiting for store in stores) or time.monotonic() > deadline:
                return
            time.sleep(_PAUSE_S)
            for store in stores:
                store.look_again()

    def look_for_unknown_devices(self, stores: Sequence[Store]) -> None:
        if any(each.unknown(self._fold) for each in stores):
            self._fold.add(self._fresh())
        for each in stores:
            each.judge_devices(self._fold)

    def verification(self, stores: Sequence[Store], dropped: Sequence[str]) -> Verification:
        return Verification(
            self._fold.expected,
            self._fold.records,
            [store.check() for store in stores],
            self._log.archive is not None,
            self._log.positions,
            self._log.holes,
            dropped,
            self._views.generation,
            _wanted(stores, self._fold, self._span().latest),
            self._judged.judges.unjudged,
        )

    def _records(self) -> Iterator[LogRecord]:
        until = self._scope.until
        if until is not None:
            return (record for record in self._log.archived() if record.is_within(until))
        return (record for part in (self._log.archived, self._log.fresh) for record in part())

    def _fresh(self) -> Iterator[LogRecord]:
        return self._log.fresh() if self._scope.until is None else iter(())

    def _span(self) -> Span:
        return span_of(self._done_by, time.time(), self._settle_s)


def _wanted(stores: Sequence[Store], fold: Fold, at: int) -> dict[Key, ViewUpdate]:
    """The rows that must be there where those of the stores differ."""
    wanted: dict[Key, ViewUpdate] = {}
    for key in {key for store in stores for key in store.found}:
        if (folded := fold.expected.rows.get(key)) is not None:
            wanted[key] = folded
        elif (judged := fold.judged.rows_in(key[0], at).get(key)) is not None:
            wanted[key] = judged.update
    return wanted


def _shared(there: Iterable[str], judged: Judged, span: Span) -> frozenset[str]:
    """The partitions of rows of many devices, or of groups, and whatever else a store has that is no bookkeeping's."""
    names = {*there, *judged.partitions(span.latest)}
    return frozenset(name for name in names if not is_of_a_device(name) and name.partition("#")[0] != BOOKKEEPING)
