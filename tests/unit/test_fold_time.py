"""A log makes the same rows, contributions and states live, in a replay, and in whatever batches it is taken."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from telefold.operators.folds.device import Device
from telefold.operators.folds.fleet import Fleet
from telefold.operators.folds.fold import Fold
from telefold.operators.folds.fold_run import Snapshot
from telefold.operators.folds.groups import GroupRow
from telefold.operators.folds.presence import Presence
from telefold.operators.folds.state_codec import StateCodec
from telefold.operators.folds.taking import Due, Happening, Silent, take
from telefold.schemas.events import ArrivedEvent, DeviceEvent, heard_at
from tests.support.examples import examples

S, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
START = 1_800_000_000_000
RETENTION_MS = 2 * DAY
KINDS = st.sampled_from([*["telemetry"] * 12, "configured", "registered", "retired", "alert_acknowledged", "rebooted"])
PAUSES_MS = st.sampled_from([0, 0, 40, 999, S, 10 * S, 10 * S, 10 * S, 15 * S, MINUTE, 20 * MINUTE, HOUR, DAY, 3 * DAY])
CLOCKS_MS = st.sampled_from([0, 540 * S, -300 * S, 7, -20 * MINUTE, -3 * HOUR])


class Log(NamedTuple):
    events: Sequence[DeviceEvent]
    end: int
    """Up to which arrival it has been read."""


@st.composite
def logs(draw: st.DrawFn) -> Log:
    """Of one device: its clock is ahead, behind and jumps; it is silent, has backlogs, moves, and is told intervals."""
    arrival, clock, backlog = START, draw(CLOCKS_MS), 0
    events: list[DeviceEvent] = []
    for number in range(draw(st.integers(1, 25))):
        pause = draw(PAUSES_MS)
        arrival += pause
        if draw(st.integers(0, 7)) == 0:
            clock = draw(CLOCKS_MS)
        if draw(st.integers(0, 9)) == 0:
            backlog = -20 * MINUTE
        backlog = min(0, backlog + 10 * S)
        kind = draw(KINDS)
        metrics = draw(st.dictionaries(st.sampled_from("tu"), st.integers(-3, 3).map(float), max_size=2))
        attributes = draw(
            st.fixed_dictionaries(
                {},
                optional={"site": st.sampled_from("ab"), "report_interval_s": st.sampled_from(["10", "1", "300", "x"])},
            )
            if kind != "telemetry" or draw(st.integers(0, 3)) == 0
            else st.just({})
        )
        at = arrival + draw(st.sampled_from([0, 0, 0, -500]))
        time = at + clock + backlog
        sequence = draw(st.integers(0, number))
        events.append(ArrivedEvent(f"e{number}", "d", kind, time, sequence, metrics, attributes, arrival=at))
    return Log(events, max(heard_at(event) for event in events) + draw(PAUSES_MS))


class Told(NamedTuple):
    """What a log has come to."""

    held: Snapshot[Any] | None
    rows: dict[tuple[str, str], Any]
    groups: dict[tuple[str, str], GroupRow]


class Job:
    """One fold as Flink runs it over the events of one device: timers fire as far as the log has been read."""

    def __init__(self, fold: Fold[Any], retention_ms: int | None) -> None:
        self._retention_ms = retention_ms
        self._kept = StateCodec(fold)
        self._text: str | None = None
        self._timers: set[int] = set()
        self._rows: dict[tuple[str, str], Any] = {}
        self._groups: dict[tuple[str, str], GroupRow] = {}

    def read_up_to(self, time: int) -> None:
        while due := sorted(at for at in self._timers if at <= time):
            self._timers.remove(due[0])
            if self._text is None:
                continue
            timer, end, is_forgotten = self._kept.timers(self._text)
            if end == due[0] and is_forgotten:
                self._text = None
                continue
            happened: list[Happening] = [Due(due[0])] if timer == due[0] else []
            happened += [Silent(due[0])] if end == due[0] else []
            if happened:
                self.take(happened)

    def take(self, happened: Sequence[Happening]) -> None:
        taken = take(self._kept, "d", self._text, happened, self._retention_ms)
        assert not taken.failures
        self._text = taken.text
        self._timers |= {at for _, at in taken.armed}
        for update in taken.updates:
            key = update.partition, update.sort
            assert key not in self._rows or self._rows[key].version < update.version
            # Which of the changes are awaited depends on which of them come in one batch.
            self._rows[key] = msgspec.structs.replace(update, to="both")
        for made in taken.contributions:
            assert self._groups.setdefault((made.partition, made.sort), GroupRow(made.view)).take(made)

    def told(self) -> Told:
        """The state alone of what is kept: timers that were put off may be left over."""
        return Told(None if self._text is None else self._kept.read(self._text).held, self._rows, self._groups)


def run(
    fold: Fold[Any], log: Log, sizes: Sequence[int], live: Sequence[bool], retention_ms: int | None = RETENTION_MS
) -> Told:
    """In batches of `sizes`, the rest one by one; `live` says before which of them the log was read up to there."""
    job, rest = Job(fold, retention_ms), list(log.events)
    for number in range(len(rest)):
        size = sizes[number] if number < len(sizes) else 1
        batch, rest = rest[:size], rest[size:]
        if not batch:
            break
        if number < len(live) and live[number]:
            job.read_up_to(heard_at(batch[0]) - 1)
        job.take(batch)
    job.read_up_to(log.end)
    return job.told()


@examples(200)
@given(logs(), st.lists(st.integers(1, 8), max_size=8), st.lists(st.booleans(), max_size=25))
def test_live_and_replay_and_any_batches_are_the_same(log: Log, sizes: list[int], live: list[bool]) -> None:
    for fold in (Device, Presence, Fleet):
        replay = run(fold(), log, [len(log.events)], [])
        assert run(fold(), log, [], [True] * len(log.events)) == replay
        assert run(fold(), log, sizes, live) == replay


@examples(100)
@given(logs())
def test_all_folds_know_the_same_of_a_device(log: Log) -> None:
    """Whether it is retired, and at which site it is, by the rows of one that is not forgotten."""
    device, presence, fleet = (run(fold(), log, [], [], None) for fold in (Device, Presence, Fleet))
    life = device.rows["device#d", "device"].data
    presence_row = presence.rows.get(("device#d", "presence"))
    status = None if presence_row is None else presence_row.data["status"]
    assert (life["status"] == "retired") == (status == "retired")
    counts = {
        partition: {field for field, count in row.sums.items() if count}
        for (partition, sort), row in fleet.groups.items()
        if sort == "fleet" and any(row.sums.values())
    }
    expected = {"devices"} if status is None else {"devices", status}
    site = life.get("attribute.site")
    assert counts == dict.fromkeys(["fleet#all", *([f"fleet#site#{site}"] if site else [])], expected)
