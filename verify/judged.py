"""The rows of folds in Python, and of groups, held against what their judges say; and rows that nothing explains."""

from collections.abc import Iterable, Mapping
from contextlib import closing
from typing import Any, NamedTuple

from telefold.jobs import stores
from telefold.jobs.settings import Settings
from telefold.operators.folds.registry import BUILT_IN, find_all
from telefold.schemas.events import DeviceEvent
from telefold.schemas.generations import FoldSettings
from telefold.schemas.view_rows import ROLLUPS, ViewRow, device_of, is_of_a_device
from telefold.verify.judges import alert
from telefold.verify.judges.rows import Key, Row, Rows, is_there, problems
from telefold.verify.judges.whole import Asked, Judges
from telefold.verify.young import Young


def judges_of(settings: Settings, fold: FoldSettings | None) -> Judges:
    """The judges of what the job folds in Python, and by groups, in a generation that has that `fold`."""
    job = settings.folding(fold).job
    folds = find_all(job.folds, job.rollup_lateness_ms)
    own = [one for one in folds if type(one) is not BUILT_IN.get(one.name)]
    names = [one.name for one in folds if type(one) is BUILT_IN.get(one.name)]
    asked = Asked(
        folds=names,
        own=own,
        rules=_rules(settings) if alert.NAME in names else (),
        lateness_ms=job.rollup_lateness_ms,
        retention_ms=job.device_retention_ms,
        grouped_by=job.group_rollups,
        sizes=job.rollup_sizes,
        rollups_kept_s=settings.views.retention[ROLLUPS],
    )
    return Judges(asked)


def _rules(settings: Settings) -> list[Any]:
    with closing(stores.open_rule_book(settings)) as book:
        return list(book.known())


def taken_on(settings: Settings, now: float) -> float:
    """The time, in epoch seconds, up to which a live job is known to have run by its last renewal of its lease; or 0.0.

    One that runs renews it every ten seconds; whether it still does is not asked, as that is often beyond knowing.
    """
    with closing(stores.open_lease(settings)) as record:
        lease = record.load()
    return 0.0 if lease is None else min(now, lease.renewed / 1_000)


def view_of(key: Key) -> str:
    """The view that a row is of, by its sort key."""
    kind = key[1].partition("#")[0]
    return ROLLUPS if kind == "rollup" else kind or UNKNOWN


UNKNOWN = "none"
"""Stands for the view of rows of devices that the log does not have."""


class Span(NamedTuple):
    """The times of the log, in epoch milliseconds, between which the job may be: -1 before all that is due."""

    earliest: int
    latest: int


class Judged:
    """The judges' view of a log that is being heard, and how the rows of a store agree with it."""

    def __init__(self, judges: Judges) -> None:
        self.judges = judges
        self._shared: dict[int, dict[str, Rows]] = {}

    def hear(self, event: DeviceEvent, arrival: int) -> None:
        self.judges.hear(event, arrival)
        self._shared.clear()

    def hear_again(self, device_id: str, arrival: int) -> None:
        self.judges.hear_again(device_id, arrival)

    def partitions(self, at: int) -> Iterable[str]:
        """The partitions in which rows of many devices, or of groups, lie."""
        return self._shared_at(at).keys()

    def rows_in(self, partition: str, at: int) -> Rows:
        if is_of_a_device(partition):
            return self.judges.of_device(device_of(partition), at)
        return self._shared_at(at).get(partition, {})

    def _shared_at(self, at: int) -> dict[str, Rows]:
        if at not in self._shared:
            if len(self._shared) > 2:
                self._shared.clear()
            self._shared[at] = self.judges.shared(at)
        return self._shared[at]

    def is_judged(self, key: Key) -> bool:
        return view_of(key) not in self.judges.unjudged

    def wrong(self, partition: str, found: Mapping[Key, ViewRow], span: Span, now: float) -> dict[Key, list[str]]:
        """Differences of the rows found in a partition, by key; `now` is in epoch seconds, for rows that expire.

        A row is right as it is at the latest time of `span`, or as it was at the earliest.
        """
        wanted = self.rows_in(partition, span.latest)
        differ = {key: why for key in wanted.keys() | found.keys() if (why := _why(wanted, found, key, now))}
        if differ and span.earliest < span.latest:
            before = self.rows_in(partition, span.earliest)
            differ = {key: why for key, why in differ.items() if _why(before, found, key, now)}
            differ = {key: why for key, why in differ.items() if not self._was_so(key, found.get(key), span)}
        return {key: why for key, why in differ.items() if self.is_judged(key)}

    def _was_so(self, key: Key, found: ViewRow | None, span: Span) -> bool:
        """Whether a row of one device was so when it had this version, at some time between those of `span`."""
        if found is None or not is_of_a_device(key[0]):
            return False
        early, late = span
        while early < late:
            middle = (early + late) // 2
            row = self.rows_in(key[0], middle).get(key)
            early, late = (middle + 1, late) if row is None or row.version < found.version else (early, middle)
        row = self.rows_in(key[0], late).get(key)
        return row is not None and not any(problems(row, found))

    def may_be_behind(self, young: Young, key: Key, found: ViewRow | None, span: Span) -> bool:
        """Whether a store need only wait to have the row as it is to be: what moved it came just now, or comes by time.

        A row that has the version of what it is to be, or a greater one, has no excuse.
        """
        wanted = self.rows_in(key[0], span.latest).get(key)
        if wanted is None or (found is not None and found.version >= wanted.version):
            return False
        if _is_young(young, key, wanted):
            return True
        before = self.rows_in(key[0], span.earliest).get(key)
        if not wanted.by_time or wanted.changed <= span.earliest:
            return False
        if before is None:
            return True
        is_between = found is not None and found.version > before.version
        return is_between and not is_of_a_device(key[0])


def _is_young(young: Young, key: Key, wanted: Row) -> bool:
    if young.since is None or wanted.changed < young.since:
        return False
    return not is_of_a_device(key[0]) or device_of(key[0]) in young.devices


def _why(wanted: Rows, found: Mapping[Key, ViewRow], key: Key, now: float) -> list[str]:
    expected, held = wanted.get(key), found.get(key)
    return list(problems(expected if is_there(expected, now) else None, held if is_there(held, now) else None))
