"""Records of the event log, as anything that reads the log back hands them on."""

import msgspec


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
