"""Who takes part in the throughput benchmark, and what one run of a contender gives."""

from typing import NamedTuple

import msgspec

from bench.peers.work import Timing


class Contender(NamedTuple):
    name: str
    title: str
    peer: str
    """A module of `bench.peers`."""
    execution_mode: str = "thread"
    leaves_rows: bool = True
    is_slow: bool = False
    """Gets the shorter input."""


TELEFOLD, TELEFOLD_PROCESS, CEILING, IDIOMATIC, PLAIN = "telefold", "telefold-process", "ceiling", "idiomatic", "plain"
CONTENDERS = (
    Contender(TELEFOLD, "Telefold", "telefold"),
    Contender(TELEFOLD_PROCESS, "Telefold, process mode", "telefold", execution_mode="process"),
    Contender(CEILING, "ceiling: Telefold, its batches discarded", "ceiling", leaves_rows=False),
    Contender("sql", "the fold in SQL, discarded", "sql", leaves_rows=False),
    Contender(IDIOMATIC, "idiomatic PyFlink", "idiomatic", is_slow=True),
    Contender(PLAIN, "plain Python loop, no engine", "plain"),
)


class Run(msgspec.Struct, frozen=True):
    """Memory in bytes; the CPU seconds are those from submission on, of all processes."""

    contender: str
    events: int
    timing: Timing
    cpu_seconds: float
    peak_bytes: int
    differences: int | None
    """In the rows that it left, from those that it should have; None where it leaves none."""

    @property
    def rate(self) -> float:
        return self.events / self.timing.seconds

    @property
    def warm_rate(self) -> float:
        return self.timing.warm_events / self.timing.warm_seconds
