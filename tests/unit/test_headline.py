"""The line that says how a device is."""

import pytest

from telefold.cli.headline import headline
from telefold.schemas.view_rows import Value, ViewRow, rollup_sort

NOON = 1_769_860_800_000  # 2026-01-31T12:00:00Z
MINUTE = 60_000

ONLINE = {"presence": {"status": "online", "since_at": NOON - 303_000}}
REGISTERED = {"device": {"status": "registered", "registered_at": NOON - 86_400_000, "last_seen_at": NOON - 2_500}}
RETIRED = {"device": {"status": "retired", "retired_at": NOON - MINUTE, "last_seen_at": NOON - MINUTE}}
LATEST = {"latest#heat": {"value": 1.0, "at": NOON - 2_000}, "latest#light": {"value": 2.0, "at": NOON - 90_000}}
ROLLUP = {rollup_sort("1m", "heat", NOON - MINUTE): {"count": 1, "last_at": NOON - 1_000}}

Rows = dict[str, dict[str, Value]]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (
            {**ONLINE, **REGISTERED, **LATEST, **ROLLUP},
            "d: online since 2026-01-31 11:54:57 UTC (5 min 3 s ago), registered 2026-01-30 12:00:00 UTC, 2 metrics,"
            " newest event 2026-01-31 11:59:59 UTC (1 s ago)",
        ),
        (
            {**RETIRED, "presence": {"status": "retired", "since_at": NOON - MINUTE}},
            "d: retired since 2026-01-31 11:59:00 UTC (1 min ago), newest event 2026-01-31 11:59:00 UTC (1 min ago)",
        ),
        (RETIRED, "d: retired 2026-01-31 11:59:00 UTC, newest event 2026-01-31 11:59:00 UTC (1 min ago)"),
        (ROLLUP, "d: 1 metric, newest event 2026-01-31 11:59:59 UTC (1 s ago)"),
        ({"device": {"status": "unknown", "events": 1}}, "d"),
        ({"battery": {"charge": 7}}, "d"),
    ],
)
def test_a_line_says_what_the_rows_tell(rows: Rows, told: str) -> None:
    assert headline("d", [ViewRow(sort, 1, data) for sort, data in rows.items()], NOON) == told


def test_what_is_of_one_metric_tells_not_how_many_there_are() -> None:
    rows = [ViewRow(sort, 1, data) for sort, data in LATEST.items()]
    assert headline("d", rows[:1], NOON, "heat") == "d: newest event 2026-01-31 11:59:58 UTC (2 s ago)"


def test_a_clock_that_runs_fast_makes_nothing_negative_and_a_name_moves_no_cursor() -> None:
    rows = [ViewRow("latest#heat", 1, {"value": 1.0, "at": NOON + 5_000})]
    assert (
        headline("d\x1b", rows, NOON)
        == "d\N{REPLACEMENT CHARACTER}: 1 metric, newest event 2026-01-31 12:00:05 UTC (0 s ago)"
    )
