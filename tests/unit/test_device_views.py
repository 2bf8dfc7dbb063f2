"""What the JVM is told of the views; that it folds into them what Python does is JUnit's part (`DeviceViewsTest`)."""

import pytest

from telefold.operators.device_views import device_views, group_views
from telefold.schemas.view_rows import (
    LATEST,
    ROLLUPS,
    VIEWS,
    device_partition,
    group_partition,
    latest_sort,
    rollup_sort,
)
from telefold.schemas.windows import Calendar
from tests.golden import device_views as golden

SIZES = {"1m": 60_000, "1h": 3_600_000}
RETENTION = {LATEST: None, ROLLUPS: 90}


def test_the_jvm_folds_into_the_views_of_the_golden_file() -> None:
    """JUnit configures its fold with that file; `python -m tests.golden.device_views` writes it."""
    assert golden.GOLDEN.read_bytes() == golden.golden()


def test_keys_are_those_that_readers_look_for() -> None:
    views = device_views(SIZES, VIEWS, RETENTION)
    assert views.latest is not None
    assert views.latest.partition_prefix + "d" == device_partition("d")
    assert views.latest.sort_prefix + "temperature" == latest_sort("temperature")
    for size, rollup in zip(SIZES, views.rollups, strict=True):
        assert rollup.window_ms == SIZES[size]
        assert rollup.row.partition_prefix + "d" == device_partition("d")
        assert rollup.row.sort_prefix + "t#1970-01-01T00:00:00Z" == rollup_sort(size, "t", 0)


@pytest.mark.parametrize(
    ("views", "has_latest", "rollups"), [((), False, 0), ((LATEST,), True, 0), ((ROLLUPS,), False, 2), (VIEWS, True, 2)]
)
def test_only_wanted_views_are_described(views: tuple[str, ...], has_latest: bool, rollups: int) -> None:
    described = device_views(SIZES, views, RETENTION)
    assert (described.latest is not None, len(described.rollups)) == (has_latest, rollups)


def test_groups_have_no_first_reading_and_partitions_of_their_own() -> None:
    described = group_views({"1d@Asia/Kolkata": 97_200_000}, 90)
    assert described.latest is None
    (rollup,) = described.rollups
    assert rollup.row.partition_prefix + "site#x" == group_partition("site#x")
    assert rollup.calendar == Calendar("d", "Asia/Kolkata")
    of_devices = device_views(SIZES, VIEWS, RETENTION).rollups[0].row
    assert of_devices.data.keys() - rollup.row.data.keys() == {"first", "last"}


def test_views_whose_state_differs_have_state_of_another_name() -> None:
    folded = [(SIZES, VIEWS), (SIZES, (LATEST,)), (SIZES, (ROLLUPS,)), (SIZES, ()), ({"1m": 60_000}, VIEWS)]
    folded += [({"5m": 300_000, "1h": 3_600_000}, VIEWS), (dict(reversed(SIZES.items())), VIEWS)]
    folded += [({f"1d@{zone}": 97_200_000}, VIEWS) for zone in ("Europe/Berlin", "Asia/Kolkata")]
    assert len({device_views(sizes, views, RETENTION).state_name for sizes, views in folded}) == len(folded)
    kept_longer = device_views(SIZES, VIEWS, {LATEST: 1, ROLLUPS: None})
    assert kept_longer.state_name == device_views(SIZES, VIEWS, RETENTION).state_name == "fold-latest-1m-1h"
