"""Whether a device, and each of its metrics, reports as often as it should (decision 031, "Presence")."""

from collections.abc import Iterator
from copy import copy
from typing import NamedTuple

from telefold.schemas.events import DeviceEvent
from telefold.schemas.view_rows import Value
from telefold.verify.judges.known import ACKNOWLEDGED, Known
from telefold.verify.judges.rows import TIMES_AN_EVENT, iso

NAME = "presence"
TOLD = "report_interval_s"
ASSUMED_MS = 300_000
SHORTEST_MS = 1_000
BURST_MS = 1_000
GAPS, FEWEST_GAPS = 8, 3
MOST_METRICS = 64
OUTAGE_KEPT_S = 90 * 86_400


class Series:
    """The reports of a device, or of one of its metrics, or that none has come yet of a device that is expected."""

    __slots__ = (
        "begun",
        "begun_by",
        "changed",
        "gaps",
        "heard",
        "is_expected",
        "learned",
        "since",
        "status",
        "version",
    )

    def __init__(self, heard: int, by: int, version: int, is_expected: bool = False) -> None:
        self.status = "silent" if is_expected else "online"
        self.is_expected = is_expected
        self.heard = self.since = self.changed = heard
        self.version = version
        """The version of the row, and when it came to be so."""
        self.begun, self.begun_by = heard, by
        """The time at which the newest burst of reports was heard first, and what time that report had."""
        self.gaps: tuple[int, ...] = ()
        self.learned: int | None = None

    def interval(self, told: int | None) -> int:
        return told or self.learned or ASSUMED_MS

    def dues(self, told: int | None) -> list[tuple[int, str]]:
        """The changes of its status that are due, and when, if nothing more is heard."""
        if self.status == "offline":
            return []
        interval = self.interval(told)
        offline = (self.heard + interval * 7 // 2, "offline")
        return [offline] if self.status == "silent" else [(self.heard + interval * 5 // 2, "silent"), offline]

    def report(self, heard: int, by: int) -> bool:
        """Take one more report; return whether it was not online before."""
        was_online, was_offline = self.status == "online", self.status == "offline"
        if self.is_expected:
            self.begun, self.begun_by, self.is_expected = heard, by, False
        elif (gap := heard - self.begun) >= BURST_MS:
            by_its_clock = by - self.begun_by
            if not was_offline and gap <= 2 * by_its_clock and by_its_clock <= 2 * gap:
                self.gaps = (*self.gaps[1 - GAPS :], gap)
                if len(self.gaps) >= FEWEST_GAPS:
                    self.learned = max(SHORTEST_MS, sorted(self.gaps)[len(self.gaps) // 2])
            self.begun, self.begun_by = heard, by
        self.heard = heard
        if not was_online:
            self.status, self.since = "online", heard
        return not was_online

    def data(self, told: int | None) -> dict[str, Value]:
        data: dict[str, Value] = {"status": self.status, "since_at": self.since}
        if self.status != "online":
            data["interval_ms"] = self.interval(told)
            if not self.is_expected:
                data["last_report_at"] = self.heard
        return data


class Shown(NamedTuple):
    """A row, without what is the same for all of a device."""

    sort: str
    version: int
    changed: int
    data: dict[str, Value]
    expires_at: int | None = None


class Presence:
    """The device, each of its first 64 metrics, and the times that it was offline."""

    def __init__(self) -> None:
        self.known = Known((TOLD,))
        self.told: int | None = None
        self.device: Series | None = None
        self.metrics: dict[str, Series] = {}
        self.outages = 0
        self.outage: tuple[int, int | None, int, int] | None = None
        """The newest: from, to, and version and time of the row's last change."""
        self.is_untracked = False
        self.retired_row: tuple[int, int] | None = None
        """The version and the time of change of all rows of a device while it is retired."""
        self.left: list[Shown] = []
        """Rows of before, which nothing changes any more."""
        self._not_due_before = 0
        self._moments = 0

    @property
    def status(self) -> str | None:
        if self.known.is_retired:
            return "retired"
        return None if self.device is None else self.device.status

    @property
    def series(self) -> Iterator[Series]:
        if self.device is not None:
            yield self.device
        yield from self.metrics.values()

    def due_by(self, at: int) -> list[int]:
        """The times up to `at` at which anything changes if nothing more is heard."""
        if self.known.is_retired or at < self._not_due_before or self.device is None:
            return []
        dues = [due for series in self.series for due, _ in series.dues(self.told)]
        self._not_due_before = min(dues, default=2**62)
        return sorted({due for due in dues if due <= at})

    def advance(self, at: int, events: int) -> list[tuple[int, str]]:
        """Do all that is due by `at`, after so many events; what the device itself became, and when."""
        moments = self.due_by(at)
        if not moments:
            return []
        became: list[tuple[int, str]] = []
        for moment in moments:
            self._moments += 1
            version = events * TIMES_AN_EVENT + self._moments
            for series in self.series:
                for due, status in series.dues(self.told):
                    if due == moment:
                        series.status, series.since, series.version, series.changed = status, due, version, due
                        if series is self.device:
                            became.append((due, status))
                            if status == "offline" and not series.is_expected:
                                self._begin_outage(series.heard, version, due)
        self._not_due_before = 0
        return became

    @property
    def moments(self) -> int:
        """How often time alone has changed something since the last event."""
        return self._moments

    def _begin_outage(self, begin: int, version: int, at: int) -> None:
        if self.outage is not None:
            self.left.append(_outage_row(*self.outage))
        self.outages += 1
        self.outage = begin, None, version, at

    def hear(self, event: DeviceEvent, heard: int, events: int) -> None:
        """An event, `events` with this one, when all that was due before has been done."""
        version, self._moments = events * TIMES_AN_EVENT, 0
        if event.attributes or event.type in ("registered", "retired"):
            self._hear_of_itself(event, heard, version)
        if event.metrics and event.type != ACKNOWLEDGED and not self.known.is_retired:
            self._report(event, heard, version)

    def _hear_of_itself(self, event: DeviceEvent, heard: int, version: int) -> None:
        was_retired, retired = self.known.is_retired, self.known.retired
        if TOLD in self.known.hear(event):
            before, self.told = self.told, _milliseconds(self.known.value(TOLD))
            for series in self.series:
                if series.status != "online" and series.interval(before) != series.interval(self.told):
                    series.version, series.changed = version, heard
            self._not_due_before = 0
        if self.known.is_retired:
            if not was_retired and self.outage is not None and self.outage[1] is None:
                self.outage = self.outage[0], heard, version, heard
            if not was_retired or self.known.retired[0] != retired[0]:
                self.retired_row = version, heard
            return
        if was_retired:
            self.left += self._metric_rows()
            self.retired_row = None
            self.device, self.metrics = None, {}
        if self.known.is_registered and self.device is None:
            self.device = Series(heard, event.event_time, version, is_expected=True)
            self._not_due_before = 0

    def _report(self, event: DeviceEvent, heard: int, version: int) -> None:
        at, device = event.event_time, self.device
        if device is None:
            device = self.device = Series(heard, at, version)
        else:
            if device.status == "offline" and self.outage is not None and self.outage[1] is None:
                self.outage = self.outage[0], heard, version, heard
            if device.report(heard, at):
                device.version, device.changed = version, heard
        self._expect(device)
        metrics = self.metrics
        for name in event.metrics:
            series = metrics.get(name)
            if series is not None:
                if series.report(heard, at):
                    series.version, series.changed = version, heard
            elif len(metrics) < MOST_METRICS:
                series = metrics[name] = Series(heard, at, version)
            else:
                if not self.is_untracked:
                    self.is_untracked = True
                    device.version, device.changed = version, heard
                continue
            self._expect(series)

    def _expect(self, series: Series) -> None:
        due = series.heard + series.interval(self.told) * 5 // 2
        if due < self._not_due_before:
            self._not_due_before = due

    def at(self, at: int, events: int) -> "Presence":
        """The state at that time if nothing more was heard; this very one where time has changed nothing."""
        if not self.due_by(at):
            return self
        later = self.copied()
        later.advance(at, events)
        return later

    def copied(self) -> "Presence":
        """Return a copy that time can be tried on."""
        other = copy(self)
        other.device, other.left = copy(self.device), list(self.left)
        other.metrics = {name: copy(series) for name, series in self.metrics.items()}
        return other

    def unnamed(self) -> set[str]:
        """Sort keys of rows of before that it would not name any more: they stay as they are."""
        return {row.sort for row in self.left} - {row.sort for row in self._present()}

    def rows(self) -> Iterator[Shown]:
        yield from self.left
        yield from self._present()

    def _present(self) -> Iterator[Shown]:
        if self.outage is not None:
            yield _outage_row(*self.outage)
        if self.device is None and self.retired_row is None:
            return
        if self.retired_row is not None:
            version, changed = self.retired_row
            data: dict[str, Value] = {"status": "retired", "since_at": self.known.retired[0]}
        else:
            assert self.device is not None
            version, changed = self.device.version, self.device.changed
            data = self.device.data(self.told)
        data["outages"] = self.outages
        if self.is_untracked:
            data["untracked_metrics"] = True
        yield Shown(NAME, version, changed, data)
        yield from self._metric_rows()

    def _metric_rows(self) -> Iterator[Shown]:
        for name, series in self.metrics.items():
            sort = f"{NAME}#metric#{name}"
            if self.retired_row is not None:
                yield Shown(sort, *self.retired_row, {"status": "retired", "since_at": self.known.retired[0]})
            else:
                yield Shown(sort, series.version, series.changed, series.data(self.told))


def _milliseconds(told: str | None) -> int | None:
    """The milliseconds of an interval in seconds; None for what is no number of them."""
    try:
        seconds = float(told or "")
    except ValueError:
        return None
    return max(SHORTEST_MS, round(seconds * 1_000)) if 0 < seconds < 1e9 else None


def _outage_row(begin: int, end: int | None, version: int, changed: int) -> Shown:
    data: dict[str, Value] = {"from_at": begin, "open": end is None}
    if end is not None:
        data |= {"to_at": end, "duration_ms": end - begin}
    return Shown(f"{NAME}#outage#{iso(begin)}", version, changed, data, begin // 1_000 + OUTAGE_KEPT_S)
