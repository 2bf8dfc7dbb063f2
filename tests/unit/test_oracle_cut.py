"""What the oracle makes of a log within a cut and beyond it: late events, copies and corrections."""

from itertools import permutations

import msgspec

from telefold.schemas.codec import encode
from telefold.schemas.errors import Reason
from telefold.schemas.events import DeviceEvent
from telefold.schemas.log_records import Positions
from telefold.verify.oracle import Reckoning, corrections_in, fold
from tests.support.reckonings import ALL, HOUR, RETENTION, SIZES, correction, event, log, reckon, row


def reckon_cut(cut: Positions, *events: DeviceEvent, lateness: int = 10_000) -> Reckoning:
    return fold(log(events), SIZES, lateness, RETENTION, cut)


def test_within_the_cut_nothing_is_late_and_beyond_it_the_clock_it_left_judges() -> None:
    ahead, late = event(HOUR, name="ahead"), event(0, name="late")
    too_late, in_time = event(HOUR - 10_001, name="too late"), event(HOUR - 10_000, name="in time")
    reckoning = reckon_cut({"shard-0": "1"}, ahead, late, too_late, in_time)
    assert reckoning.accepted == 3
    assert [letter.sequence_number for letter in reckoning.dead_letters] == ["2"]
    assert row(reckoning, "rollup#1m#temperature#2026-01-31T12:00:00Z").version == 1


def test_late_copies_within_the_cut_are_duplicates() -> None:
    events = [event(0, name="a"), event(HOUR), event(0, name="a")]
    assert reckon_cut(ALL, *events).duplicates == 1
    assert reckon_cut({"shard-0": "1"}, *events).rejected == {Reason.TOO_LATE: 1}


def test_a_cut_does_not_reach_into_shards_that_it_does_not_name() -> None:
    assert reckon_cut({"shard-1": "9"}, event(HOUR), event(0)).rejected == {Reason.TOO_LATE: 1}


def test_a_correction_replaces_time_sequence_and_readings() -> None:
    wrong, other = event(0, 50.0, name="wrong", sequence=1), event(70_000, 3.0, name="other", sequence=2)
    reckoning = reckon_cut(ALL, wrong, other, correction("wrong", 60_000, 5.0, sequence=7))
    assert row(reckoning, "rollup#1m#temperature#2026-01-31T12:01:00Z").data["sum"] == 8.0
    assert ("device#d", "rollup#1m#temperature#2026-01-31T12:00:00Z") not in reckoning.rows
    assert (reckoning.sent, reckoning.accepted, reckoning.corrections) == (3, 2, 1)


def test_without_a_cut_a_correction_is_counted_and_nothing_else() -> None:
    ahead = correction("a", 5 * HOUR, 9.0, name="c1")
    behind = correction("a", -5 * HOUR, 9.0, name="c2")
    reckoning = reckon(event(0, 1.0, name="a"), ahead, behind, event(-1_000, 2.0), lateness=10_000)
    assert row(reckoning, "rollup#1h#temperature#2026-01-31T12:00:00Z").data["max"] == 1.0
    assert (reckoning.accepted, reckoning.corrections, reckoning.rejected) == (2, 2, {})


def test_events_and_corrections_beyond_the_cut_stay_apart() -> None:
    first, second = event(0, 1.0, name="first"), event(0, 2.0, name="second")
    early, late = correction("second", 0, 8.0, name="c1"), correction("first", 0, 9.0, name="c2")
    reckoning = reckon_cut({"shard-0": "1"}, first, early, second, late)
    assert row(reckoning, "rollup#1h#temperature#2026-01-31T12:00:00Z").data["sum"] == 3.0
    assert reckoning.corrections == 2


def test_the_greatest_sequence_wins_then_the_time_then_the_id() -> None:
    contest = [
        correction("a", 9_000, 1.0, name="y", sequence=1),
        correction("a", 0, 2.0, name="y", sequence=2),
        correction("a", 1_000, 3.0, name="y", sequence=2),
        correction("a", 1_000, 4.0, name="z", sequence=2),
    ]
    for order in permutations(contest):
        assert row(reckon_cut(ALL, event(0, name="a"), *order), "latest#temperature").data["value"] == 4.0


def test_a_correction_without_readings_takes_its_event_out() -> None:
    reckoning = reckon_cut(ALL, event(0, 50.0, name="a"), correction("a", 0, None))
    assert not reckoning.rows
    assert (reckoning.accepted, reckoning.corrections) == (1, 1)


def test_a_correction_speaks_for_its_own_device_and_for_no_other_correction() -> None:
    foreign = correction("a", 0, 9.0, device="other")
    chained = correction("c1", 0, 8.0, name="c2", sequence=9)
    reckoning = reckon_cut(ALL, event(0, 1.0, name="a"), foreign, correction("a", 0, 2.0, name="c1"), chained)
    assert row(reckoning, "latest#temperature").data["value"] == 2.0
    assert reckoning.partitions == ["device#d"]


def test_the_time_of_a_correction_moves_the_clock() -> None:
    events = [event(0, name="a"), correction("a", HOUR, 1.0), event(HOUR - 10_001), event(HOUR - 10_000)]
    assert reckon_cut({"shard-0": "1"}, *events).accepted == 2


def test_corrections_are_found_in_what_is_valid_and_within_the_cut() -> None:
    no_event = msgspec.structs.replace(correction("a", 0, 1.0), event_time=0)
    before = encode(event(0, name="a"), version=2)
    records = log([before, b"junk", encode(no_event), correction("a", 1, 5.0, name="in"), correction("a", 2, 6.0)])
    found = corrections_in(records, {"shard-0": "3"})
    assert [(key, one.event_id, one.metrics) for key, one in found.items()] == [
        (("d", "a"), "in", {"temperature": 5.0}),
    ]
    given = fold(iter(records), SIZES, HOUR, RETENTION, {"shard-0": "3"}, found)
    assert given == fold(records, SIZES, HOUR, RETENTION, {"shard-0": "3"})
