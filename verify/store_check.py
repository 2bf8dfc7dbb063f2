"""Check of one store against the log: each row is found right, wrong, or in flight."""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import groupby, islice
from operator import itemgetter
from types import MappingProxyType
from typing import NamedTuple

from telefold.jobs.stores import StoreName
from telefold.schemas.hot_rows import ALL, Hot
from telefold.schemas.view_rows import ViewRow, ViewUpdate, device_partition, is_of_a_device, is_of_a_python_fold
from telefold.schemas.view_stores import ViewReader
from telefold.verify import oracle
from telefold.verify.folding import Fold
from telefold.verify.judged import Judged, Span, view_of
from telefold.verify.oracle import Difference, Key
from telefold.verify.progress import Counting, quiet

NO_SUCH_DEVICE = "rows of a device of which the log has no event"
_PARTITIONS_AT_ONCE = 64
_READS_AT_ONCE = 4


class StoreCheck(NamedTuple):
    store: StoreName
    rows: int
    """Rows compared, those that either side lacks included."""
    differences: Sequence[Difference]
    in_flight: Sequence[Key] = ()
    """Rows that records or time moved just now and that the store has yet to catch up with: not compared."""
    by_view: Mapping[str, int] = MappingProxyType({})
    """Rows compared, by the view that they are of."""
    found: Mapping[Key, ViewRow | None] = MappingProxyType({})
    """The row that the store had, by the key of a difference."""


class Look(NamedTuple):
    """The rows of a store that were not as expected."""

    rows: Counter[str]
    """Rows compared, by view."""
    unlike: dict[Key, ViewRow | None]
    """Rows of views that the JVM folds."""
    odd: dict[Key, ViewRow | None]
    """Rows of the views that are judged."""

    @classmethod
    def at(
        cls,
        reader: ViewReader,
        expected: oracle.Reckoning,
        judged: Judged,
        span: Callable[[], Span],
        named: Set[str] = frozenset(),
        shared: Iterable[str] = (),
        counting: Counting = quiet,
        store: str = "",
        hot: Hot = ALL,
    ) -> "Look":
        """Compare every row of the partitions of devices that `expected` has, of those `named`, and of those `shared`.

        What disagrees is stored in the result. A row that is not `hot` need not be there.
        """
        looked = cls(Counter(), {}, {})
        with (
            counting(f"Comparing {store}", len(expected.rows)) as tell,
            ThreadPoolExecutor(_READS_AT_ONCE, "verify") as pool,
        ):
            partitions = _partitions(expected, {*named, *shared})
            while some := list(islice(partitions, _PARTITIONS_AT_ONCE)):
                read = list(pool.map(lambda one: reader.range(one[0]), some))
                # One time for all of them: rows of many devices are made anew for each time that is asked about.
                now = span()
                for (name, keys), rows in zip(some, read, strict=True):
                    looked.compare(name, keys, rows, expected.rows, judged, now, hot)
                tell(looked.rows.total())
        return looked

    def compare(
        self,
        partition: str,
        keys: Iterable[Key],
        rows: Iterable[ViewRow],
        expected: Mapping[Key, ViewUpdate],
        judged: Judged,
        span: Span,
        hot: Hot,
    ) -> None:
        """Compare one partition; `keys` are those of its rows that the JVM folds."""
        folded: dict[Key, ViewRow] = {}
        others: dict[Key, ViewRow] = {}
        is_a_devices = is_of_a_device(partition)
        for row in rows:
            found = folded if is_a_devices and not is_of_a_python_fold(row) else others
            found[partition, row.sort] = row
        wrong = set(map(_key, _differences(_some(expected, keys), folded, hot)))
        self.unlike.update((key, folded.get(key)) for key in wrong)
        odd = judged.wrong(partition, others, span, time.time())
        self.odd.update((key, others.get(key)) for key in odd if _is_asked_for(key, others, hot))
        wanted = judged.rows_in(partition, span.latest)
        self.rows.update(map(view_of, {*folded, *keys, *wanted, *filter(judged.is_judged, others)}))


def _partitions(expected: oracle.Reckoning, named: Set[str]) -> Iterator[tuple[str, list[Key]]]:
    """Each partition with its expected keys. The oracle has the rows of a partition together, so none is sorted."""
    without_rows = {*named, *map(device_partition, expected.devices)}
    for partition, keys in groupby(expected.rows, itemgetter(0)):
        without_rows.discard(partition)
        yield partition, list(keys)
    yield from ((partition, []) for partition in sorted(without_rows))


class Store:
    """The rows of one store that were unlike those expected, until each is found right, wrong or in flight."""

    def __init__(
        self, name: StoreName, reader: ViewReader, looked: Look, partitions: frozenset[str], hot: Hot = ALL
    ) -> None:
        self._name = name
        self._hot = hot
        self._partitions = partitions
        self._reader = reader
        self._rows = looked.rows
        self._differences: list[Difference] = []
        self.found: dict[Key, ViewRow | None] = {}
        """The row that was there, by difference."""
        self.unlike = looked.unlike
        self.odd = looked.odd

    @property
    def is_waiting(self) -> bool:
        return bool(self.unlike or self.odd)

    def judge(self, fold: Fold, span: Span) -> None:
        """Leave only the rows that may yet become right."""
        found = _differences(_some(fold.expected.rows, self.unlike), self.unlike, self._hot)
        waiting = {key for key in map(_key, found) if fold.may_be_behind(self._name, key, self.unlike[key])}
        self._tell([one for one in found if _key(one) not in waiting], self.unlike)
        self.unlike = {key: self.unlike[key] for key in waiting}
        self._judge_odd(fold.judged, span, partial(fold.judged.may_be_behind, fold.young[self._name]))

    def judge_now(self, expected: Mapping[Key, ViewUpdate], judged: Judged, span: Span) -> None:
        """Leave no row to be waited for."""
        self._tell(_differences(_some(expected, self.unlike), self.unlike, self._hot), self.unlike)
        self.unlike = {}
        self._judge_odd(judged, span, lambda key, found, span: False)

    def _judge_odd(
        self, judged: Judged, span: Span, may_be_behind: Callable[[Key, ViewRow | None, Span], bool]
    ) -> None:
        by_partition: defaultdict[str, list[Key]] = defaultdict(list)
        for key in self.odd:
            by_partition[key[0]].append(key)
        waiting: set[Key] = set()
        for partition, keys in by_partition.items():
            there = {key: row for key in keys if (row := self.odd[key]) is not None}
            wrong = judged.wrong(partition, there, span, time.time())
            for key in keys:
                if key not in wrong or not _is_asked_for(key, there, self._hot):
                    continue
                if may_be_behind(key, self.odd[key], span):
                    waiting.add(key)
                else:
                    self._tell([Difference(*key, why) for why in wrong[key]], self.odd)
        self.odd = {key: self.odd[key] for key in waiting}

    def _tell(self, differences: Iterable[Difference], found: Mapping[Key, ViewRow | None]) -> None:
        for one in differences:
            self._differences.append(one)
            self.found[_key(one)] = found.get(_key(one))

    def judge_devices(self, fold: Fold) -> None:
        """Find the rows of devices that the log does not have, whoever wrote them; it was read on since."""
        self._differences += [Difference(name, "", NO_SUCH_DEVICE) for name in self.unknown(fold)]

    def unknown(self, fold: Fold) -> frozenset[str]:
        return self._partitions - {device_partition(device) for device in fold.expected.devices}

    def look_again(self) -> None:
        self.unlike = {key: self._reader.get(*key) for key in self.unlike}
        self.odd = {key: self._reader.get(*key) for key in self.odd}

    def check(self) -> StoreCheck:
        ordered = sorted(self._differences, key=_key)
        in_flight = sorted({*self.unlike, *self.odd})
        return StoreCheck(self._name, self._rows.total(), ordered, in_flight, self._rows, self.found)


def _differences(
    expected: Mapping[Key, ViewUpdate], actual: Mapping[Key, ViewRow | None], hot: Hot
) -> list[Difference]:
    """Find what is wrong with `actual`, None standing for no row.

    A row that has expired meanwhile is right, and so is that there is none of one that is not hot.
    """
    now = int(time.time())
    there = {key: row for key, row in actual.items() if row and (row.expires_at is None or row.expires_at > now)}
    unexpired = oracle.unexpired(expected, now)
    return oracle.compare({key: row for key, row in unexpired.items() if _is_asked_for(key, there, hot)}, there)


def _is_asked_for(key: Key, there: Container[Key], hot: Hot) -> bool:
    return key in there or hot.holds(key[1], time.time())


def _some(rows: Mapping[Key, ViewUpdate], keys: Iterable[Key]) -> dict[Key, ViewUpdate]:
    return {key: row for key in keys if (row := rows.get(key)) is not None}


def _key(difference: Difference) -> Key:
    return difference.partition, difference.sort
