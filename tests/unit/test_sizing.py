"""The model behind `telefold size`: its arithmetic, and how close it comes to what was measured."""

from pathlib import Path

import msgspec
import pytest

from bench.growth_cases import Figures
from telefold.planning.sizing import COSTS, Fleet, record_bytes, serialised_state, size
from telefold.planning.sizing_advice import advice

HOUR_MS = 3_600_000
MEASURED = msgspec.json.decode(
    Path(__file__).parents[2].joinpath("bench", "growth.json").read_bytes(), type=list[Figures]
)
CPU_BOUND = 1.25
STATE_BOUND = 1.25
"""The model is at most so many times what was measured, and at least that part of it."""


def within(predicted: float, measured: float, factor: float) -> bool:
    return measured / factor <= predicted <= measured * factor


@pytest.mark.parametrize("case", MEASURED, ids=lambda case: case.name)
def test_the_model_is_near_each_case_that_was_measured(case: Figures) -> None:
    assert within(case.predicted_cpu_s(COSTS), case.warm_cpu_s, CPU_BOUND)
    assert within(case.predicted_state_bytes(COSTS), case.state_bytes, STATE_BOUND)


def test_rows_of_one_flush_are_written_once() -> None:
    """Ten events a second of each device are six rows a second: two metrics, a latest value and two rollups each."""
    assert size(Fleet(100, 0.1, 2)).rows == 600
    assert size(Fleet(100, 0.1, 2, flush_ms=10_000)).rows == 60


def test_a_flush_shorter_than_the_interval_writes_the_rows_of_each_event() -> None:
    assert size(Fleet(100, 10, 2)).rows == 60
    assert size(Fleet(100, 10, 2, flush_ms=5_000)).rows == 60


MINUTES = {"1m": 60_000}
REPORTING = Fleet(1_200, 10, 1, MINUTES)
"""120 events a second; 20 windows end a second, and a block does."""


def test_each_event_writes_a_head_to_redis_and_each_window_that_ends_its_block() -> None:
    assert size(REPORTING).items == 120 + 20


def test_dynamodb_is_written_an_item_every_interval() -> None:
    """Each has less than 1 KB, and takes a unit: a head twice, then a block of fifteen windows, which goes ahead."""
    sizing = size(REPORTING)
    assert (sizing.durable_items, sizing.writes) == (4, 4)
    assert sizing.device_writes == sizing.writes / 1_200


def test_longer_windows_than_the_interval_are_in_their_block_from_the_first_on() -> None:
    hours = size(Fleet(3_600, 10, 1, {"1h": HOUR_MS}))
    assert (hours.durable_items, hours.writes) == (12 + 1, 12 + 1)


def test_without_an_interval_both_stores_are_written_the_same() -> None:
    """For a new block an UPDATE is refused before."""
    sizing = size(msgspec.structs.replace(REPORTING, durable_ms=0))
    assert (sizing.items, sizing.durable_items, sizing.writes) == (120 + 20, 120 + 20, 120 + 20 + 1)


def test_a_flush_writes_a_head_once_and_a_block_once() -> None:
    often = msgspec.structs.replace(REPORTING, durable_ms=0)
    each_minute = size(msgspec.structs.replace(often, flush_ms=60_000))
    assert (each_minute.items, each_minute.writes) == (20 + 20, 20 + 20 + 1)
    half_a_block = size(msgspec.structs.replace(often, flush_ms=600_000))
    assert (half_a_block.items, half_a_block.writes) == (2 + 2, 2 + 2 + 1)
    three_blocks = size(msgspec.structs.replace(often, flush_ms=3_600_000))
    assert three_blocks.items == pytest.approx(1 / 3 + 1)


def test_windows_of_a_device_that_reports_rarely_are_few_in_a_block() -> None:
    """Once in two hours: a minute is the only one in its block, an hour is one of ten in theirs."""
    rare = size(Fleet(7_200, 7_200, 1))
    assert (rare.items, rare.durable_items, rare.writes) == (3, 3, 3)
    at_once = size(Fleet(7_200, 7_200, 1, durable_ms=0))
    assert at_once.writes == 3 + 1 + 0.1


@pytest.mark.parametrize(("metrics", "units"), [(1, 1), (18, 1), (30, 2), (60, 3)])
def test_an_item_takes_a_unit_for_each_kb_that_it_begins(metrics: int, units: int) -> None:
    """One head a second; blocks of days are hardly ever written."""
    sizing = size(Fleet(10, 10, metrics, {"1d": 24 * HOUR_MS}, durable_ms=0))
    assert sizing.writes == pytest.approx(units, abs=0.01)
    assert -(-sizing.head_bytes // 1_024) == units


@pytest.mark.parametrize(("metrics", "parts"), [(64, 1), (65, 2), (128, 2), (129, 4), (1_000, 16)])
def test_items_of_many_metrics_come_in_parts(metrics: int, parts: int) -> None:
    at_once = msgspec.structs.replace(REPORTING, durable_ms=0)
    one, many = size(at_once), size(msgspec.structs.replace(at_once, metrics=metrics))
    assert (many.items, many.durable_items) == (one.items * parts, one.items * parts)
    assert many.items_kept == one.items_kept * parts


@pytest.mark.parametrize(
    ("fleet", "shards"),
    [
        (Fleet(800, 1, 1), 1),
        (Fleet(801, 1, 1), 2),
        (Fleet(800, 1, 100), -(-800 * record_bytes(100) // 800_000)),
    ],
    ids=["by records", "one too many", "by bytes"],
)
def test_shards_are_filled_to_a_share_of_what_they_take(fleet: Fleet, shards: int) -> None:
    assert size(fleet).shards == shards


def test_rows_are_kept_for_their_retention() -> None:
    """A day of windows: blocks of 15 minutes, or of 20, and of 20 hours, with one that fills up; and the head."""
    sizing = size(Fleet(1, 1, 1, retention_s=86_400))
    assert sizing.rows_kept == 1 + 1_440 + 24
    assert sizing.items_kept == pytest.approx(1 + 96 + (1.2 + 1))
    at_once = size(Fleet(1, 1, 1, retention_s=86_400, durable_ms=0))
    assert at_once.items_kept == 1 + (72 + 1) + (1.2 + 1)


def test_state_holds_what_is_remembered() -> None:
    fast, slow = Fleet(10, 1, 1), Fleet(10, HOUR_MS / 1_000, 1)
    assert serialised_state(fast, HOUR_MS) > 80 * serialised_state(slow, HOUR_MS)
    assert serialised_state(fast, 2 * HOUR_MS) == pytest.approx(2 * serialised_state(fast, HOUR_MS), rel=0.03)
    assert serialised_state(fast, HOUR_MS, since_ms=HOUR_MS / 60) < serialised_state(fast, HOUR_MS) / 50


def test_state_holds_a_window_for_20_more_until_its_block_is_over() -> None:
    """A window of one reading takes 60 bytes. In its first hour a job has 59 minutes behind it, later the last 80."""
    fleet = Fleet(10, 60, 1, MINUTES)
    first_hour = serialised_state(fleet, HOUR_MS, since_ms=HOUR_MS)
    assert serialised_state(fleet, HOUR_MS) - first_hour == 10 * (60 + 20 - 59) * 60


def test_a_job_gets_kpus_for_its_cpu_and_for_its_state() -> None:
    assert size(Fleet(1, 60, 1)).kpus == 1
    busy = size(Fleet(10_000, 1, 5))
    assert busy.kpus >= 2 * (busy.fold_cores + busy.store_cores)
    full = size(Fleet(100_000_000, 3_600, 1))
    assert full.kpus >= 2 * full.state_bytes / 50e9


@pytest.mark.parametrize(
    ("fleet", "said"),
    [
        (Fleet(1_000_000, 1, 5), "durable.interval = 10m would take"),
        (Fleet(10_000_000, 3_600, 5, retention_s=3_600), "every event writes its head"),
        (Fleet(1, 0.0005, 1), "shard takes"),
        (Fleet(1, 0.02, 1_000, flush_ms=20, durable_ms=0), "DynamoDB gives a partition key 1,000"),
        (Fleet(5_000_000, 60, 5, durable_ms=0), "40,000 write units"),
        (Fleet(10_000, 5, 5, fast_retention_s=90 * 86_400), "retention.fast = 1d"),
        (Fleet(1_000_000, 1, 20), "64 KPUs"),
        (Fleet(1_000_000, 3_600, 50), "fewer metrics make smaller ones"),
        (Fleet(100_000, 60, 50, flush_ms=60_000), "flush.size of 100,000"),
        (Fleet(1_000_000, 60, 1, lateness_ms=168 * HOUR_MS), "outside the heap"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_limits_are_told(fleet: Fleet, said: str) -> None:
    assert any(said in one for one in advice(fleet, size(fleet)))


def test_of_a_small_fleet_there_is_nothing_to_tell() -> None:
    small = Fleet(100, 60, 2, retention_s=86_400)
    assert advice(small, size(small)) == []
