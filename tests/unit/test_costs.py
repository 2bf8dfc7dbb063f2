"""The bill of a fleet: each line worked out by hand, what moves it, and the places that say the same."""

from datetime import date
from pathlib import Path

import msgspec
import pytest

from telefold.planning import costs
from telefold.planning.costs import Bill, monthly, redis_for
from telefold.planning.prices import PRICES, Prices
from telefold.planning.sizing import DAY_S, Fleet, record_bytes, size

ROOT = Path(__file__).parents[2]
GIB = 2**30
MONTH_S = 2_628_000
F1 = costs.fleet(1_000, thrifty=False)
"""10 000 devices with two metrics every 10 s; rollups of 1m and 1h, kept for a week."""
F1_WRITES = 10_000 / 300 + 10_000 / 3_600
"""A head every five minutes, or a block of fifteen that goes ahead of it, and a block of hours at each: a unit each."""
F1_BYTES = 10_000 * ((607 + 100) + 672 * (823 + 100) + 8.4 * (956 + 100) + (625 + 100))
"""Heads, with some minutes in them, and the blocks of 15 minutes and 20 hours: those of a week, and of hours one more,
that is about half full."""


def bill_of(fleet: Fleet, prices: Prices = PRICES) -> Bill:
    return monthly(fleet, size(fleet), prices)


def changed(**changes: object) -> Bill:
    return bill_of(msgspec.structs.replace(F1, **changes))


def test_the_table_in_the_docs_is_what_the_model_says() -> None:
    assert costs.table() in (ROOT / "docs" / "how-to" / "deploying.md").read_text("utf-8")


def test_the_templates_make_the_streams_and_keep_them_as_long_as_the_model_takes_for_granted() -> None:
    template = (ROOT / "deploy" / "kinesis-analytics" / "application.yaml").read_text("utf-8")
    assert template.count("Type: AWS::Kinesis::Stream\n") == 1 + costs.OTHER_SHARDS
    assert template.count("VpcEndpointType: Interface") * 2 == costs.ENDPOINT_ZONES
    hours = int(template.partition("  EventRetentionHours:")[2].partition("Default: ")[2].split()[0])
    assert Fleet(1, 1, 1).stream_retention_s == hours * 3_600


@pytest.mark.parametrize(
    ("line", "dollars"),
    [
        ("flink_kpus", (1 + 1) * 0.11 * 730),
        ("flink_disk", 1 * 50 * 0.10),
        ("kinesis_shards", (2 + 3) * 0.015 * 730),
        ("kinesis_retention", 0.0),
        ("kinesis_puts", 1_000 * MONTH_S / 1e6 * 0.014),
        ("dynamodb_writes", F1_WRITES * MONTH_S / 1e6 * 0.625),
        ("dynamodb_storage", F1_BYTES / 1e9 * 0.25),
        ("dynamodb_backup", F1_BYTES / 1e9 * 0.20),
        ("redis_nodes", 2 * 0.026 * 730),
        ("s3_archive", 1_000 * MONTH_S * 162 * 0.28 / 1e9 * 0.023),
        ("endpoints_and_rest", 4 * 0.01 * 730 + 1_000 * MONTH_S * 162 / 1e9 * 0.01 + 15),
    ],
)
def test_a_month_of_a_small_fleet_worked_out_by_hand(line: str, dollars: float) -> None:
    """Redis: 0.77 million items of 1.3 KB are 0.91 GiB, three quarters of a node of 1.37 GiB hold 1.03."""
    assert record_bytes(2) == 162
    assert bill_of(F1).lines[line] == pytest.approx(dollars, rel=1e-3)


def test_the_lines_make_the_total() -> None:
    bill = bill_of(F1)
    assert list(bill.lines) == list(Bill.__struct_fields__)
    assert bill.total == sum(getattr(bill, line) for line in Bill.__struct_fields__)
    assert all(dollars > 0 for line, dollars in bill.lines.items() if line != "kinesis_retention")


def test_twice_the_devices_cost_twice_as_much_but_for_what_there_is_once() -> None:
    one, two = bill_of(F1), changed(devices=2 * F1.devices)
    for line in ("kinesis_puts", "dynamodb_writes", "dynamodb_storage", "dynamodb_backup", "s3_archive"):
        assert two.lines[line] == pytest.approx(2 * one.lines[line])
    assert all(one.lines[line] <= two.lines[line] <= 2 * one.lines[line] for line in one.lines)
    assert one.total < two.total < 2 * one.total


def test_thrift_is_cheaper_and_more_devices_are_dearer() -> None:
    ways = [(rate, way) for rate in (1_000, 10_000) for way in (False, True)]
    of = {(rate, way): bill_of(costs.fleet(rate, thrifty=way)).total for rate, way in ways}
    assert of[1_000, True] < of[1_000, False] < of[10_000, False]
    assert of[10_000, True] < of[10_000, False]


def test_provisioned_units_stand_by_for_three_tenths_more_and_cost_less() -> None:
    provisioned = changed(provisioned=True)
    assert provisioned.dynamodb_writes == pytest.approx(F1_WRITES / 0.7 * 0.4745)
    assert provisioned.dynamodb_writes / bill_of(F1).dynamodb_writes == pytest.approx(0.41, abs=0.005)
    assert msgspec.structs.replace(provisioned, dynamodb_writes=0) == msgspec.structs.replace(
        bill_of(F1), dynamodb_writes=0
    )


@pytest.mark.parametrize(("kept_s", "is_free"), [(DAY_S, True), (DAY_S + 3_600, False), (7 * DAY_S, False)])
def test_a_day_of_stream_has_no_surcharge(kept_s: int, is_free: bool) -> None:
    assert (changed(stream_retention_s=kept_s).kinesis_retention == 0) == is_free
    assert changed(stream_retention_s=kept_s).kinesis_shards == bill_of(F1).kinesis_shards


def test_a_record_takes_a_put_unit_for_each_25_kb() -> None:
    large = Fleet(100, 1, 2_000)
    assert 25_000 < size(large).record_bytes < 50_000
    assert bill_of(large).kinesis_puts == pytest.approx(2 * 100 * MONTH_S / 1e6 * 0.014)


@pytest.mark.parametrize(
    ("gib", "node", "shards"),
    [
        (0, "cache.t4g.small", 1),
        (1.02, "cache.t4g.small", 1),
        (1.03, "cache.t4g.medium", 1),
        (2.31, "cache.t4g.medium", 1),
        (2.32, "cache.m7g.large", 1),
        (4.78, "cache.m7g.large", 1),
        (4.79, "cache.r7g.large", 1),
        (9.80, "cache.r7g.large", 1),
        (9.81, "cache.r7g.large", 2),
        (98.1, "cache.r7g.large", 11),
    ],
)
def test_redis_has_the_cheapest_nodes_of_which_three_quarters_hold_the_rows(gib: float, node: str, shards: int) -> None:
    found = redis_for(gib * GIB)
    assert (found.node.name, found.shards) == (node, shards)
    assert found.hour == found.node.hour * shards * 2


def test_prices_are_of_a_day_and_say_which_were_not_looked_up_again() -> None:
    assert (PRICES.region, PRICES.looked_up) == ("us-east-1", date(2026, 11, 29))
    assert set(PRICES.unconfirmed) < set(Prices.__struct_fields__)
    assert [node.hour for node in PRICES.redis_nodes] == sorted(node.hour for node in PRICES.redis_nodes)


def test_another_regions_prices_make_another_bill() -> None:
    dearer = msgspec.structs.replace(PRICES, million_write_units=2 * PRICES.million_write_units)
    assert bill_of(F1, dearer).dynamodb_writes == 2 * bill_of(F1).dynamodb_writes
