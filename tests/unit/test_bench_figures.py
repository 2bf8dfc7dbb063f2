import pytest

from bench import chart
from bench.check import fallen_ratios
from bench.figures import Figures, Ratio, Report, figures_of
from bench.peers.work import Timing
from bench.reports import Spread
from bench.runs import BYTEWAX, CEILING, CONTENDERS, IDIOMATIC, TELEFOLD, Run, seconds_left


def run(name: str, seconds: float, cpu: float, events: int = 1_000_000, differences: int | None = 0) -> Run:
    """A run whose second half took half of its time, and of its CPU time all but two seconds of start-up."""
    timing = Timing(seconds, cpu, events // 2, seconds / 2, warm_cpu_seconds=(cpu - 2) / 2)
    return Run(name, events, timing, peak_bytes=300 * 2**20, differences=differences)


def test_one_slow_run_moves_the_spread_but_not_the_median() -> None:
    report = figures_of([run(TELEFOLD, seconds, cpu=42) for seconds in (20, 25, 100)])

    figures = report.contenders[TELEFOLD]
    assert figures.rate == figures.warm_rate == Spread(median=40_000, least=10_000, most=50_000)
    assert (figures.cpu.median, figures.warm_cpu.median) == (42, 40)


def test_contenders_of_other_lengths_are_compared_by_their_second_halves() -> None:
    report = figures_of([run(TELEFOLD, 20, cpu=42), run(IDIOMATIC, 25, cpu=42, events=100_000)])

    assert report.ratios == {TELEFOLD: {IDIOMATIC: Ratio(rate=12.5, warm_rate=12.5, warm_per_cpu_second=10.0)}}


def test_differences_add_up_and_are_unknown_where_no_rows_are_left() -> None:
    runs = [
        run(BYTEWAX, 20, 40, differences=2),
        run(BYTEWAX, 20, 40, differences=1),
        run(CEILING, 9, 9, differences=None),
    ]

    contenders = figures_of(runs).contenders

    assert contenders[BYTEWAX].differences == 3
    assert contenders[CEILING].differences is None


@pytest.mark.parametrize("log", [1_000, 2_000_000])
def test_no_contender_gets_more_than_the_log_and_only_slow_ones_less(log: int) -> None:
    lengths = {one.name: one.events(log) for one in CONTENDERS}

    assert lengths[TELEFOLD] == lengths[BYTEWAX] == log
    assert lengths[IDIOMATIC] == min(log, 100_000)


def test_what_is_left_counts_a_contender_that_has_not_run_as_the_mean_of_the_others() -> None:
    assert seconds_left({}, ["a", "b"]) is None
    assert seconds_left({"a": [10, 20], "b": [45]}, ["a", "b", "c"]) == 15 + 45 + 30


def test_the_chart_has_the_fastest_second_half_first_and_only_who_was_measured() -> None:
    bars = chart.bars(
        Report(2, 24, {TELEFOLD: figures(50_000), IDIOMATIC: figures(4_000), CEILING: figures(60_000)}, {})
    )

    assert [(bar.rate.median, bar.is_telefold, bar.leaves_rows) for bar in bars] == [
        (60_000, False, False),
        (50_000, True, True),
        (4_000, False, True),
    ]


def figures(rate: float) -> Figures:
    spread = Spread(rate, rate, rate)
    return Figures(1_000, 1, spread, spread, spread, spread, 1, 0, {})


@pytest.mark.parametrize(("longest", "is_cut"), [(40.0, False), (400.0, True)])
def test_a_bar_that_dwarfs_all_the_others_is_cut(longest: float, is_cut: bool) -> None:
    end = chart.limit([Spread(20, 18, 22), Spread(15, 14, 16), Spread(longest - 10, longest - 20, longest)])

    assert end > 22
    assert (end < longest) == is_cut


def test_a_ratio_may_fall_by_a_fifth_and_no_more() -> None:
    recorded = {CEILING: 0.75, IDIOMATIC: 10.0}

    assert fallen_ratios(recorded, {CEILING: 0.61, IDIOMATIC: 8.0}) == []
    assert fallen_ratios(recorded, {CEILING: 0.59, IDIOMATIC: 7.9}) == [CEILING, IDIOMATIC]
