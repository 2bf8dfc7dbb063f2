"""Whether a device, and each of its metrics, still reports as often as it should."""

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from operators.folds.fold import Fold, FoldRow
from operators.folds.moments import NEVER, Moment, iso, moment_of
from schemas.events import DeviceEvent
from schemas.view_rows import Value

INTERVAL_ATTRIBUTE = "report_interval_s"
"""Of `registered` and `configured` events: how often the device means to report, in seconds."""

ASSUMED_INTERVAL_MS = 300_000
"""Of a device that neither was configured nor has reported often enough to be learned from."""
SHORTEST_INTERVAL_MS = 1_000
GAPS = 8
"""The interval that is learned is the median of so many gaps, of which half may be bursts or pauses."""
FEWEST_GAPS = 3

SILENT_AFTER, OFFLINE_AFTER = 2.5, 3.5
"""Intervals since the last report: two, and three, were missed, and half an interval is left to the network."""

MAX_METRICS = 64
OUTAGE_KEPT_S = 90 * 86_400

Status = Literal["online", "silent", "offline"]


class Series(msgspec.Struct, frozen=True, array_like=True):
    """The reports of a device, or of one metric of it."""

    last_at: int
    """The greatest time of a report."""
    since: int
    """Since when the status is what it is."""
    status: Status = "online"
    gaps: tuple[int, ...] = ()
    """The newest, in milliseconds."""
    learned_ms: int | None = None
    """The interval that they tell of, None if there are too few."""


class Outage(msgspec.Struct, frozen=True, array_like=True):
    begin: int
    """The last report before it."""
    end: int | None = None
    """The first report after it, None while it lasts."""


class PresenceState(msgspec.Struct, frozen=True, array_like=True):
    device: Series | None = None
    metrics: Mapping[str, Series] = {}
    configured_ms: int | None = None
    configured_at: Moment = NEVER
    retired: Moment = NEVER
    registered: Moment = NEVER
    outages: int = 0
    outage: Outage | None = None
    """The newest."""
    untracked: bool = False
    """Whether a metric has come for which there was no room."""

    @property
    def is_retired(self) -> bool:
        return self.retired > self.registered


class Presence(Fold[PresenceState]):
    """`presence`, `presence#metric#NAME`, and a row `presence#outage#TIME` for each time that the device was offline.

    A device is silent when two reports are missing and offline when three are, by its own interval: that which a
    `registered` or `configured` event gave as the attribute `report_interval_s`, or else the one learned from its
    reports. Reports are events with readings; other events are none. Time is event time, so a device that is caught up
    with after a pause of the job was offline only if it did not report then.

    | field | meaning |
    |---|---|
    | status | `online`, `silent`, `offline`, `retired`; one that is registered again is `silent` until it reports |
    | since_at | since when; of `online` the report that it began with |
    | last_report_at, interval_ms | absent while it is online, so that a row changes with the status only |
    | outages | how often the device was offline |
    | untracked_metrics | true if it has more than 64, of which the others have no row; else absent |

    An outage's row has `from_at`, the last report before it, `open`, and once it is over `to_at` and `duration_ms`; it
    is kept for 90 days.
    """

    name = "presence"
    state = PresenceState

    def initial(self, key: str) -> PresenceState:
        return PresenceState()

    def evolve(self, state: PresenceState, event: DeviceEvent) -> PresenceState:
        if event.type in ("registered", "configured", "retired"):
            state = _told(state, event)
        return _reported(state, event) if event.metrics and not state.is_retired else state

    def wake_at(self, state: PresenceState) -> int | None:
        if state.device is None or state.is_retired:
            return None
        due = _due(state.device, state.configured_ms)
        for series in state.metrics.values():
            at = _due(series, state.configured_ms)
            if at is not None and (due is None or at < due):
                due = at
        return due

    def on_time(self, state: PresenceState, at: int) -> PresenceState:
        assert state.device is not None
        device = _overdue(state.device, state.configured_ms, at)
        gone = device.status == "offline" and state.device.status != "offline"
        return msgspec.structs.replace(
            state,
            device=device,
            metrics={name: _overdue(series, state.configured_ms, at) for name, series in state.metrics.items()},
            outages=state.outages + gone,
            outage=Outage(device.last_at) if gone else state.outage,
        )

    def rows(self, state: PresenceState) -> Iterable[FoldRow]:
        if state.device is None:
            if state.retired > NEVER:
                yield FoldRow(
                    self.name, {"status": "silent", "since_at": state.registered[0], "outages": state.outages}
                )
            return
        data = _data(state, state.device)
        data["outages"] = state.outages
        if state.untracked:
            data["untracked_metrics"] = True
        yield FoldRow(self.name, data)
        for name, series in state.metrics.items():
            yield FoldRow(f"{self.name}#metric#{name}", _data(state, series))
        if state.outage is not None:
            yield _outage_row(self.name, state.outage)


def _told(state: PresenceState, event: DeviceEvent) -> PresenceState:
    moment = moment_of(event)
    was_retired = state.is_retired
    if event.type == "retired":
        state = msgspec.structs.replace(state, retired=max(state.retired, moment))
        return state if was_retired else _ended(state)
    if event.type == "registered":
        state = msgspec.structs.replace(state, registered=max(state.registered, moment))
        if was_retired and not state.is_retired:
            state = msgspec.structs.replace(state, device=None, metrics={})
    wanted = _interval_ms(event.attributes.get(INTERVAL_ATTRIBUTE))
    if wanted is None or moment <= state.configured_at:
        return state
    return msgspec.structs.replace(state, configured_ms=wanted, configured_at=moment)


def _ended(state: PresenceState) -> PresenceState:
    """A device that is retired while it is offline is missed no more."""
    if not state.is_retired or state.outage is None or state.outage.end is not None:
        return state
    return msgspec.structs.replace(state, outage=Outage(state.outage.begin, max(state.outage.begin, state.retired[0])))


def _interval_ms(text: str | None) -> int | None:
    """None for what is no number of seconds: a device that says so is judged by what it does."""
    try:
        seconds = float(text or "")
    except ValueError:
        return None
    return max(SHORTEST_INTERVAL_MS, round(seconds * 1_000)) if 0 < seconds < 1e9 else None


def _reported(state: PresenceState, event: DeviceEvent) -> PresenceState:
    at = event.event_time
    device, outage = state.device, state.outage
    if device is not None and device.status == "offline" and at > device.last_at:
        outage = Outage(device.last_at, at)
    metrics, untracked = dict(state.metrics), state.untracked
    for name in event.metrics:
        series = metrics.get(name)
        if series is not None or len(metrics) < MAX_METRICS:
            metrics[name] = _heard(series, at)
        else:
            untracked = True
    return PresenceState(
        _heard(device, at),
        metrics,
        state.configured_ms,
        state.configured_at,
        state.retired,
        state.registered,
        state.outages,
        outage,
        untracked,
    )


def _heard(series: Series | None, at: int) -> Series:
    """A report that is older than the newest says nothing of the present."""
    if series is None:
        return Series(at, at)
    if at <= series.last_at:
        return series
    if series.status == "offline":
        # The gap of an outage is not how often it reports; that of a silence may be.
        return Series(at, at, "online", series.gaps, series.learned_ms)
    gaps = (*series.gaps[1 - GAPS :], at - series.last_at)
    return Series(at, series.since if series.status == "online" else at, "online", gaps, _learned(gaps))


def _learned(gaps: tuple[int, ...]) -> int | None:
    return None if len(gaps) < FEWEST_GAPS else max(SHORTEST_INTERVAL_MS, sorted(gaps)[len(gaps) // 2])


def _interval(series: Series, configured_ms: int | None) -> int:
    return configured_ms or series.learned_ms or ASSUMED_INTERVAL_MS


def _due(series: Series, configured_ms: int | None) -> int | None:
    if series.status == "offline":
        return None
    after = SILENT_AFTER if series.status == "online" else OFFLINE_AFTER
    return series.last_at + int(after * _interval(series, configured_ms))


def _overdue(series: Series, configured_ms: int | None, at: int) -> Series:
    """With every change of status that is due by `at`."""
    while (due := _due(series, configured_ms)) is not None and due <= at:
        status: Status = "silent" if series.status == "online" else "offline"
        series = Series(series.last_at, due, status, series.gaps, series.learned_ms)
    return series


def _data(state: PresenceState, series: Series) -> dict[str, Value]:
    if state.is_retired:
        return {"status": "retired", "since_at": state.retired[0]}
    data: dict[str, Value] = {"status": series.status, "since_at": series.since}
    if series.status != "online":
        data["last_report_at"] = series.last_at
        data["interval_ms"] = _interval(series, state.configured_ms)
    return data


def _outage_row(name: str, outage: Outage) -> FoldRow:
    data: dict[str, Value] = {"from_at": outage.begin, "open": outage.end is None}
    if outage.end is not None:
        data |= {"to_at": outage.end, "duration_ms": outage.end - outage.begin}
    return FoldRow(f"{name}#outage#{iso(outage.begin)}", data, outage.begin // 1000 + OUTAGE_KEPT_S)
