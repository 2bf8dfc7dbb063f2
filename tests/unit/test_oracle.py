"""What the oracle makes of short logs: windows, counters, latest readings, names, and what it rejects."""

from itertools import permutations

import msgspec
import pytest

from telefold.schemas.codec import encode
from telefold.schemas.errors import Reason
from telefold.schemas.events import DeviceEvent
from telefold.verify.oracle import Oracle, fold
from tests.support.reckonings import HOUR, NOON, RETENTION, SIZES, event, hourly, log, reckon, row, same_views


def test_the_deviation_of_large_readings_does_not_cancel() -> None:
    """From sums of squares it was 157."""
    reckoning = reckon(*(event(at, 5e9 + (173 if at % 2 else -173)) for at in range(100)))
    (m2,) = hourly(reckoning, "m2")
    assert isinstance(m2, float)
    assert (m2 / 100) ** 0.5 == pytest.approx(173, abs=1e-3)


def test_a_counter_rises_from_its_newest_reading_and_from_0_when_it_was_reset() -> None:
    values = [100.0, 130.0, 130.0, 20.0, 25.0]
    assert hourly(reckon(*(event(at, value) for at, value in enumerate(values))), "increase") == [30.0 + 20.0 + 5.0]


def test_a_rise_is_of_the_window_of_the_newer_reading_however_long_after_the_older() -> None:
    reckoning = reckon(event(0, 100.0), event(7 * HOUR, 130.0), event(29 * HOUR, 150.0))
    assert hourly(reckoning, "increase") == [0.0, 30.0, 20.0]


def test_an_older_reading_says_nothing_of_how_a_counter_rose() -> None:
    assert hourly(reckon(event(1_000, 100.0), event(0, 90.0), event(2_000, 101.0)), "increase") == [1.0]
    one_time = [event(0, 100.0, sequence=2), event(0, 90.0, sequence=1), event(0, 103.0, sequence=3)]
    assert hourly(reckon(*one_time), "increase") == [3.0]


def test_first_and_last_are_the_least_and_greatest_reading_by_time_sequence_and_id() -> None:
    tied = [("b", 1, 1.0), ("a", 1, 2.0), ("c", 0, 3.0), ("d", 5, 4.0), ("e", 5, 5.0)]
    reckoning = reckon(*(event(7, value, name, sequence=sequence) for name, sequence, value in tied))
    assert (hourly(reckoning, "first"), hourly(reckoning, "last")) == ([3.0], [5.0])


def test_windows_of_a_time_zone_turn_at_its_midnight() -> None:
    """Noon of 31 January in UTC is half past five there; midnight comes six and a half hours later."""
    sizes = {"1d@Asia/Kolkata": 27 * HOUR}
    events = [event(0), event(6 * HOUR + HOUR // 2 - 1), event(6 * HOUR + HOUR // 2)]
    reckoning = fold(log(events), sizes, HOUR, RETENTION)
    assert hourly(reckoning, "count", "1d@Asia/Kolkata") == [2, 1]
    first = row(reckoning, "rollup#1d@Asia/Kolkata#temperature#2026-01-30T18:30:00Z")
    assert first.expires_at == (NOON - 17 * HOUR - HOUR // 2 + 27 * HOUR) // 1_000 + 86_400


def test_a_counter_goes_on_as_long_as_there_are_not_too_many_names() -> None:
    """Where there are more than may be known, by more than a quarter, those are forgotten that are not."""

    def named(at: int, names: range) -> DeviceEvent:
        return DeviceEvent(f"e-{at}", "d", "telemetry", NOON + at, 0, {f"n{number}": 1.0 for number in names})

    def risen(others: int) -> object:
        many = [named(3 * HOUR * turn, range(1_000 * turn, 1_000 * turn + others)) for turn in range(1, 5)]
        return hourly(reckon(event(0, 100.0), *many, event(16 * HOUR, 130.0)), "increase")[-1]

    assert (risen(624), risen(625)) == (30.0, 0.0)


def test_a_window_holds_what_happened_in_it() -> None:
    reckoning = reckon(event(0, 2.0), event(59_999, 4.0), event(60_000, 8.0))
    first = row(reckoning, "rollup#1m#temperature#2026-01-31T12:00:00Z")
    assert first.data == {
        "count": 2, "sum": 6, "min": 2, "max": 4, "m2": 2, "first_at": NOON, "first": 2, "last_at": NOON + 59_999,
        "last": 4, "increase": 2,
    }  # fmt: skip
    assert first.version == 2
    assert first.expires_at == NOON // 1000 + 60 + 86_400
    assert row(reckoning, "rollup#1m#temperature#2026-01-31T12:01:00Z").version == 1
    assert row(reckoning, "rollup#1h#temperature#2026-01-31T12:00:00Z").version == 3


def test_latest_is_the_newest_reading_not_the_last_to_come() -> None:
    latest = row(reckon(event(5_000, 2.0), event(4_000, 3.0)), "latest#temperature")
    assert latest.data == {"value": 2.0, "at": NOON + 5_000}
    assert latest.version == (NOON + 5_000) * 2**20 + 1
    assert latest.expires_at is None


def test_sequence_breaks_ties_of_event_time() -> None:
    for order in permutations([event(0, 1.0, sequence=1), event(0, 2.0, sequence=2), event(0, 3.0, sequence=0)]):
        assert row(reckon(*order), "latest#temperature").data["value"] == 2.0


def test_event_id_breaks_ties_of_sequence_by_code_points() -> None:
    tied = [event(0, 1.0, name="b"), event(0, 2.0, name="a"), event(0, 3.0, name="\uffff"), event(0, 4.0, name="😀")]
    for order in permutations(tied):
        assert row(reckon(*order), "latest#temperature").data["value"] == 4.0


def test_the_version_of_a_latest_reading_counts_all_of_its_time() -> None:
    readings = [event(0, 1.0, sequence=2), event(0, 2.0, sequence=1), event(-1, 3.0, sequence=3)]
    for order in permutations(readings):
        assert row(reckon(*order), "latest#temperature").version == NOON * 2**20 + 2
    assert row(reckon(*readings, event(1, 4.0)), "latest#temperature").version == (NOON + 1) * 2**20 + 1


def named(at: int, first: int, count: int) -> DeviceEvent:
    metrics = {f"m{number}": 1.0 for number in range(first, first + count)}
    return DeviceEvent(f"{at}-{first}", "d", "telemetry", NOON + at, at, metrics)


def test_an_event_with_too_many_new_names_is_rejected_and_changes_nothing() -> None:
    known = [named(0, 0, 1_000), named(1, 1_000, 1_000)]
    reckoning = reckon(*known, named(30 * 60_000, 2_000, 1), named(2, 0, 500))
    assert reckoning.rejected == {Reason.TOO_MANY_NAMES: 1}
    assert len(reckoning.rows) == 3 * 2_000
    assert same_views(reckoning, reckon(*known, named(2, 0, 500)))


def test_names_end_once_they_were_not_reported_for_the_largest_window_and_the_lateness() -> None:
    known = [named(0, 0, 1_000), named(1, 1_000, 1_000)]
    assert reckon(*known, named(HOUR, 2_000, 1)).rejected == {Reason.TOO_MANY_NAMES: 1}
    assert not reckon(*known, named(HOUR + 1, 2_000, 1_000)).rejected
    assert reckon(*known, named(HOUR + 1, 2_000, 1_000), named(HOUR + 1, 3_000, 1)).rejected


def test_late_is_later_than_lateness_behind_the_devices_own_clock() -> None:
    on_time, too_late = event(HOUR - 10_000, name="a"), event(HOUR - 10_001, name="b")
    reckoning = reckon(event(HOUR), event(0, device="other"), on_time, too_late, lateness=10_000)
    assert reckoning.rejected == {Reason.TOO_LATE: 1}
    assert reckoning.dead_letters[0].sequence_number == "3"
    assert reckoning.accepted == 3


def test_a_late_copy_is_late_before_it_is_a_duplicate() -> None:
    reckoning = reckon(event(0, name="a"), event(HOUR), event(0, name="a"), lateness=10_000)
    assert (reckoning.duplicates, reckoning.rejected) == (0, {Reason.TOO_LATE: 1})


def test_neither_a_late_nor_a_rejected_event_moves_the_clock() -> None:
    ahead = encode(msgspec.structs.replace(event(20_000), event_time=NOON + 40 * HOUR))
    reckoning = reckon(event(10_000), ahead, event(0, name="late"), event(1_000), lateness=9_000)
    assert reckoning.rejected == {Reason.TIME_IN_FUTURE: 1, Reason.TOO_LATE: 1}
    assert reckoning.accepted == 2


def test_lifecycle_events_move_the_clock_and_leave_no_row() -> None:
    reckoning = reckon(event(HOUR, None), event(0), lateness=10_000)
    assert not reckoning.rows
    assert reckoning.rejected == {Reason.TOO_LATE: 1}


def test_one_event_id_of_two_devices_is_two_events() -> None:
    assert reckon(event(0, name="a", device="x"), event(0, name="a", device="y")).accepted == 2


def test_what_is_no_event_is_counted_by_reason() -> None:
    reckoning = reckon(b"", b"junk", event(0), b"junk again")
    assert reckoning.rejected == {Reason.EMPTY_RECORD: 1, Reason.BAD_HEADER: 2}
    assert [letter.sequence_number for letter in reckoning.dead_letters] == ["0", "1", "3"]
    assert (reckoning.sent, reckoning.accepted) == (4, 1)
    assert reckoning.partitions == ["device#d"]


def test_the_rows_of_one_device_are_those_of_the_reckoning() -> None:
    oracle = Oracle(SIZES, HOUR, RETENTION)
    for record in log([event(0, 2.0), event(0, 3.0, device="other"), event(60_000, 4.0)]):
        oracle.add(record)
    rows = oracle.rows_of("d")
    assert len(rows) == 4
    assert {(row.partition, row.sort): row for row in rows} == {
        key: row for key, row in oracle.reckoning().rows.items() if key[0] == "device#d"
    }
    assert oracle.rows_of("unknown") == []
