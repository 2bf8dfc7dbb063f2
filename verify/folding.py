"""The log folded by the oracle and the judges, and what of it is so young that a store may not have it yet."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from typing import NamedTuple, cast

from telefold.jobs.settings import Settings
from telefold.jobs.stores import StoreName, open_generations
from telefold.schemas.generations import FoldSettings, Generations
from telefold.schemas.log_records import LogRecord, Positions
from telefold.schemas.view_rows import ViewRow, device_partition, latest_sort, rollup_sort
from telefold.verify import oracle
from telefold.verify.event_log import Selection, event_in
from telefold.verify.judged import Judged, Span
from telefold.verify.judges.whole import Asked, Judges
from telefold.verify.oracle import Key
from telefold.verify.young import Young
from telefold.views.windows import Windows

SETTLE_S = 10.0
"""How long after a record arrived, at the latest, a job that keeps up has its rows in the stores."""


class ViewsInUse(NamedTuple):
    """A generation of the views."""

    generation: int
    cut: Positions
    fold: FoldSettings | None = None
    """The settings of what it folds, None for those of the properties."""


def views_of(generations: Generations, number: int) -> ViewsInUse:
    return ViewsInUse(number, generations.cuts.get(number, {}), generations.folds.get(number))


def current_views(settings: Settings) -> ViewsInUse:
    """The views that readers see now."""
    with closing(open_generations(settings)) as store:
        generations = store.load()
    return views_of(generations, generations.current)


def open_oracle(
    settings: Settings, views: ViewsInUse, log: Callable[[], Iterable[LogRecord]], judged: Judged | None = None
) -> oracle.Oracle:
    """The oracle of one generation; its corrections are found in `log`, which is read for them alone.

    `judged` hears what is folded.
    """
    corrections = oracle.corrections_in(log(), views.cut) if views.cut else {}
    job, retention = settings.folding(views.fold).job, settings.views.retention
    judged = judged or Judged(Judges(Asked()))
    return oracle.Oracle(
        job.rollup_sizes,
        job.rollup_lateness_ms,
        retention,
        views.cut,
        corrections,
        job.views,
        job.state_retention_ms,
        job.device_retention_ms,
        judged.hear,
        judged.hear_again,
    )


def span_of(taken_on_s: float, now: float, settle_s: float) -> Span:
    """The times of the log by which the job may have done what time alone asks for: epoch seconds given."""
    return Span(max(-1, round((taken_on_s - settle_s) * 1_000)), round(now * 1_000))


class Fold:
    """The log as folded so far, and what young records moved."""

    def __init__(
        self,
        folded: oracle.Oracle,
        judged: Judged,
        sizes: Mapping[str, int],
        selected: Selection,
        young: Mapping[StoreName, Young],
    ) -> None:
        self._oracle = folded
        self._windows = {size: Windows(size, longest_ms) for size, longest_ms in sizes.items()}
        self.judged = judged
        self._selected = selected
        self.young = young
        self._reckoned: oracle.Reckoning | None = None
        self.records = 0

    def add(self, records: Iterable[LogRecord]) -> None:
        for record in filter(self._selected, records):
            self._reckoned = None
            self.records += 1
            self._oracle.add(record)
            for young in self.young.values():
                if young.is_young(record):
                    self._note(young, record)

    @property
    def expected(self) -> oracle.Reckoning:
        if self._reckoned is None:
            self._reckoned = self._oracle.reckoning()
        return self._reckoned

    def _note(self, young: Young, record: LogRecord) -> None:
        if (event := event_in(record)) is None:
            return
        young.note(event.device_id, record.arrival)
        partition, at = device_partition(event.device_id), event.event_time
        for metric in event.metrics:
            latest = (partition, latest_sort(metric))
            young.newest[latest] = max(at, young.newest.get(latest, at))
            for size, windows in self._windows.items():
                young.moves[partition, rollup_sort(size, metric, windows.start(at))] += 1

    def may_be_behind(self, store: StoreName, key: Key, row: ViewRow | None) -> bool:
        """Whether a store that has `row`, or none, need only wait for young records to be as expected.

        A rollup's version counts its events: the young ones are all that may be missing. A latest value whose time
        no young record has must be there.
        """
        expected, young = self.expected.rows.get(key), self.young[store]
        version = row.version if row else 0
        if expected is None:
            return False
        if key in young.newest:
            return young.newest[key] >= cast(int, expected.data["at"]) and expected.version >= version
        return expected.version - young.moves[key] <= version < expected.version
