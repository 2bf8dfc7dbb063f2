"""Who takes part in the throughput benchmark, how long its runs are, and what one run of a contender gives."""

import sys
from collections.abc import Mapping, Sequence
from statistics import mean
from typing import NamedTuple

import msgspec

from bench.peers.work import ROOT, Timing

PEERS_PYTHON = str(ROOT / ".venv-bench" / "bin" / "python")
"""Has the packages of peers that are not Telefold's; `make bench` installs them."""


class Contender(NamedTuple):
    name: str
    title: str
    peer: str
    """A module of `bench.peers`."""
    execution_mode: str = "thread"
    leaves_rows: bool = True
    most_events: int | None = None
    """A slow contender folds no more than so many of the log's first events."""
    python: str = sys.executable

    def events(self, log: int) -> int:
        """How many events it folds of a log that has `log`."""
        return log if self.most_events is None else min(log, self.most_events)


TELEFOLD, TELEFOLD_PROCESS, CEILING, IDIOMATIC, PLAIN = "telefold", "telefold-process", "ceiling", "idiomatic", "plain"
BYTEWAX = "bytewax"
CONTENDERS = (
    Contender(TELEFOLD, "Telefold", "telefold"),
    Contender(TELEFOLD_PROCESS, "Telefold, process mode", "telefold", execution_mode="process"),
    Contender(CEILING, "ceiling: batches discarded", "ceiling", leaves_rows=False),
    Contender(BYTEWAX, "Bytewax, two processes", "bytewax", python=PEERS_PYTHON),
    Contender(IDIOMATIC, "idiomatic PyFlink", "idiomatic", most_events=100_000),
    Contender(PLAIN, "plain Python loop, no engine", "plain"),
)

FOLD, FOLD_PROCESS, FOLD_IDIOMATIC = "fold", "fold-process", "fold-idiomatic"
FOLD_CONTENDERS = (
    Contender(FOLD, "in micro-batches", "python_fold"),
    Contender(FOLD_PROCESS, "in micro-batches, process mode", "python_fold", execution_mode="process"),
    Contender(FOLD_IDIOMATIC, "an ordinary KeyedProcessFunction", "python_fold_idiomatic", most_events=100_000),
)
"""Of `bench.folds`: the same fold in Python over the same accepted events."""


UNJUDGED, NO_RULES, RULES = "unjudged", "no-rules", "rules"
RULE_CONTENDERS = (
    Contender(UNJUDGED, "the job without alerts", "telefold", leaves_rows=False),
    Contender(NO_RULES, "with alerts, no rules", "no_rules", leaves_rows=False),
    Contender(RULES, "with alerts, 1 000 rules", "rules"),
)
"""Of `bench.rules`: the whole job."""


class Run(msgspec.Struct, frozen=True):
    contender: str
    events: int
    timing: Timing
    peak_bytes: int
    """The most that its processes held resident at once."""
    differences: int | None
    """In the rows that it left, from those that it should have; None where it leaves none."""

    @property
    def rate(self) -> float:
        return self.events / self.timing.seconds

    @property
    def warm_rate(self) -> float:
        return self.timing.warm_events / self.timing.warm_seconds

    @property
    def cpu(self) -> float:
        """CPU seconds per million events ..."""
        return self.timing.cpu_seconds / self.events * 1e6

    @property
    def warm_cpu(self) -> float:
        """... and per million events of the second half."""
        return self.timing.warm_cpu_seconds / self.timing.warm_events * 1e6


def seconds_left(taken: Mapping[str, Sequence[float]], to_come: Sequence[str]) -> float | None:
    """How long the runs `to_come`, of contenders by name, will last after what runs have `taken`, in seconds.

    A contender that has not run yet counts as the mean of those that have; None while none has.
    """
    means = {name: mean(seconds) for name, seconds in taken.items()}
    if not means:
        return None
    of_all = mean(means.values())
    return sum(means.get(name, of_all) for name in to_come)
