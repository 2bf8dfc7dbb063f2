"""Whether a device, and each of its metrics, still reports as often as it should."""

from collections.abc import Collection, Iterable, Mapping
from typing import Literal

import msgspec

from telefold.operators.folds.event_order import iso
from telefold.operators.folds.fold import Fold, FoldRow
from telefold.operators.folds.lifecycle import Lifecycle, is_report
from telefold.schemas.events import DeviceEvent, heard_at
from telefold.schemas.view_rows import Data, Value

INTERVAL_ATTRIBUTE = "report_interval_s"
"""How often the device means to report, in seconds, as one of its events said last."""

ASSUMED_INTERVAL_MS = 300_000
"""The interval of a device that neither sent one nor has reported often enough to be learned from."""
SHORTEST_INTERVAL_MS = 1_000
BURST_MS = 1_000
"""Reports that are heard within so long after the first of them are one burst: gaps are those between bursts."""
GAPS = 8
"""The interval that is learned is the median of so many gaps, of which half may be pauses."""
FEWEST_GAPS = 3
MOST_APART = 2
"""A gap teaches nothing if it is more than so many times that of the device's own clock, or the other way round."""

SILENT_AFTER, OFFLINE_AFTER = 2.5, 3.5
"""Intervals since the last report: two, and three, were missed, and half an interval is left to the network."""

MAX_METRICS = 64
OUTAGE_KEPT_S = 90 * 86_400

Status = Literal["online", "silent", "offline"]


class Series(msgspec.Struct, frozen=True, array_like=True):
    """The reports of a device, or of one metric of it. Times are epoch milliseconds of arrival unless it is said."""

    last: int
    """The time at which its newest report was heard; of a device that is expected, its registration."""
    since: int
    """The time from which the status is what it is."""
    status: Status
    ahead_ms: int | None = None
    """How far the own time of the newest burst's first report was ahead. None for a device that is only expected."""
    burst_ms: int = 0
    """How long before `last` that report was heard."""
    gaps: tuple[int, ...] = ()
    """The newest gaps from which something can be learned, in milliseconds."""
    learned_ms: int | None = None
    """The interval that they show, None if there are too few."""


class Outage(msgspec.Struct, frozen=True, array_like=True):
    begin: int
    """The time at which the last report before it was heard."""
    end: int | None = None
    """The time at which the first report after it, or that the device is retired, was heard; None while it lasts."""


class PresenceState(msgspec.Struct, frozen=True, array_like=True):
    lifecycle: Lifecycle = Lifecycle()
    told_ms: int | None = None
    """The interval that the device gave, in milliseconds; None if it gave none."""
    device: Series | None = None
    """Reports of any kind. None until the device has reported, or is expected to, since it was last retired."""
    metrics: Mapping[str, Series] = {}
    outages: int = 0
    outage: Outage | None = None
    """The newest outage."""
    untracked: bool = False
    """Whether a metric has come for which there was no room."""


class Presence(Fold[PresenceState]):
    """`presence`, `presence#metric#NAME`, and a row `presence#outage#TIME` for each time that the device was offline.

    A device is silent when two reports are missing and offline when three are, by its own interval: that which one of
    its events sent last as the attribute `report_interval_s`, or else the one learned from its reports. Reports are
    events with readings, of a device that is not retired; other events are none, nor are acknowledgements of alerts.
    One that is registered and has not reported since it was last retired, or ever, is expected: it is silent from then
    on, and offline when three reports are missing, which is no outage.

    All of it goes by when reports were heard: neither the device's clock nor a pause of the job makes it silent. A gap
    between reports of which the device's clock shows another one, twice as long or half as long, teaches no interval.

    | field | meaning |
    |---|---|
    | status | `online`, `silent`, `offline`, `retired` |
    | since_at | since when, by arrivals; of `retired` the time of that event |
    | last_report_at | when its newest report was heard; absent while it is online, and if there is none |
    | interval_ms | what it is measured by; absent while it is online, so that a row changes with the status only |
    | outages | how often the device was offline |
    | untracked_metrics | true if it has more than 64, of which the others have no row; else absent |

    An outage's row has `from_at`, when the last report before it was heard, `open`, and once it is over `to_at` and
    `duration_ms`; it is kept for 90 days.
    """

    name = "presence"
    state = PresenceState
    state_version = 2

    def initial(self, key: str) -> PresenceState:
        return PresenceState()

    def evolve(self, state: PresenceState, event: DeviceEvent) -> PresenceState:
        return heard_from(state, event, (INTERVAL_ATTRIBUTE,))

    def wake_at(self, state: PresenceState) -> int | None:
        if state.device is None or state.lifecycle.is_retired:
            return None
        due = _due(state.device, state.told_ms)
        for series in state.metrics.values():
            at = _due(series, state.told_ms)
            if at is not None and (due is None or at < due):
                due = at
        return due

    def on_time(self, state: PresenceState, at: int) -> PresenceState:
        before = state.device
        assert before is not None
        device = _overdue(before, state.told_ms, at)
        is_missed = device.status == "offline" and before.status != "offline" and before.ahead_ms is not None
        return msgspec.structs.replace(
            state,
            device=device,
            metrics={name: _overdue(series, state.told_ms, at) for name, series in state.metrics.items()},
            outages=state.outages + is_missed,
            outage=Outage(device.last) if is_missed else state.outage,
        )

    def rows(self, state: PresenceState) -> Iterable[FoldRow]:
        if state.device is not None or state.lifecycle.is_retired:
            data: dict[str, Value] = {**_data(state, state.device), "outages": state.outages}
            if state.untracked:
                data["untracked_metrics"] = True
            yield FoldRow(self.name, data, at_once=True)
        for name, series in state.metrics.items():
            yield FoldRow(f"{self.name}#metric#{name}", _data(state, series), at_once=True)
        if state.outage is not None:
            yield _outage_row(self.name, state.outage)


def heard_from(state: PresenceState, event: DeviceEvent, names: Collection[str]) -> PresenceState:
    """The state after `event`; of what it says of the device, attributes of these `names` are stored."""
    at, lifecycle = heard_at(event), state.lifecycle.told(event, names)
    if lifecycle is not state.lifecycle:
        state = _told(state, lifecycle, at)
    return _reported(state, event, at) if is_report(event) and not lifecycle.is_retired else state


def _ended(outage: Outage | None, at: int) -> Outage | None:
    return Outage(outage.begin, at) if outage is not None and outage.end is None else outage


def _told(state: PresenceState, lifecycle: Lifecycle, at: int) -> PresenceState:
    was_retired, told_ms = state.lifecycle.is_retired, state.told_ms
    told = lifecycle.attributes.get(INTERVAL_ATTRIBUTE)
    if told is not state.lifecycle.attributes.get(INTERVAL_ATTRIBUTE):
        told_ms = _interval_ms("" if told is None else told.value)
    device, metrics, outage, untracked = state.device, state.metrics, state.outage, state.untracked
    if lifecycle.is_retired:
        outage = _ended(outage, at)
    elif was_retired:
        device, metrics, untracked = None, {}, False
    if device is None and lifecycle.is_registered:
        device = Series(at, at, "silent")
    return PresenceState(
        lifecycle=lifecycle,
        told_ms=told_ms,
        device=device,
        metrics=metrics,
        outages=state.outages,
        outage=outage,
        untracked=untracked,
    )


def _interval_ms(text: str) -> int | None:
    """The interval, or None for what is no number of seconds: the device is then measured by what it does."""
    try:
        seconds = float(text)
    except ValueError:
        return None
    return max(SHORTEST_INTERVAL_MS, round(seconds * 1_000)) if 0 < seconds < 1e9 else None


def _reported(state: PresenceState, event: DeviceEvent, at: int) -> PresenceState:
    outage = _ended(state.outage, at)
    metrics, untracked = dict(state.metrics), state.untracked
    for name in event.metrics:
        series = metrics.get(name)
        if series is not None or len(metrics) < MAX_METRICS:
            metrics[name] = _heard(series, at, event.event_time)
        else:
            untracked = True
    device = _heard(state.device, at, event.event_time)
    return PresenceState(
        lifecycle=state.lifecycle,
        told_ms=state.told_ms,
        device=device,
        metrics=metrics,
        outages=state.outages,
        outage=outage,
        untracked=untracked,
    )


def _heard(series: Series | None, at: int, time: int) -> Series:
    """Add a report that is heard `at`, of that `time` by the device's clock."""
    ahead = time - at
    if series is None or series.ahead_ms is None:
        return Series(at, at, "online", ahead)
    since = series.since if series.status == "online" else at
    gap = at - series.last + series.burst_ms
    if gap < BURST_MS:
        return Series(at, since, "online", series.ahead_ms, gap, series.gaps, series.learned_ms)
    gap_of_times = gap + ahead - series.ahead_ms
    if series.status == "offline" or gap > MOST_APART * gap_of_times or gap_of_times > MOST_APART * gap:
        return Series(at, since, "online", ahead, 0, series.gaps, series.learned_ms)
    gaps = (*series.gaps[1 - GAPS :], gap)
    return Series(at, since, "online", ahead, 0, gaps, _learned(gaps))


def _learned(gaps: tuple[int, ...]) -> int | None:
    return None if len(gaps) < FEWEST_GAPS else max(SHORTEST_INTERVAL_MS, sorted(gaps)[len(gaps) // 2])


def _interval(series: Series, told_ms: int | None) -> int:
    return told_ms or series.learned_ms or ASSUMED_INTERVAL_MS


def _due(series: Series, told_ms: int | None) -> int | None:
    """The time of the next change of status if nothing more is heard; in the past if a shorter interval has come."""
    if series.status == "offline":
        return None
    after = SILENT_AFTER if series.status == "online" else OFFLINE_AFTER
    return series.last + int(after * _interval(series, told_ms))


def _overdue(series: Series, told_ms: int | None, at: int) -> Series:
    """Make every change of status that is due by `at`."""
    while (due := _due(series, told_ms)) is not None and due <= at:
        status: Status = "silent" if series.status == "online" else "offline"
        series = Series(series.last, due, status, series.ahead_ms, series.burst_ms, series.gaps, series.learned_ms)
    return series


def _data(state: PresenceState, series: Series | None) -> Data:
    if series is None or state.lifecycle.is_retired:
        return {"status": "retired", "since_at": state.lifecycle.retired[0]}
    data: dict[str, Value] = {"status": series.status, "since_at": series.since}
    if series.status != "online":
        data["interval_ms"] = _interval(series, state.told_ms)
        if series.ahead_ms is not None:
            data["last_report_at"] = series.last
    return data


def _outage_row(name: str, outage: Outage) -> FoldRow:
    data: dict[str, Value] = {"from_at": outage.begin, "open": outage.end is None}
    if outage.end is not None:
        data |= {"to_at": outage.end, "duration_ms": outage.end - outage.begin}
    return FoldRow(f"{name}#outage#{iso(outage.begin)}", data, outage.begin // 1000 + OUTAGE_KEPT_S, at_once=True)
