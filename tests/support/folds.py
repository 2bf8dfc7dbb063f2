"""What the folds in Python must show, told again in the naive way over the whole list of a device's events."""

from collections.abc import Iterable, Sequence
from statistics import median_high
from typing import TypeVar

from telefold.operators.folds.fold import Fold, FoldRow
from telefold.operators.folds.fold_run import FoldRun, Snapshot
from telefold.operators.folds.state_codec import StateCodec, StoredState
from telefold.schemas.events import DeviceEvent, heard_at

State = TypeVar("State")

TICK_MS = 500


class PresenceOracle:
    """Lets the clock tick up to each arrival and asks at every tick who is overdue.

    Arrivals must be whole seconds and intervals of whole seconds, so that nothing is due between two ticks.
    """

    def __init__(self) -> None:
        self.status: dict[str, str] = {}
        """By metric, "" being the device."""
        self.outages: list[list[int]] = []
        self.heard = 0
        self._ticked = 0
        self._last: dict[str, int] = {}
        self._bursts: dict[str, list[tuple[int, int]]] = {}
        """Arrivals and times of the first reports of bursts."""
        self._gaps: dict[str, list[int]] = {}
        self._told: list[tuple[tuple[int, int, str], int]] = []
        self._life: list[tuple[tuple[int, int, str], str]] = [((-1, 0, ""), "")]

    @property
    def is_retired(self) -> bool:
        return max(self._life)[1] == "retired"

    def add(self, event: DeviceEvent) -> None:
        self.heard = max(self.heard, heard_at(event))
        self.tick_to(self.heard)
        moment, was_retired = (event.event_time, event.sequence, event.event_id), self.is_retired
        if "report_interval_s" in event.attributes:
            self._told.append((moment, int(event.attributes["report_interval_s"]) * 1_000))
        if event.type in ("registered", "retired"):
            self._life.append((moment, event.type))
        if self.is_retired:
            if self.outages and len(self.outages[-1]) == 1:
                self.outages[-1].append(self.heard)
            return
        if was_retired:
            for kept in (self.status, self._last, self._bursts, self._gaps):
                kept.clear()
        if max(self._life)[1] == "registered" and "" not in self.status:
            self.status[""], self._last[""] = "silent", self.heard
        for name in ("", *event.metrics) if event.metrics else ():
            self._report(name, event.event_time)

    def tick_to(self, time: int) -> None:
        for now in range(self._ticked or time, time + 1, TICK_MS):
            for name in self.status if not self.is_retired else ():
                self._judge(name, now)
        self._ticked = time

    def _judge(self, name: str, now: int) -> None:
        missing = (now - self._last[name]) / self._interval(name)
        if missing >= 2.5 and self.status[name] == "online":
            self.status[name] = "silent"
        if missing >= 3.5 and self.status[name] == "silent":
            self.status[name] = "offline"
            if name == "" and name in self._bursts:
                self.outages.append([self._last[name]])

    def _interval(self, name: str) -> int:
        if self._told:
            return max(self._told)[1]
        gaps = self._gaps.get(name, [])[-8:]
        return median_high(gaps) if len(gaps) >= 3 else 300_000

    def _report(self, name: str, time: int) -> None:
        bursts, gaps, status = self._bursts.setdefault(name, []), self._gaps.setdefault(name, []), self.status.get(name)
        if name == "" and self.outages and len(self.outages[-1]) == 1:
            self.outages[-1].append(self.heard)
        if not bursts or self.heard - bursts[-1][0] >= 1_000:
            if bursts and status != "offline":
                gap, by_its_clock = self.heard - bursts[-1][0], time - bursts[-1][1]
                if max(gap, by_its_clock) <= 2 * min(gap, by_its_clock):
                    gaps.append(gap)
            bursts.append((self.heard, time))
        self.status[name], self._last[name] = "online", self.heard


def device_row(events: Sequence[DeviceEvent]) -> dict[str, object]:
    """The data of the row `device` after `events` in the order of their arrival."""
    newest = sorted(events, key=lambda event: (event.event_time, event.sequence))
    registrations = [event for event in newest if event.type == "registered"]
    retirements = [event for event in newest if event.type == "retired"]
    row: dict[str, object] = {
        "first_seen_at": min(event.event_time for event in events),
        "last_seen_at": max(event.event_time for event in events),
        "events": len(events),
        "status": "registered" if registrations else "unknown",
    }
    if registrations:
        row["registered_at"] = registrations[-1].event_time
    if retirements:
        row["retired_at"] = retirements[-1].event_time
        if not registrations or newest.index(retirements[-1]) > newest.index(registrations[-1]):
            row["status"] = "retired"
    out_of_place = [event.event_time for index, event in enumerate(events) if _is_out_of_place(event, events[:index])]
    if out_of_place:
        row |= {"events_after_retirement": len(out_of_place), "last_after_retirement_at": max(out_of_place)}
    for event in newest:
        if event.type != "alert_acknowledged":
            row |= {f"attribute.{name}": value for name, value in event.attributes.items()}
        if event.type not in ("telemetry", "registered", "configured", "retired"):
            row[f"type.{event.type}"] = sum(other.type == event.type for other in events)
    return row


def _is_out_of_place(event: DeviceEvent, before: Sequence[DeviceEvent]) -> bool:
    if event.type in ("registered", "configured", "retired"):
        return False
    life = sorted((one.event_time, one.sequence, one.type) for one in before if one.type in ("registered", "retired"))
    return bool(life) and life[-1][2] == "retired" and event.event_time > life[-1][0]


def fold_in_batches(
    fold: Fold[State], events: Sequence[DeviceEvent], sizes: Iterable[int], watermark: int | None = None
) -> tuple[dict[str, FoldRow], list[int], Snapshot[State]]:
    """Rows, the versions with which they were written in their order, and the end, of batches of these `sizes` (the
    last takes the rest), between which the state is written and read again."""
    kept = StateCodec(fold)
    rows: dict[str, FoldRow] = {}
    versions: dict[str, list[int]] = {}
    held: Snapshot[State] | None = None
    rest = list(events)
    for size in (*sizes, len(rest)):
        batch, rest = rest[:size], rest[size:]
        steps = FoldRun(fold, "d", held)
        for event in batch:
            steps.fold(event)
        if not rest and watermark is not None:
            steps.advance(watermark)
        for update in steps.updates():
            assert update.view == fold.name
            assert update.partition == "device#d"
            assert versions.setdefault(update.sort, [0])[-1] <= update.version
            versions[update.sort].append(update.version)
            rows[update.sort] = FoldRow(update.sort, update.data, update.expires_at)
        held = kept.read(kept.text(StoredState(steps.held, None))).held
        assert held == steps.held
        if not rest:
            break
    assert held is not None
    return rows, [version for each in versions.values() for version in each], held
