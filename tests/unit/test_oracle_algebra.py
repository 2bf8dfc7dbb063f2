"""What holds of every log: the oracle over logs that Hypothesis makes, with a cut and without one."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from telefold.schemas.events import DeviceEvent
from telefold.schemas.log_records import LogRecord, Positions
from telefold.verify.oracle import Oracle, Reckoning, corrections_in, fold
from tests.support.reckonings import ALL, HOUR, RETENTION, SIZES, correction, event, log, same_views

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
            assert sum(float(minute.data["count"]) for minute in minutes) == hour.data["count"]
            assert max(minute.data["max"] for minute in minutes) == hour.data["max"]
            assert min(minute.data["first_at"] for minute in minutes) == hour.data["first_at"]


FOREVER = 10**15

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
