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
from schemas.log_records import LogRecord
from schemas.view_rows import LATEST, ROLLUPS, ViewRow, ViewUpdate
from views.oracle import Oracle, Reckoning, compare, fold, merge_rollups, read_rows, rollup_of, unexpired

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
        LogRecord(e if isinstance(e, bytes) else encode(e), NOON + 30 * HOUR, "key", "shard-0", str(number))
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
    assert latest.version == NOON + 5_000
    assert latest.expires_at is None


def test_sequence_breaks_ties_of_event_time() -> None:
    for order in permutations([event(0, 1.0, sequence=1), event(0, 2.0, sequence=2), event(0, 3.0, sequence=0)]):
        assert row(reckon(*order), "latest#temperature").data["value"] == 2.0


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


@given(*(st.tuples(st.integers(-1000, 1000).map(float), st.integers(0, HOUR)) for _ in range(3)))
def test_merging_rollups_is_associative_and_commutative(
    a: tuple[float, int], b: tuple[float, int], c: tuple[float, int]
) -> None:
    x, y, z = (rollup_of(*reading) for reading in (a, b, c))
    assert merge_rollups(merge_rollups(x, y), z) == merge_rollups(x, merge_rollups(y, z))
    assert merge_rollups(x, y) == merge_rollups(y, x)


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
