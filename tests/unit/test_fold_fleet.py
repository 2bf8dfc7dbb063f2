"""How groups of devices are: timelines of one device, and a fleet counted anew from all of its events."""

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telefold.operators.folds.event_order import iso
from telefold.operators.folds.fleet import MAX_GROUPS, Fleet, FleetState
from telefold.operators.folds.fold_run import FoldRun, Snapshot
from telefold.operators.folds.groups import TOP, Contributed, GroupRow
from telefold.operators.folds.state_codec import StateCodec, StoredState
from telefold.operators.folds.testing import FoldTest
from telefold.schemas.events import ArrivedEvent, DeviceEvent, heard_at
from telefold.schemas.view_rows import group_of
from tests.support.examples import examples
from tests.support.folds import PresenceOracle

S, HOUR = 1_000, 3_600_000


def data(test: FoldTest[FleetState], group: str, sort: str = "fleet") -> dict[str, object]:
    return dict(test.group_rows[group][sort].update("p", sort).data)


def test_a_device_counts_in_its_groups_by_its_status() -> None:
    test = FoldTest(Fleet())
    test.event(
        "registered", at=0, attributes={"site": "berlin", "model": "x", "colour": "red", "report_interval_s": "10"}
    )
    assert data(test, "all") == data(test, "site#berlin") == {"devices": 1, "silent": 1}
    test.event(at=S, metrics={"t": 1.0})
    assert data(test, "model#x") == {"devices": 1, "online": 1, "silent": 0}
    test.advance_to(30 * S)
    assert data(test, "all") == {"devices": 1, "online": 0, "silent": 1}
    test.advance_to(60 * S)
    assert data(test, "all") == {"devices": 1, "offline": 1, "online": 0, "silent": 0}
    test.event("retired", at=70 * S)
    assert data(test, "all") == {"devices": 1, "offline": 0, "online": 0, "retired": 1, "silent": 0}
    assert set(test.group_rows) == {"all", "site#berlin", "model#x"}


def test_a_device_that_moves_is_taken_from_the_one_group_and_added_to_the_other() -> None:
    test = FoldTest(Fleet())
    test.event(at=0, metrics={"t": 1.0}, attributes={"site": "a"})
    test.event(at=S, metrics={"t": 2.0}, attributes={"site": "b"})
    assert data(test, "site#a") == {"devices": 0, "online": 0}
    assert data(test, "site#b") == {"devices": 1, "online": 1}
    assert data(test, "all") == {"devices": 1, "online": 1}


def test_a_device_is_active_once_in_each_window_even_when_it_is_late() -> None:
    test = FoldTest(Fleet())
    for at in (0, 10 * S, HOUR, HOUR + S, 20 * S, 2 * HOUR, HOUR + 5 * S):
        test.event(at=at, metrics={"t": 1.0})
    hours = {sort: row.sums for sort, row in test.group_rows["all"].items() if sort.startswith("fleet#active#1h#")}
    assert hours == {f"fleet#active#1h#1970-01-01T0{hour}:00:00Z": {"devices": 1} for hour in range(3)}
    assert data(test, "all", "fleet#active#1d#1970-01-01T00:00:00Z") == {"devices": 1}


def test_a_device_that_is_registered_and_never_reports_counts_as_silent_and_then_as_offline() -> None:
    test = FoldTest(Fleet())
    test.event("registered", at=0, attributes={"report_interval_s": "10"})
    assert data(test, "all") == {"devices": 1, "silent": 1}
    test.advance_to(35 * S)
    assert data(test, "all") == {"devices": 1, "offline": 1, "silent": 0}


@pytest.mark.parametrize("ahead_ms", [9 * 60 * S, -5 * 60 * S])
def test_a_wrong_clock_leaves_its_device_online(ahead_ms: int) -> None:
    test = FoldTest(Fleet())
    for at in range(HOUR, HOUR + 600 * S, 10 * S):
        test.event(at=at + ahead_ms, heard_at=at, metrics={"t": 1.0})
        test.advance_to(at + 9 * S)
        assert data(test, "all")["online"] == 1
    assert data(test, "all") == {"devices": 1, "online": 1}


def test_a_device_that_moves_away_and_back_is_active_once_in_each_window_and_group() -> None:
    test = FoldTest(Fleet())
    for minute, site in enumerate(["a", "a", "b", "a", "c", "b", "a", "a"]):
        test.event(at=minute * 60 * S, metrics={"t": 1.0}, attributes={"site": site})
    for group in ("all", "site#a", "site#b", "site#c"):
        assert data(test, group, "fleet#active#1h#1970-01-01T00:00:00Z") == {"devices": 1}, group
        assert data(test, group, "fleet#active#1d#1970-01-01T00:00:00Z") == {"devices": 1}, group
    test.event(at=HOUR, metrics={"t": 1.0}, attributes={"site": "b"})
    test.event(at=59 * 60 * S, heard_at=HOUR, metrics={"t": 1.0})
    assert data(test, "site#b", "fleet#active#1h#1970-01-01T01:00:00Z") == {"devices": 1}
    assert data(test, "site#b", "fleet#active#1h#1970-01-01T00:00:00Z") == {"devices": 1}
    assert data(test, "site#b", "fleet#active#1d#1970-01-01T00:00:00Z") == {"devices": 1}


def test_what_is_kept_of_where_a_device_was_has_bounds() -> None:
    """In a group for which there is no room it is not counted, and in none twice; a day later all is forgotten."""
    test = FoldTest(Fleet())
    for _ in range(2):
        for site in range(100):
            test.event(at=test.now + S, metrics={"t": 1.0}, attributes={"site": f"{site}"})
    day = "fleet#active#1d#1970-01-01T00:00:00Z"
    counts = [data(test, f"site#{site}", day) for site in range(100) if day in test.group_rows[f"site#{site}"]]
    assert counts == [{"devices": 1}] * (MAX_GROUPS - 1)
    assert len(test.state.elsewhere) <= MAX_GROUPS
    test.event(at=30 * HOUR, metrics={"t": 1.0})
    assert (test.state.elsewhere, test.state.active) == ({}, {"1h": (30,), "1d": (1,)})


@pytest.mark.parametrize(("lateness_ms", "kept"), [(HOUR, (4, 5)), (3 * HOUR, (2, 3, 4, 5)), (S, (5,))])
def test_windows_are_open_as_long_as_readings_may_be_late(lateness_ms: int, kept: tuple[int, ...]) -> None:
    fold = Fleet()
    fold.lateness_ms = lateness_ms
    test = FoldTest(fold)
    for hour in (0, 1, 2, 3, 4, 5):
        test.event(at=hour * HOUR + 60 * S, metrics={"t": float(hour)})
    assert test.state.active["1h"] == kept
    before = {sort: dict(row.sums) for sort, row in test.group_rows["all"].items()}
    for hour in (0, 1, 2, 3, 4, 5):
        test.event(at=hour * HOUR, heard_at=6 * HOUR, metrics={"t": 100.0})
    assert {sort: dict(row.sums) for sort, row in test.group_rows["all"].items()} == before
    late = {hour: data(test, "all", f"fleet#top#t#1970-01-01T0{hour}:00:00Z")["value_1"] for hour in range(6)}
    assert late == {hour: 100.0 if hour in kept else float(hour) for hour in range(6)}


def test_a_list_of_the_highest_is_that_of_the_hour() -> None:
    test = FoldTest(Fleet(), "pump")
    for at, value in ((0, 5.0), (S, 7.0), (2 * S, 6.0), (HOUR, 1.0)):
        test.event(at=at, metrics={"t": value})
    assert data(test, "all", "fleet#top#t#1970-01-01T00:00:00Z") == {"device_1": "pump", "value_1": 7.0}
    assert data(test, "all", "fleet#top#t#1970-01-01T01:00:00Z") == {"device_1": "pump", "value_1": 1.0}
    for at, value in ((3 * S, 6.5), (4 * S, 9.0), (5 * S, 8.0)):
        test.event(at=at, heard_at=HOUR + S, metrics={"t": value})
    assert data(test, "all", "fleet#top#t#1970-01-01T00:00:00Z") == {"device_1": "pump", "value_1": 9.0}
    assert data(test, "all", "fleet#top#t#1970-01-01T01:00:00Z") == {"device_1": "pump", "value_1": 1.0}
    test.event(at=2 * HOUR, metrics={"t": 1.0})
    assert test.state.late_highs == {}


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(-50, 50)), max_size=200))
def test_the_highest_are_those_of_all_readings(readings: list[tuple[int, int]]) -> None:
    row, highest = GroupRow("fleet"), dict[str, float]()
    for device, value in readings:
        name = f"d{device}"
        if value > highest.get(name, -100):
            highest[name] = value
            row.take(Contributed("p", "fleet", name, "top", {}, float(value), None, 0))
    ranked = sorted(highest.items(), key=lambda one: (-one[1], one[0]))[:TOP]
    found = row.update("p", "s").data
    assert [(found[f"device_{n}"], found[f"value_{n}"]) for n in range(1, len(ranked) + 1)] == ranked
    assert len(found) == 2 * len(ranked)


@st.composite
def fleets(draw: st.DrawFn) -> list[DeviceEvent]:
    """Three devices that report, move and fall silent, in whole seconds, one of them with a clock that jumps."""
    clocks, made = [10_000, 10_000, 10_000], list[DeviceEvent]()
    for number in range(draw(st.integers(1, 30))):
        device = draw(st.integers(0, 2))
        clocks[device] = max(0, clocks[device] + draw(st.sampled_from([1, 1, 2, 0, -1, 15])))
        site = draw(st.sampled_from([None, None, "a", "b"]))
        kind = draw(st.sampled_from(["telemetry", "telemetry", "configured"]))
        attributes = ({"site": site} if site else {}) | ({"report_interval_s": "2"} if kind == "configured" else {})
        metrics = {"t": float(draw(st.integers(-3, 3)))} if kind == "telemetry" else {}
        at = clocks[device] * S
        time = at + draw(st.sampled_from([0, 0, HOUR, -HOUR])) if device == 2 else at
        made.append(ArrivedEvent(f"e{number}", f"d{device}", kind, time, number, metrics, attributes, arrival=at))
    return made


@examples(150)
@given(fleets(), st.integers(1, 5), st.integers(0, 20), st.randoms(use_true_random=False))
def test_groups_are_as_a_count_of_their_devices_says(
    sent: list[DeviceEvent], size: int, silence_s: int, chance: random.Random
) -> None:
    end = max(heard_at(event) for event in sent) + silence_s * S
    made = contributions(sent, size, end)
    chance.shuffle(made)  # what tasks contribute comes in any order
    found: defaultdict[str, GroupRow] = defaultdict(lambda: GroupRow("fleet"))
    for group, one in made:
        found[group if one.sort == "fleet" else f"{group} {one.sort}"].take(one)
    for group, expected in counted(sent, end).items():
        row = {field: amount for field, amount in found[group].sums.items() if amount}
        assert row == expected, group
    assert {name: row.sums for name, row in found.items() if "#active#" in name} == active(sent)
    assert {name: row.highs for name, row in found.items() if "#top#" in name} == highest(sent)


def contributions(sent: Sequence[DeviceEvent], size: int, end: int) -> list[tuple[str, Contributed]]:
    """Of batches of `size` events a device, between which the state is written and read again."""
    fold, made = Fleet(), []
    kept = StateCodec(fold)
    for device in sorted({event.device_id for event in sent}):
        held: Snapshot[FleetState] | None = None
        events = [event for event in sent if event.device_id == device]
        for start in range(0, len(events), size):
            steps = FoldRun(fold, device, held)
            for event in events[start : start + size]:
                steps.fold(event)
            if start + size >= len(events):
                steps.advance(end)
            made += [(group_of(one.partition), one) for one in steps.contributions]
            held = kept.read(kept.text(StoredState(steps.held, None))).held
    return made


def reports(sent: Sequence[DeviceEvent], length: int) -> Iterator[tuple[DeviceEvent, str]]:
    """Readings whose window is open, with each group that their device was in then and the start."""
    for number, event in enumerate(sent):
        before = [one for one in sent[: number + 1] if one.device_id == event.device_id]
        sites = [(one.event_time, one.sequence, one.attributes["site"]) for one in before if "site" in one.attributes]
        start = event.event_time // length * length
        if event.metrics and start + length > max(one.event_time for one in before) - HOUR:
            for group in ("all", *([f"site#{max(sites)[2]}"] if sites else [])):
                yield event, f"{group} {iso(start).replace('.000Z', 'Z')}"


def active(sent: Sequence[DeviceEvent]) -> dict[str, dict[str, float]]:
    found: defaultdict[str, set[str]] = defaultdict(set)
    for label, length in (("1h", HOUR), ("1d", 24 * HOUR)):
        for event, where in reports(sent, length):
            found[where.replace(" ", f" fleet#active#{label}#")].add(event.device_id)
    return {row: {"devices": float(len(devices))} for row, devices in found.items()}


def highest(sent: Sequence[DeviceEvent]) -> dict[str, dict[str, float]]:
    found: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for event, where in reports(sent, HOUR):
        row = found[where.replace(" ", " fleet#top#t#")]
        row[event.device_id] = max(event.metrics["t"], row.get(event.device_id, event.metrics["t"]))
    return found


def counted(sent: Sequence[DeviceEvent], end: int) -> dict[str, dict[str, int]]:
    groups: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for device in {event.device_id for event in sent}:
        events, oracle = [event for event in sent if event.device_id == device], PresenceOracle()
        for event in events:
            oracle.add(event)
        oracle.tick_to(end)
        sites = sorted(
            (one.event_time, one.sequence, one.attributes["site"]) for one in events if one.attributes.get("site")
        )
        for group in ("all", *([f"site#{sites[-1][2]}"] if sites else [])):
            for field in ("devices", oracle.status.get("")):
                if field:
                    groups[group][field] = groups[group].get(field, 0) + 1
    return groups
