import pytest

from telefold.operators.flush_budget import FlushBudget


@pytest.mark.parametrize("interval_ms", [20, 33, 200, 1_000, 5_000, 3_600_000])
def test_whatever_way_a_row_comes_it_waits_for_one_interval_at_most(interval_ms: int) -> None:
    budget = FlushBudget(interval_ms)
    assert budget.events_ms + budget.contributions_ms + budget.rows_ms <= interval_ms
    assert budget.combined_ms + budget.merged_ms <= interval_ms


def test_the_shortest_interval_leaves_something_for_each_step() -> None:
    budget = FlushBudget(1)
    shares = (budget.events_ms, budget.contributions_ms, budget.rows_ms, budget.combined_ms, budget.merged_ms)
    assert shares == (1, 1, 1, 1, 1)
