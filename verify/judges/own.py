"""A team's folds, run in plain Python as `operators.folds.fold.Fold` promises: one event after the other."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from telefold.schemas.events import ArrivedEvent, DeviceEvent
from telefold.schemas.row_limits import why_not_written
from telefold.schemas.view_rows import Data, ViewUpdate, device_partition
from telefold.verify.judges.groups import Groups
from telefold.verify.judges.rows import FORGOTTEN_ROWS_KEPT_S, TIMES_AN_EVENT, Row, Rows

MOST_MOMENTS = 1_000_000


OwnFold = Any
"""A `Fold`. Instances are handed in: judges import nothing of the job."""


class _Given(NamedTuple):
    """The contribution of one step of a device to a row of a group."""

    at: int
    by_time: bool
    made: Any


class _Steps:
    """The steps of a device's state from one point on: nothing of them counts until all are taken over."""

    def __init__(self, of: "Own") -> None:
        self.fold, self.id, self.partition = of.fold, of.device_id, of.partition
        self.state, self.events, self.times = of.state, of.events, of.times
        self.doubtful = of.doubtful
        self.is_known = of.is_known
        self.rows: Rows = {}
        self.given: list[_Given] = []

    def advance(self, at: int) -> None:
        for _ in range(MOST_MOMENTS):
            due = self.fold.wake_at(self.state)
            if due is None or due > at:
                return
            self.times += 1
            self._step(self.fold.on_time(self.state, due), due, by_time=True)
        raise ValueError(f"{self.fold.name}.wake_at has no end")

    def hear(self, event: DeviceEvent, heard: int) -> None:
        after = self.fold.evolve(self.state, event)
        self.events, self.times = self.events + 1, 0
        self._step(after, heard, by_time=False)
        self.is_known = True

    def forget(self, at: int) -> None:
        self.advance(at)
        over, times = self.fold.forgotten(self.state, at), self.times
        if over is not self.state:
            self.times += 1
            self._step(over, at, by_time=True)
        self.times = times + 2
        self.state = self.fold.initial(self.id)
        self._give(over, self.state, at, by_time=True)
        for key, (data, expires_at) in self._shown(over).items():
            if expires_at is None:
                self._show(key, data, at // 1_000 + FORGOTTEN_ROWS_KEPT_S, at, by_time=True)
        self.is_known = False

    def _step(self, after: Any, at: int, by_time: bool) -> None:
        before, self.state = self.state, after
        self._give(before, after, at, by_time)
        if self.is_known and self.fold.shows_the_same(before, after):
            return
        shown = self._shown(before) if self.is_known else {}
        for key, (data, expires_at) in self._shown(after).items():
            if shown.get(key) != (data, expires_at):
                self._show(key, data, expires_at, at, by_time)

    def _shown(self, state: Any) -> dict[tuple[str, str], tuple[Data, int | None]]:
        return {
            (row.partition or self.partition, row.sort): (dict(row.data), row.expires_at)
            for row in self.fold.rows(state)
        }

    def _show(self, key: tuple[str, str], data: Data, expires_at: int | None, at: int, by_time: bool) -> None:
        version = self.events * TIMES_AN_EVENT + self.times
        if why := why_not_written(ViewUpdate(self.fold.name, *key, version, data, expires_at)):
            raise ValueError(why)
        least = version - self.doubtful * TIMES_AN_EVENT
        self.rows[key] = Row(self.fold.name, *key, version, least, data, expires_at, at, by_time)

    def _give(self, before: Any, after: Any, at: int, by_time: bool) -> None:
        self.given += [_Given(at, by_time, made) for made in self.fold.contributes(before, after)]


class Own:
    """A device, as one fold has it. What the fold raises on is left out, as if it had not been."""

    def __init__(self, fold: OwnFold, device_id: str) -> None:
        self.fold, self.device_id, self.partition = fold, device_id, device_partition(device_id)
        self.state = fold.initial(device_id)
        self.events = self.times = self.doubtful = 0
        self.is_known = False
        self.rows: Rows = {}

    def hear(self, event: DeviceEvent, heard: int, groups: Groups) -> None:
        """The event after all that was due by when it was heard."""
        arrived = ArrivedEvent(**msgspec.structs.asdict(event), arrival=heard)
        steps = _Steps(self)
        try:
            steps.advance(heard)
            steps.hear(arrived, heard)
        except Exception:  # a team's code may raise whatever it likes; its event is a dead letter
            return
        self._take(steps, groups)

    def forget(self, at: int, groups: Groups) -> None:
        steps = _Steps(self)
        try:
            steps.forget(at)
        except Exception:
            return
        self._take(steps, groups)

    def at(self, at: int, groups: Groups | None) -> Mapping[tuple[str, str], Row]:
        """The rows as they are at that time if nothing more is heard; what is given on the way goes to `groups`."""
        if not self.is_known:
            return self.rows
        steps = _Steps(self)
        try:
            steps.advance(at)
        except Exception:
            return self.rows
        if groups is not None:
            _give(steps.given, groups, self.device_id)
        return {**self.rows, **steps.rows} if steps.rows else self.rows

    def _take(self, steps: _Steps, groups: Groups) -> None:
        self.state, self.events, self.times, self.is_known = steps.state, steps.events, steps.times, steps.is_known
        if steps.rows:
            self.rows = {**self.rows, **steps.rows}
        _give(steps.given, groups, self.device_id)


def _give(given: list[_Given], groups: Groups, device_id: str) -> None:
    for at, by_time, made in given:
        row = groups.row(made.group, made.sort)
        row.add(at, made.add, made.expires_at, by_time)
        if made.high is not None:
            row.rank(device_id, made.high)


def is_judged(fold: OwnFold) -> bool:
    """Whether the log explains a team's fold: one that goes by the machine's clock, or by rules, is not judged."""
    return fold.clock != "processing" and not hasattr(fold, "under")
