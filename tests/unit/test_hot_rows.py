"""Which rows the fast store keeps, and until when."""

import pytest

from telefold.schemas.hot_rows import ALL, Hot

NOON_S = 1_769_860_800
AT = "2026-01-31T12:00:00Z"
DAY_S = 86_400


@pytest.mark.parametrize(
    ("sort", "until"),
    [
        (f"rollup#1m#heat#{AT}", NOON_S + 60 + DAY_S),
        (f"rollup#1h#heat#{AT}", NOON_S + 3_600 + DAY_S),
        (f"rollup#1d@Europe/Berlin#heat#{AT}", NOON_S + 27 * 3_600 + DAY_S),
        (f"rollups#1m#{AT}#1769860000", NOON_S + 21 * 60 + DAY_S),
        (f"rollups#1m#{AT}#1769860000#1of4", NOON_S + 21 * 60 + DAY_S),
        ("latest", None),
        ("latest#heat", None),
        ("device", None),
        ("presence#metric#heat", None),
        ("rollup#1m#heat#yesterday", None),
        ("rollup#1x#heat#" + AT, None),
        ("rollups#", None),
        ("rollup#", None),
    ],
)
def test_windows_are_hot_for_so_long_after_their_end_and_all_else_always(sort: str, until: int | None) -> None:
    hot = Hot(DAY_S)
    assert hot.until(sort) == until
    assert ALL.until(sort) is None
    if until is not None:
        assert hot.holds(sort, until - 1)
        assert not hot.holds(sort, until)


def test_a_row_leaves_when_it_expires_or_is_not_hot_any_more() -> None:
    hot, sort, until = Hot(DAY_S), f"rollup#1m#heat#{AT}", NOON_S + 60 + DAY_S
    assert hot.expiry(sort, until + 1) == hot.expiry(sort, None) == until
    assert hot.expiry(sort, until - 1) == until - 1
    assert hot.expiry("latest", None) is None
    assert ALL.expiry(sort, 5) == 5
