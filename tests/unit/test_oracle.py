from collections.abc import Sequence
from itertools import permutations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.memory import MemoryViews
from schemas.codec import encode
from schemas.errors import Reason
from schemas.events import DeviceEvent
from schemas.log_records import LogRecord, Positions
from schemas.view_rows import LATEST, ROLLUPS, ViewRow, ViewUpdate
from views.oracle import Oracle, Reckoning, compare, corrections_in, fold, read_rows, unexpired

NOON = 1_769_860_800_000  # 2026-01-31T12:00:00Z
MINUTE = 60_000
HOUR = 60 * MINUTE
SIZES = {"1m": MINUTE, "1h": HOUR}
RETENTION = {LATEST: None, ROLLUPS: 86_400}


def event(at: int, value: float | None = 1.0, name: str = "", device: str = "d", sequence: int = 0) -> DeviceEvent:
    metrics = {} if value is None else {"temperature": value}
    return DeviceEvent(name or f"{device}-{at}-{sequence}", device, "telemetry", NOON + at, sequence, metrics)


def log(events: Sequence[DeviceEvent | bytes]) -> list[LogRecord]:
    return [
        LogRecord(e, NOON + 30 * HOUR, "key", "shard-0", str(number))
        if isinstance(e, bytes)
        else LogRecord(encode(e), NOON + 30 * HOUR, e.device_id, "shard-0", str(number))
        for number, e in enumerate(events)
    ]


def reckon(*events: DeviceEvent | bytes, lateness: int = HOUR) -> Reckoning:
    return fold(log(events), SIZES, lateness, RETENTION)


def row(reckoning: Reckoning, sort: str, device: str = "d") -> ViewUpdate:
    return reckoning.rows[f"device#{device}", sort]


def as_stored(rows: dict[tuple[str, str], ViewUpdate]) -> dict[tuple[str, str], ViewRow]:
    return {key: ViewRow(row.sort, row.version, row.data, row.expires_at) for key, row in rows.items()}


def same_views(one: Reckoning, other: Reckoning) -> bool:
    return not compare(one.rows, as_stored(dict(other.rows)))


# Timelines


def test_a_window_holds_what_happened_in_it() -> None:
    reckoning = reckon(event(0, 2.0), event(59_999, 4.0), event(60_000, 8.0))
    first = row(reckoning, "rollup#1m#temperature#2026-01-31T12:00:00Z")
    expected = {"count": 2, "sum": 6, "min": 2, "max": 4, "sum_sq": 20, "first_at": NOON, "last_at": NOON + 59_999}
    assert first.data == expected
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


# Algebra

VALUES = st.floats(-1e6, 1e6)
DEVICES = st.sampled_from(["x", "y"])


@st.composite
def logs(draw: st.DrawFn, span: int = 3 * HOUR) -> list[LogRecord]:
    """Events with distinct sequences, now and then a copy or junk."""
    size = draw(st.integers(0, 25))
    events: list[DeviceEvent | bytes] = [
        event(draw(st.integers(0, span)), draw(st.none() | VALUES), f"e{number}", draw(DEVICES), number)
        for number in range(size)
    ]
    copies = draw(st.lists(st.sampled_from(events), max_size=5)) if events else []
    return log(draw(st.permutations([*events, *copies, b"junk"])))


def one_after_another(first: list[LogRecord], then: list[LogRecord], lateness: int) -> tuple[Reckoning, Reckoning]:
    oracle = Oracle(SIZES, lateness, RETENTION)
    for record in first:
        oracle.add(record)
    before = oracle.reckoning()
    for record in then:
        oracle.add(record)
    return before, oracle.reckoning()


@given(logs(), st.integers(0, 30), st.integers(0, 3 * HOUR))
def test_folding_on_is_folding_all(records: list[LogRecord], cut: int, lateness: int) -> None:
    before, after = one_after_another(records[:cut], records[cut:], lateness)
    assert before == fold(records[:cut], SIZES, lateness, RETENTION)
    assert after == fold(records, SIZES, lateness, RETENTION)


@given(logs(), st.integers(0, 30), st.integers(0, 3 * HOUR))
def test_versions_never_fall(records: list[LogRecord], cut: int, lateness: int) -> None:
    before, after = one_after_another(records[:cut], records[cut:], lateness)
    assert all(after.rows[key].version >= row.version for key, row in before.rows.items())


@given(logs(), st.integers(0, 3 * HOUR), st.data())
def test_duplicates_are_harmless(records: list[LogRecord], lateness: int, data: st.DataObject) -> None:
    again = list(records)
    for _ in range(data.draw(st.integers(1, 5))):
        source = data.draw(st.integers(0, len(again) - 1))
        again.insert(data.draw(st.integers(source + 1, len(again))), again[source])
    once, twice = (fold(some, SIZES, lateness, RETENTION) for some in (records, again))
    assert once.rows == twice.rows
    assert once.accepted == twice.accepted


@given(logs(), st.data())
def test_order_does_not_matter_when_nothing_is_late(records: list[LogRecord], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(records))
    one, other = (fold(some, SIZES, 3 * HOUR, RETENTION) for some in (records, shuffled))
    assert same_views(one, other)
    assert (one.accepted, one.duplicates) == (other.accepted, other.duplicates)


@given(logs(), st.integers(0, 3 * HOUR))
def test_every_record_is_accounted_for(records: list[LogRecord], lateness: int) -> None:
    reckoning = fold(records, SIZES, lateness, RETENTION)
    rejected = sum(reckoning.rejected.values())
    assert len(records) == reckoning.sent == reckoning.accepted + reckoning.duplicates + rejected
    assert rejected == len(reckoning.dead_letters)


@given(logs())
def test_a_large_window_is_the_merge_of_its_small_ones(records: list[LogRecord]) -> None:
    rows = fold(records, SIZES, HOUR, RETENTION).rows
    for (partition, sort), hour in rows.items():
        if sort.startswith("rollup#1h#"):
            prefix = sort.replace("1h", "1m").removesuffix(":00:00Z")
            minutes = [row for (p, s), row in rows.items() if p == partition and s.startswith(prefix)]
            assert sum(minute.data["count"] for minute in minutes) == hour.data["count"]
            assert max(minute.data["max"] for minute in minutes) == hour.data["max"]
            assert min(minute.data["first_at"] for minute in minutes) == hour.data["first_at"]


# Within a cut and beyond it

ALL = {"shard-0": "999"}
FOREVER = 10**15


def reckon_cut(cut: Positions, *events: DeviceEvent, lateness: int = 10_000) -> Reckoning:
    return fold(log(events), SIZES, lateness, RETENTION, cut)


def correction(
    of: str, at: int, value: float | None, name: str = "c", sequence: int = 0, device: str = "d"
) -> DeviceEvent:
    return msgspec.structs.replace(event(at, value, name, device, sequence), type="correction", corrects=of)


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


CORRECTED = st.builds(
    correction,
    st.integers(0, 25).map("e{}".format),
    st.integers(0, 3 * HOUR),
    st.none() | VALUES,
    st.integers(0, 9).map("c{}".format),
    st.integers(0, 3),
    DEVICES,
)


@st.composite
def logs_of_shards(draw: st.DrawFn) -> tuple[list[LogRecord], Positions]:
    """Events, copies and corrections over two shards, one of each device, and some cut."""
    records = [*draw(logs()), *log(draw(st.lists(CORRECTED, max_size=8)))]
    order = draw(st.permutations(records))
    shards = {"x": "shard-0", "y": "shard-1", "key": "shard-1"}
    placed = [
        msgspec.structs.replace(record, shard=shards[record.partition_key], sequence_number=str(number))
        for number, record in enumerate(order)
    ]
    last = st.integers(-1, len(placed))
    return placed, {shard: str(n) for shard in ("shard-0", "shard-1") if (n := draw(last)) >= 0}


def accounted(reckoning: Reckoning) -> tuple[int, int, int, int]:
    return reckoning.sent, reckoning.accepted, reckoning.duplicates, reckoning.corrections


@given(logs_of_shards(), st.integers(0, 3 * HOUR))
def test_with_a_cut_too_every_record_is_accounted_for(placed: tuple[list[LogRecord], Positions], lateness: int) -> None:
    records, cut = placed
    reckoning = fold(records, SIZES, lateness, RETENTION, cut)
    sent, accepted, duplicates, corrections = accounted(reckoning)
    assert len(records) == sent == accepted + duplicates + corrections + sum(reckoning.rejected.values())


@given(logs_of_shards(), st.integers(0, 3 * HOUR))
def test_an_empty_cut_forgives_and_corrects_nothing(placed: tuple[list[LogRecord], Positions], lateness: int) -> None:
    records, _ = placed
    plain = [record for record in records if not corrections_in([record], {record.shard: record.sequence_number})]
    one, other = fold(records, SIZES, lateness, RETENTION), fold(plain, SIZES, lateness, RETENTION)
    assert one.rows == other.rows
    assert (one.accepted, one.duplicates, one.dead_letters) == (other.accepted, other.duplicates, other.dead_letters)


@given(logs())
def test_a_cut_over_everything_is_endless_lateness(records: list[LogRecord]) -> None:
    assert fold(records, SIZES, 0, RETENTION, ALL) == fold(records, SIZES, FOREVER, RETENTION)


@given(logs_of_shards(), st.integers(0, 3 * HOUR), st.data())
def test_the_order_within_the_cut_does_not_matter(
    placed: tuple[list[LogRecord], Positions], lateness: int, data: st.DataObject
) -> None:
    """Not even that of one device's records; the decisions beyond the cut are the same too."""
    records, cut = placed
    within = [record for record in records if record.is_within(cut)]
    beyond = [record for record in records if not record.is_within(cut)]
    one = fold([*within, *beyond], SIZES, lateness, RETENTION, cut)
    other = fold([*data.draw(st.permutations(within)), *beyond], SIZES, lateness, RETENTION, cut)
    assert same_views(one, other)
    assert accounted(one) == accounted(other)
    assert one.rejected == other.rejected


@given(logs_of_shards(), st.integers(0, 3 * HOUR), st.data())
def test_devices_may_interleave_in_any_way(
    placed: tuple[list[LogRecord], Positions], lateness: int, data: st.DataObject
) -> None:
    records, cut = placed
    of_shards = [[record for record in records if record.shard == shard] for shard in ("shard-0", "shard-1")]
    turns = data.draw(st.permutations([0] * len(of_shards[0]) + [1] * len(of_shards[1])))
    readers = [iter(of_shard) for of_shard in of_shards]
    other = fold([next(readers[turn]) for turn in turns], SIZES, lateness, RETENTION, cut)
    one = fold(records, SIZES, lateness, RETENTION, cut)
    assert one.rows == other.rows
    assert (accounted(one), one.rejected) == (accounted(other), other.rejected)


# Comparing


def test_a_store_that_agrees_has_no_differences() -> None:
    reckoning = reckon(event(0, 0.1), event(1, 0.2))
    views = MemoryViews(clock=lambda: NOON // 1000)
    views.write(list(reckoning.rows.values()))
    assert compare(reckoning.rows, read_rows(views, ["device#d", "device#other"])) == []


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"version": 3}, "version is 3, expected 2"),
        ({"expires_at": None}, "expires_at is None, expected 1769947260"),
        ({"data": {"sum": 3.0000001}}, "data.sum is 3.0000001, expected 3.0"),
        ({"data": {"extra": 1}}, "data.extra is unexpected"),
        ({"data": {"sum": 3.0000000001}}, None),
    ],
)
def test_differences_are_sentences(changes: dict[str, object], problem: str | None) -> None:
    rows = dict(reckon(event(0, 1.0), event(1, 2.0)).rows)
    stored = as_stored(rows)
    key = ("device#d", "rollup#1m#temperature#2026-01-31T12:00:00Z")
    if isinstance(data := changes.get("data"), dict):
        changes = {"data": {**stored[key].data, **data}}
    stored[key] = msgspec.structs.replace(stored[key], **changes)
    found = [str(difference) for difference in compare(rows, stored)]
    assert found == ([] if problem is None else [f"{key[0]} {key[1]}: {problem}"])


def test_squares_too_small_for_the_durable_store_are_zero() -> None:
    rows = dict(reckon(event(0, 1e-70)).rows)
    stored = as_stored(rows)
    for key, held in stored.items():
        if "sum_sq" in held.data:
            stored[key] = msgspec.structs.replace(held, data={**held.data, "sum_sq": 0})
    assert compare(rows, stored) == []


def test_missing_and_unexpected_rows_are_told_apart() -> None:
    rows = dict(reckon(event(0)).rows)
    stored = as_stored(rows)
    gone, came = ("device#d", "latest#temperature"), ("device#d", "latest#unknown")
    stored[came] = stored.pop(gone)
    assert [(d.sort, d.problem) for d in compare(rows, stored)] == [(gone[1], "missing"), (came[1], "unexpected")]


def test_a_field_the_store_lost_is_named() -> None:
    rows = dict(reckon(event(0)).rows)
    stored = as_stored(rows)
    key = ("device#d", "latest#temperature")
    stored[key] = msgspec.structs.replace(stored[key], data={"value": 1.0})
    assert [d.problem for d in compare(rows, stored)] == ["data.at is missing"]


def test_rows_past_their_time_are_not_expected() -> None:
    rows = reckon(event(0)).rows
    assert len(unexpired(rows, NOON // 1000)) == 3
    assert {sort for _, sort in unexpired(rows, NOON // 1000 + 90_000)} == {"latest#temperature"}
