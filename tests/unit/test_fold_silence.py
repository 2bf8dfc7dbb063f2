"""A device is forgotten for its own silence, whatever its clock shows and whatever others have reported."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import pytest
from pyflink.datastream import TimeDomain

from telefold.operators.flink.fold_function import FoldFunction
from telefold.operators.folds.device import Device
from telefold.operators.folds.fold import Fold, FoldRow
from telefold.operators.folds.fold_run import FORGOTTEN_ROWS_KEPT_S
from telefold.schemas.events import ArrivedEvent, DeviceEvent
from telefold.schemas.view_rows import ViewUpdate

DAY_MS = 86_400_000
KEPT_MS = 90 * DAY_MS
START = 1_800_000_000_000


class Days(msgspec.Struct, frozen=True):
    last: int = 0
    days: int = 0


class Idle(Fold[Days]):
    """Counts the days since the last event, as long as they pass."""

    name = "idle"
    state = Days

    def initial(self, key: str) -> Days:
        return Days()

    def evolve(self, state: Days, event: DeviceEvent) -> Days:
        return Days(event.event_time)

    def wake_at(self, state: Days) -> int | None:
        return state.last + (state.days + 1) * DAY_MS if state.last else None

    def on_time(self, state: Days, at: int) -> Days:
        return Days(state.last, state.days + 1)

    def rows(self, state: Days) -> Iterable[FoldRow]:
        yield FoldRow(f"idle#{state.last}", {"days": state.days})


class Task:
    """A `FoldFunction` with what Flink would give it, of one device."""

    def __init__(self, fold: Fold[Any]) -> None:
        self._text: str | None = None
        self._timers: set[int] = set()
        self.rows: dict[str, ViewUpdate] = {}
        self._function = FoldFunction([fold], KEPT_MS)
        self._function.open(self)

    def take(self, event: ArrivedEvent) -> None:
        self._show(self._function.process_element(msgspec.json.encode(event).decode(), self))

    def pass_watermark(self, at: int) -> None:
        while due := sorted(timer for timer in self._timers if timer <= at):
            self._timers.remove(due[0])
            self._show(self._function.on_timer(due[0], self))

    def _show(self, emitted: Iterable[Any]) -> None:
        for row in emitted:
            assert row[3] is None
            for update in msgspec.json.Decoder(ViewUpdate).decode_lines(row[1]):
                assert update.sort not in self.rows or self.rows[update.sort].version < update.version
                self.rows[update.sort] = update

    def get_state(self, descriptor: Any) -> "Task":
        return self

    def value(self) -> str | None:
        return self._text

    def update(self, text: str) -> None:
        self._text = text

    def clear(self) -> None:
        self._text = None

    def get_current_key(self) -> str:
        return "device#d"

    def time_domain(self) -> TimeDomain:
        return TimeDomain.EVENT_TIME

    def timer_service(self) -> "Task":
        return self

    def register_event_time_timer(self, at: int) -> None:
        self._timers.add(at)

    def current_processing_time(self) -> int:
        return 0

    def get_metrics_group(self) -> "Task":
        return self

    def add_group(self, *names: str) -> "Task":
        return self

    def counter(self, name: str) -> None: ...


def events(days: Sequence[int], behind_ms: int) -> list[ArrivedEvent]:
    times = [START + day * DAY_MS for day in days]
    return [
        ArrivedEvent(f"e{number}", "d", "telemetry", at - behind_ms, number, arrival=at)
        for number, at in enumerate(times)
    ]


@pytest.mark.parametrize("behind_days", [0, 1, 91, 3_650])
@pytest.mark.parametrize("fold", [Device, Idle])
def test_a_rebuild_without_watermarks_forgets_when_the_live_job_did(fold: type[Fold[Any]], behind_days: int) -> None:
    live, rebuilt = Task(fold()), Task(fold())
    for event in events([0, 10, 20, 109, 210, 211], behind_days * DAY_MS):
        live.pass_watermark(event.arrival or 0)
        live.take(event)
        rebuilt.take(event)
    if fold is Device:
        assert live.rows["device"].data["events"] == 2
        assert live.rows == rebuilt.rows
    else:
        gone = f"idle#{START + (109 - behind_days) * DAY_MS}"
        assert live.rows[gone].expires_at == (START + 199 * DAY_MS) // 1_000 + FORGOTTEN_ROWS_KEPT_S
        assert live.rows[gone] == rebuilt.rows[gone]


def test_a_clock_that_is_years_behind_is_no_silence() -> None:
    task = Task(Device())
    for number, event in enumerate(events([0, 30, 60, 90, 120], 3_650 * DAY_MS), 1):
        task.take(event)
        task.pass_watermark((event.arrival or 0) + DAY_MS)
        assert (task.rows["device"].data["events"], task.rows["device"].expires_at) == (number, None)


def test_a_clock_that_was_put_right_is_no_silence() -> None:
    task = Task(Device())
    (wrong,), (right,) = events([0], 3_650 * DAY_MS), events([1], 0)
    task.take(wrong)
    task.take(right)
    assert task.rows["device"].data["events"] == 2


def test_where_no_arrival_is_known_the_events_time_is_taken_for_it() -> None:
    task = Task(Device())
    for event in events([0, 91], 0):
        task.take(msgspec.structs.replace(event, arrival=None))
    assert task.rows["device"].data["events"] == 1
