"""Records of the event log, and positions in it, as anything that reads the log back hands them on."""

from collections.abc import Iterable, Iterator, Mapping
from heapq import merge
from operator import itemgetter

import msgspec

Positions = Mapping[str, str]
"""Shard -> the position of the last record up to which something holds, that record included.

A shard that is not named has no such record yet. A position is `<sequence number>`, or, of a record that its producer
aggregated with others into one, `<sequence number>:<sub-sequence number>`.
"""

_BEFORE_SUB = ":"
_NOT_AGGREGATED = -1


class LogRecord(msgspec.Struct, frozen=True):
    """A record as it lies in its shard. `arrival` is in epoch milliseconds.

    `shard` and `position` together name the record; within a shard, records follow one another in the order of their
    positions. Records that a producer aggregated share a sequence number, and the sub-sequence number counts them.
    """

    data: bytes
    arrival: int
    partition_key: str
    shard: str
    sequence_number: str
    sub_sequence_number: int | None = None

    @property
    def position(self) -> str:
        return position(self.sequence_number, self.sub_sequence_number)

    @property
    def order(self) -> tuple[int, int]:
        """The `position_order` of its position."""
        sub = self.sub_sequence_number
        return int(self.sequence_number), _NOT_AGGREGATED if sub is None else sub

    def is_within(self, positions: Positions) -> bool:
        """Whether `positions` reach this record."""
        last = positions.get(self.shard)
        return last is not None and self.order <= position_order(last)


def position(sequence_number: str, sub_sequence_number: int | None) -> str:
    if sub_sequence_number is None:
        return sequence_number
    return f"{sequence_number}{_BEFORE_SUB}{sub_sequence_number}"


def split_position(text: str) -> tuple[str, int | None]:
    """The sequence number and the sub-sequence number in a position."""
    number, _, sub = text.partition(_BEFORE_SUB)
    return number, int(sub) if sub else None


def position_order(text: str) -> tuple[int, int]:
    """The key that orders positions in one shard; sequence numbers are decimal digits, far beyond 64 bits."""
    number, sub = split_position(text)
    return int(number), _NOT_AGGREGATED if sub is None else sub


def by_arrival(lanes: Mapping[str, Iterable[LogRecord]]) -> Iterator[LogRecord]:
    """The records of all shards, whose names are given, as a job reads them that keeps up: by their arrival.

    Those of a shard stay in their order whatever their arrivals are. A shard comes of others once they are closed, so
    its records arrived later; of one millisecond those of the shard with the lesser name, which is older, come first.
    """
    ordered = [_with_times(shard, lanes[shard]) for shard in sorted(lanes)]
    return (record for _, record in merge(*ordered, key=itemgetter(0)))


def _with_times(shard: str, records: Iterable[LogRecord]) -> Iterator[tuple[tuple[int, str], LogRecord]]:
    """Records, each with the greatest arrival up to it."""
    latest = 0
    for record in records:
        if record.arrival > latest:
            latest = record.arrival
        yield (latest, shard), record
