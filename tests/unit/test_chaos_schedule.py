"""The schedule of failures: repeatable, complete, and with some that strike while the job recovers."""

from itertools import pairwise

import pytest

from tests.chaos.recovery import Recovery, summary
from tests.chaos.schedule import AT_ONCE, KILLS, Failure, draw

SEEDS = range(20)


def test_the_same_seed_gives_the_same_schedule() -> None:
    assert draw(7, 15) == draw(7, 15)
    assert draw(7, 15).steps != draw(9, 15).steps


@pytest.mark.parametrize("seed", SEEDS)
def test_fifteen_minutes_hold_every_failure(seed: int) -> None:
    assert {step.failure for step in draw(seed, 15).steps} == set(Failure)


@pytest.mark.parametrize("seed", SEEDS)
def test_it_ends_in_time_for_a_last_recovery(seed: int) -> None:
    assert all(step.ends_s <= 15 * 60 - 20 for step in draw(seed, 15).steps)
    assert draw(seed, 15).steps[-1].at_s > 12 * 60


@pytest.mark.parametrize("seed", SEEDS)
def test_some_kills_strike_during_recovery(seed: int) -> None:
    steps = draw(seed, 15).steps
    assert [step.at_s for step in steps] == sorted(step.at_s for step in steps)
    soon = [after for before, after in pairwise(steps) if after.at_s - before.at_s < 8 and after.failure in KILLS]
    assert soon


@pytest.mark.parametrize("seed", SEEDS)
def test_what_lasts_comes_one_at_a_time(seed: int) -> None:
    lasting = [step for step in draw(seed, 60).steps if step.failure not in KILLS]
    assert all(before.ends_s <= after.at_s for before, after in pairwise(lasting))
    assert all(bool(step.lasts_s) == (step.failure not in AT_ONCE) for step in lasting)


def test_what_is_printed_of_a_step() -> None:
    steps = draw(1, 15).steps
    (first, *_) = (step for step in steps if step.lasts_s)
    assert str(first) == f"{first.at_s:6.1f} s  {first.failure} for {first.lasts_s:.1f} s"


def test_the_summary_tells_disturbed_kills_apart() -> None:
    recoveries = [
        Recovery(Failure.TASK_MANAGER_KILLED, 0.0, 8.0, disturbed=False),
        Recovery(Failure.TASK_MANAGER_KILLED, 0.0, 30.0, disturbed=True),
        Recovery(Failure.JOB_MANAGER_KILLED, 0.0, 12.0, disturbed=False),
        Recovery(Failure.REDIS_KILLED, 0.0, 3.0, disturbed=False),
    ]
    assert summary(recoveries) == [
        "JobManager killed: 1, median 12.0 s, worst 12.0 s",
        "TaskManager killed: 2, median 19.0 s, worst 30.0 s",
        "Redis killed, back empty: 1, median 3.0 s, worst 3.0 s",
        "All kills: 3, median 12.0 s, worst 30.0 s",
        "All kills while nothing else failed: 2, median 10.0 s, worst 12.0 s",
    ]
    assert summary([])[-1] == "All kills while nothing else failed: none"
