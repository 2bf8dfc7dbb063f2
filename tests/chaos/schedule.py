"""What fails when. Pure: the same seed and the same minutes give the same schedule."""

import random
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import NamedTuple

_FIRST_S = 5.0
_QUIET_END_S = 20.0
_SOON_S, _LATER_S = (0.5, 6.0), (25.0, 45.0)
"""After the one before: while the job has yet to recover from it, and probably afterwards."""
_SOON_SHARE = 0.3


class Failure(StrEnum):
    TASK_MANAGER_KILLED = "TaskManager killed"
    JOB_MANAGER_KILLED = "JobManager killed"
    WORKER_KILLED = "Python worker killed"
    REDIS_KILLED = "Redis killed, back empty"
    REDIS_EMPTIED = "Redis emptied"
    REDIS_PAUSED = "Redis silent"
    DYNAMODB_THROTTLED = "DynamoDB throttled"
    DYNAMODB_PARTLY = "DynamoDB refuses parts"
    DYNAMODB_LOST = "DynamoDB's answers lost"
    DYNAMODB_SLOW = "DynamoDB slow"
    KINESIS_THROTTLED = "Kinesis throttled"
    KINESIS_EXPIRED = "Kinesis iterators expired"
    SHARD_SPLIT = "Shard split"
    SHARDS_MERGED = "Shards merged"
    CHECKPOINTS_AWAY = "Checkpoint folder away"
    RESCALED = "Rescaled by savepoint"


KILLS = frozenset({Failure.TASK_MANAGER_KILLED, Failure.JOB_MANAGER_KILLED, Failure.WORKER_KILLED})
AT_ONCE = KILLS | {Failure.REDIS_EMPTIED, Failure.RESCALED, Failure.SHARD_SPLIT, Failure.SHARDS_MERGED}
_SHARES: Mapping[Failure, int] = {
    Failure.TASK_MANAGER_KILLED: 5,
    Failure.JOB_MANAGER_KILLED: 3,
    Failure.WORKER_KILLED: 5,
    Failure.RESCALED: 2,
}
"""So many in each round of all failures; one of those not named."""
_LASTS_S = (2.0, 10.0)


class Step(NamedTuple):
    """One failure."""

    at_s: float
    """After the beginning, as all times of a schedule."""
    failure: Failure
    lasts_s: float
    """0 for what happens at once."""
    pick: float
    """Which of several it happens to, from 0 to 1."""

    @property
    def ends_s(self) -> float:
        return round(self.at_s + self.lasts_s, 1)

    def __str__(self) -> str:
        lasts = f" for {self.lasts_s:.1f} s" if self.lasts_s else ""
        return f"{self.at_s:6.1f} s  {self.failure}{lasts}"


class Schedule(NamedTuple):
    seed: int
    minutes: float
    steps: tuple[Step, ...]


def draw(seed: int, minutes: float) -> Schedule:
    """Each round of them holds every failure there is."""
    chance = random.Random(seed)
    failures = _rounds(chance)
    steps: list[Step] = []
    at = _FIRST_S
    while True:
        step = _step(chance, next(failures), at, max((one.ends_s for one in steps), default=0.0))
        if step.ends_s > minutes * 60 - _QUIET_END_S:
            return Schedule(seed, minutes, tuple(steps))
        steps.append(step)
        at = step.at_s + chance.uniform(*(_SOON_S if chance.random() < _SOON_SHARE else _LATER_S))


def _rounds(chance: random.Random) -> Iterator[Failure]:
    while True:
        a_round = [failure for failure in Failure for _ in range(_SHARES.get(failure, 1))]
        chance.shuffle(a_round)
        yield from a_round


def _step(chance: random.Random, failure: Failure, at: float, free: float) -> Step:
    """At `at`, or if one that lasts until `free` would be in its way, behind that: only kills do not wait."""
    lasts = 0.0 if failure in AT_ONCE else round(chance.uniform(*_LASTS_S), 1)
    begins = at if failure in KILLS else max(at, free)
    return Step(round(begins, 1), failure, lasts, chance.random())
