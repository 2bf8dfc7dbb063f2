"""Whether a job works, judged from figures; each case is a small timeline, a value a minute."""

import pytest

from telefold.deploy.managed.health import Readings, judge


@pytest.mark.parametrize(
    "lag",
    [(200,), (59_999,), (7_200_000, 6_600_000, 6_000_000), (90_000, 80_000, 70_000, 60_000)],
    ids=["small", "just under a minute", "large and falling", "nearly there"],
)
def test_a_job_with_a_snapshot_and_a_small_or_falling_lag_works(lag: tuple[float, ...]) -> None:
    assert judge(Readings(lag_ms=lag, restarts=(0, 0)), has_snapshot=True).works


@pytest.mark.parametrize(
    ("readings", "has_snapshot", "lacking"),
    [
        (Readings(lag_ms=(200,)), False, "a completed snapshot"),
        (Readings(), True, "a first figure of how far it is behind the stream"),
        (Readings(lag_ms=(600_000,)), True, "a lag that falls (it is 600 s)"),
        (Readings(lag_ms=(600_000, 500_000)), True, "a lag that falls (it is 500 s)"),
        (Readings(lag_ms=(600_000, 500_000, 600_000)), True, "a lag that falls (it is 600 s)"),
        (Readings(lag_ms=(200, 200), restarts=(0, 1)), True, "a minute without a restart"),
    ],
    ids=["no snapshot", "no lag known", "one figure is no trend", "nor are two", "it rises again", "it restarted"],
)
def test_what_is_not_shown_yet_is_named(readings: Readings, has_snapshot: bool, lacking: str) -> None:
    verdict = judge(readings, has_snapshot=has_snapshot)
    assert not verdict.works
    assert not verdict.broken
    assert verdict.lacking == (lacking,)


def test_a_job_that_restarts_again_and_again_is_broken_whatever_else_it_shows() -> None:
    verdict = judge(Readings(lag_ms=(200, 200), restarts=(1, 7)), has_snapshot=True)
    assert verdict.broken == "the job fails and starts again and again (6 times in 2 min)"
    assert not verdict.works


def test_restarts_of_long_ago_are_none() -> None:
    assert judge(Readings(lag_ms=(200,), restarts=(40, 40, 40)), has_snapshot=True).works
