"""What the folds in Python must show, told again in the naive way over the whole list of a device's events."""

from collections.abc import Iterable, Sequence
from statistics import median_high

from operators.folds.fold import Fold, FoldRow
from operators.folds.kept import Kept, KeptFold
from operators.folds.steps import Held, Steps
from schemas.events import DeviceEvent

TICK_MS = 500


class PresenceOracle:
    """Lets the clock tick from the beginning up to each event and asks at every tick who is overdue.

    Times must be whole seconds and intervals of whole seconds, so that nothing is due between two ticks.
    """

    def __init__(self) -> None:
        self.reports: dict[str, list[int]] = {}
        """By metric, "" being the device: the times of the reports that were newer than all before them."""
        self.gaps: dict[str, list[int]] = {}
        self.status: dict[str, str] = {}
        self.outages: list[list[int]] = []
        self.configured: list[tuple[tuple[int, int], int]] = []

    def add(self, event: DeviceEvent) -> None:
        self.tick_to(event.event_time)
        if event.type == "configured":
            interval = int(event.attributes["report_interval_s"]) * 1_000
            self.configured.append(((event.event_time, event.sequence), interval))
        if event.metrics:
            for name in ("", *event.metrics):
                self._report(name, event.event_time)

    def tick_to(self, time: int) -> None:
        for now in range(0, time + 1, TICK_MS):
            for name in self.reports:
                self._judge(name, now)

    def _judge(self, name: str, now: int) -> None:
        missing = (now - self.reports[name][-1]) / self._interval(name)
        if missing >= 2.5 and self.status[name] == "online":
            self.status[name] = "silent"
        if missing >= 3.5 and self.status[name] == "silent":
            self.status[name] = "offline"
            if name == "":
                self.outages.append([self.reports[name][-1]])

    def _interval(self, name: str) -> int:
        if self.configured:
            return max(self.configured)[1]
        gaps = self.gaps[name][-8:]
        return median_high(gaps) if len(gaps) >= 3 else 300_000

    def _report(self, name: str, at: int) -> None:
        reports = self.reports.setdefault(name, [])
        gaps = self.gaps.setdefault(name, [])
        if reports and at <= reports[-1]:
            return
        if reports and self.status[name] != "offline":
            gaps.append(at - reports[-1])
        if name == "" and self.status.get(name) == "offline":
            self.outages[-1].append(at)
        self.status[name] = "online"
        reports.append(at)


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
        if event.type in ("registered", "configured"):
            row |= {f"attribute.{name}": value for name, value in event.attributes.items()}
        elif event.type not in ("telemetry", "retired"):
            row[f"type.{event.type}"] = sum(other.type == event.type for other in events)
    return row


def _is_out_of_place(event: DeviceEvent, before: Sequence[DeviceEvent]) -> bool:
    if event.type in ("registered", "configured", "retired"):
        return False
    life = sorted((one.event_time, one.sequence, one.type) for one in before if one.type in ("registered", "retired"))
    return bool(life) and life[-1][2] == "retired" and event.event_time > life[-1][0]


def fold_in_batches(
    fold: Fold[object], events: Sequence[DeviceEvent], sizes: Iterable[int], watermark: int | None = None
) -> tuple[dict[str, FoldRow], list[int], Held[object]]:
    """Rows, the versions with which they were written in their order, and the end, of batches of these `sizes` (the
    last takes the rest), between which the state is written and read again."""
    kept = KeptFold(fold)
    rows: dict[str, FoldRow] = {}
    versions: dict[str, list[int]] = {}
    held: Held[object] | None = None
    rest = list(events)
    for size in (*sizes, len(rest)):
        batch, rest = rest[:size], rest[size:]
        steps = Steps(fold, "d", held)
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
        held = kept.read(kept.text(Kept(steps.held, None))).held
        assert held == steps.held
        if not rest:
            break
    assert held is not None
    return rows, [version for each in versions.values() for version in each], held
