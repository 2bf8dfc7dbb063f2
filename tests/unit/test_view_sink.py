"""Batches of view updates as they come from the JVM: one JSON object a line."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.view_sink import decode_batch
from schemas.view_rows import ViewUpdate

# Whatever can be in a metric's or device's name: line breaks of every kind, quotes, backslashes, commas, brackets.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from('\n\r\u2028\u0085"\\,[]{}'))
NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
UPDATES = st.builds(
    ViewUpdate,
    view=TEXTS,
    partition=TEXTS,
    sort=TEXTS,
    version=st.integers(0, 2**63 - 1),
    data=st.dictionaries(TEXTS, NUMBERS),
    expires_at=st.none() | st.integers(0, 2**40),
)


@given(st.lists(UPDATES), st.booleans())
def test_updates_survive_the_way_as_lines(updates: list[ViewUpdate], ascii_only: bool) -> None:
    objects = [msgspec.to_builtins(update) for update in updates]
    assert decode_batch("\n".join(json.dumps(one, ensure_ascii=ascii_only) for one in objects)) == updates


def test_a_line_is_what_flink_makes_of_a_row() -> None:
    line = (
        '{"data":{"at":1769860800000,"value":-1.5E-7},"expires_at":null,"partition":"device#d\\n\\"1\\"",'
        '"sort":"latest#temp\\u00e9","version":1769860800000,"view":"latest"}'
    )
    data = {"at": 1_769_860_800_000, "value": -1.5e-7}
    assert decode_batch(line) == [
        ViewUpdate("latest", 'device#d\n"1"', "latest#temp\u00e9", 1_769_860_800_000, data, None)
    ]


def test_an_empty_batch_has_no_updates() -> None:
    assert decode_batch("") == []


@pytest.mark.parametrize("line", ['{"view": "latest"', '{"view": "latest"}', "[]"])
def test_what_is_no_update_is_never_passed_over(line: str) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_batch(line)
