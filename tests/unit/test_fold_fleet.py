"""How groups of devices are: timelines of one device, and a fleet counted anew from all of its events."""

from collections import defaultdict
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from operators.folds.fleet import Fleet, FleetState
from operators.folds.groups import TOP, Contributed, GroupRow, group_of
from operators.folds.kept import Kept, KeptFold
from operators.folds.steps import Held, Steps
from operators.folds.testing import FoldTest
from schemas.events import DeviceEvent
from tests.support.folds import PresenceOracle

S, HOUR = 1_000, 3_600_000


def data(test: FoldTest[FleetState], group: str, sort: str = "fleet") -> dict[str, object]:
    return dict(test.group_rows[group][sort].update("p", sort).data)


def test_a_device_counts_in_its_groups_by_its_status() -> None:
    test = FoldTest(Fleet())
    test.event(
        "registered", at=0, attributes={"site": "berlin", "model": "x", "colour": "red", "report_interval_s": "10"}
    )
    assert data(test, "all") == data(test, "site#berlin") == {"devices": 1}
    test.event(at=S, metrics={"t": 1.0})
    assert data(test, "model#x") == {"devices": 1, "online": 1}
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


def test_a_list_of_the_highest_is_that_of_the_hour() -> None:
    test = FoldTest(Fleet(), "pump")
    for at, value in ((0, 5.0), (S, 7.0), (2 * S, 6.0), (HOUR, 1.0)):
        test.event(at=at, metrics={"t": value})
    assert data(test, "all", "fleet#top#t#1970-01-01T00:00:00Z") == {"device_1": "pump", "value_1": 7.0}
    assert data(test, "all", "fleet#top#t#1970-01-01T01:00:00Z") == {"device_1": "pump", "value_1": 1.0}


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
    """Three devices that report, move and fall silent, in whole seconds."""
    clocks, made = [0, 0, 0], []
    for number in range(draw(st.integers(1, 30))):
        device = draw(st.integers(0, 2))
        clocks[device] = max(0, clocks[device] + draw(st.sampled_from([1, 1, 2, 0, -1, 15])))
        site = draw(st.sampled_from([None, None, "a", "b"]))
        kind = draw(st.sampled_from(["telemetry", "telemetry", "configured"]))
        attributes = ({"site": site} if site else {}) | ({"report_interval_s": "2"} if kind == "configured" else {})
        metrics = {"t": float(draw(st.integers(-3, 3)))} if kind == "telemetry" else {}
        at = clocks[device] * S
        made.append(DeviceEvent(f"e{number}", f"d{device}", kind, at, number, metrics, attributes))
    return made


@settings(max_examples=150)
@given(fleets(), st.integers(1, 5), st.integers(0, 20), st.randoms(use_true_random=False))
def test_groups_are_as_a_count_of_their_devices_says(
    sent: list[DeviceEvent], size: int, silence_s: int, chance: object
) -> None:
    end = max(event.event_time for event in sent) + silence_s * S
    made = contributions(sent, size, end)
    chance.shuffle(made)  # type: ignore[attr-defined] - what tasks contribute comes in any order
    found: defaultdict[str, GroupRow] = defaultdict(lambda: GroupRow("fleet"))
    for group, one in made:
        if one.sort == "fleet":
            found[group].take(one)
    for group, expected in counted(sent, end).items():
        row = {field: amount for field, amount in found[group].sums.items() if amount}
        assert row == expected, group


def contributions(sent: Sequence[DeviceEvent], size: int, end: int) -> list[tuple[str, Contributed]]:
    """Of batches of `size` events a device, between which the state is written and read again."""
    fold, made = Fleet(), []
    kept = KeptFold(fold)
    for device in sorted({event.device_id for event in sent}):
        held: Held[FleetState] | None = None
        events = [event for event in sent if event.device_id == device]
        for start in range(0, len(events), size):
            steps = Steps(fold, device, held)
            for event in events[start : start + size]:
                steps.fold(event)
            if start + size >= len(events):
                steps.advance(end)
            made += [(group_of(one.partition), one) for one in steps.contributions]
            held = kept.read(kept.text(Kept(steps.held, None))).held
    return made


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
