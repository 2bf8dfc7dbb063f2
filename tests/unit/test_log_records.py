"""Positions in a shard: their order, and what they reach."""

from hypothesis import given
from hypothesis import strategies as st

from telefold.schemas.log_records import LogRecord, by_arrival, position, position_order, split_position

IN_ORDER = ["0", "9", "10", "10:0", "10:1", "10:9", "10:10", "11", "100:7", "49590338271490256608559692538361571095"]


def test_records_of_an_aggregate_follow_one_another_between_those_around_it() -> None:
    orders = [position_order(text) for text in IN_ORDER]
    assert orders == sorted(set(orders))


@given(st.integers(0, 10**56), st.none() | st.integers(0, 2**63 - 1))
def test_a_position_is_made_of_two_numbers_and_taken_apart_again(number: int, sub: int | None) -> None:
    assert split_position(position(str(number), sub)) == (str(number), sub)


def test_a_position_reaches_what_is_before_it_in_its_shard() -> None:
    for reached, last in enumerate(IN_ORDER):
        for at, text in enumerate(IN_ORDER):
            record = LogRecord(b"", 0, "d", "shard-0", *split_position(text))
            assert record.position == text
            assert record.is_within({"shard-0": last}) == (at <= reached)
            assert not record.is_within({"shard-1": last})


def test_shards_are_read_by_arrival_and_each_in_its_order() -> None:
    """A child begins in the millisecond in which its parent was closed, and arrivals in a shard are not in order."""

    def lane(shard: str, *arrivals: int) -> list[LogRecord]:
        return [LogRecord(b"", at, "d", shard, str(number)) for number, at in enumerate(arrivals)]

    lanes = {"shard-2": lane("shard-2", 30, 40), "shard-1": lane("shard-1", 10, 30, 20), "shard-0": lane("shard-0", 35)}
    assert [(one.shard[-1], one.arrival) for one in by_arrival(lanes)] == [
        ("1", 10), ("1", 30), ("1", 20), ("2", 30), ("0", 35), ("2", 40),
    ]  # fmt: skip
