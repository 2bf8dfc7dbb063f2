from pathlib import Path

from telefold.planning import costs
from telefold.planning.sizing import size

ROOT = Path(__file__).parents[2]


def test_the_table_in_the_docs_is_what_the_model_says() -> None:
    assert costs.table() in (ROOT / "docs" / "how-to" / "deploying.md").read_text("utf-8")


def test_a_month_of_a_small_fleet_worked_out_by_hand() -> None:
    sizing = size(costs.fleet(1_000, thrifty=False))
    found = costs.monthly(sizing)
    assert found.flink == (sizing.kpus + 1) * 0.11 * 730 + sizing.kpus * 5
    assert round(found.kinesis, 2) == round(2 * 0.035 * 730 + 1_000 * 730 * 3_600 * 0.014 / 1e6, 2)
    assert found.dynamodb > sizing.writes * 730 * 3_600 * 0.625e-6
    assert found.total == sum(found)


def test_thrift_is_cheaper_and_more_devices_are_dearer() -> None:
    of = {
        (rate, way): costs.monthly(size(costs.fleet(rate, thrifty=way))).total
        for rate in (1_000, 10_000)
        for way in (False, True)
    }
    assert of[1_000, True] < of[1_000, False] < of[10_000, False]
    assert of[10_000, True] < of[10_000, False]
