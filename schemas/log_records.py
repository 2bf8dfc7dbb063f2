"""Records of the event log, and positions in it, as anything that reads the log back hands them on."""

from collections.abc import Mapping

import msgspec

Positions = Mapping[str, str]
"""Shard -> the sequence number of the last record up to which something holds, that record included.

A shard that is not named has no such record yet.
"""


class LogRecord(msgspec.Struct, frozen=True):
    """One record as it lies in its shard. `arrival` is in epoch milliseconds.

    `shard` and `sequence_number` together name the record; within a shard, records follow one another in
    the order of their sequence numbers.
    """

    data: bytes
    arrival: int
    partition_key: str
    shard: str
    sequence_number: str

    def is_within(self, positions: Positions) -> bool:
        """Whether `positions` reach this record."""
        last = positions.get(self.shard)
        return last is not None and sequence_order(self.sequence_number) <= sequence_order(last)


def sequence_order(sequence_number: str) -> int:
    """What sequence numbers of one shard are ordered by: decimal digits, far beyond 64 bits."""
    return int(sequence_number)
