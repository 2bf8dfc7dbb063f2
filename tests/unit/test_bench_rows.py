"""The rows that the benchmark's contenders in Python fold: those of the oracle, or the contest is none."""

import pytest

from bench.peers.rows import add_reading, first_reading, rollup_row
from telefold.schemas.view_rows import rollup_sort
from telefold.verify import oracle


def test_contenders_fold_a_window_into_the_rollup_of_the_oracle() -> None:
    told = [(7, 1, "b", -2.0, 0.0), (5, 3, "a", 4.0, 0.0), (9, 2, "c", 1.5, 3.5)]
    (at, sequence, event_id, value, rise), *later = told
    wanted = oracle.first_reading(60_000, (at, sequence, event_id, value), rise)
    held = first_reading(value, at, sequence, event_id, rise)
    for at, sequence, event_id, value, rise in later:
        wanted = wanted.with_reading((at, sequence, event_id, value), rise)
        add_reading(held, value, at, sequence, event_id, rise)
    row = rollup_row("device#d", "1m", 60_000, "heat", 0, held)
    same = wanted.row("device#d", rollup_sort("1m", "heat", 0), {})
    assert (row.partition, row.sort, row.version) == (same.partition, same.sort, same.version)
    assert row.data == pytest.approx(same.data)
