import pytest

from telefold.cli.times import parse_time

NOW = 1_769_860_800_000  # 2026-01-31T12:00:00Z


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-31T12:00:00Z", NOW),
        ("2026-01-31T13:00:00+01:00", NOW),
        ("2026-01-31 12:00", NOW),
        ("2026-01-31", NOW - 43_200_000),
        ("1769860800000", NOW),
        ("15m", NOW - 900_000),
        ("-15m", NOW - 900_000),
        ("15m ago", NOW - 900_000),
        (" 2h ", NOW - 7_200_000),
        ("1d", NOW - 86_400_000),
    ],
)
def test_times_people_write(text: str, expected: int) -> None:
    assert parse_time(text, NOW) == expected


@pytest.mark.parametrize("text", ["1795890000", "17958900000"])
def test_seconds_are_not_taken_for_milliseconds_of_1970(text: str) -> None:
    with pytest.raises(ValueError, match=rf"'{text}' looks like epoch seconds; write milliseconds \({text}000\)"):
        parse_time(text, NOW)


@pytest.mark.parametrize("text", ["yesterday", "", "15", "2026-13-01", "ago"])
def test_what_is_no_time_is_answered_with_what_is(text: str) -> None:
    with pytest.raises(ValueError, match="is no time; write an ISO 8601 time"):
        parse_time(text, NOW)
