"""The bytes of an item: rows that are packed and unpacked, formats of before, and what is none."""

import json
import zlib
from math import floor, log10

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telefold.connectors.memory import MemoryViews
from telefold.schemas.errors import StoreRefused
from telefold.schemas.packed_rows import HEAD, PACKED, column, pack, unpack
from telefold.schemas.view_rows import ViewUpdate
from telefold.views.packed_reader import PackedReader
from tests.support.packed import DEVICE, MINUTE, NOON, SIZES, reading, window

numbers = st.one_of(st.floats(-1e60, 1e60), st.integers(-(10**6), 10**6), st.decimals(-999, 999, places=2).map(float))
readings_of_a_window = st.lists(st.decimals(-99, 99, places=2).map(float), min_size=1, max_size=9) | st.lists(
    st.floats(-1e9, 1e9), min_size=1, max_size=4
)


@given(
    st.dictionaries(st.text(st.characters(exclude_characters="#{}", exclude_categories=["Cs"]), min_size=1), numbers)
)
def test_what_is_packed_is_read_as_it_was(values: dict[str, float]) -> None:
    rows = [reading(metric, NOON + place, place + 1, value) for place, (metric, value) in enumerate(values.items())]
    rows += [
        window(size, metric, NOON + place * SIZES[size], place + 1, value / 4, 86_400)
        for size in SIZES
        for place, (metric, value) in enumerate(values.items())
    ]
    assert sorted(unpack(pack(rows)), key=lambda row: row.sort) == sorted(rows, key=lambda row: row.sort)


def test_an_item_is_json_that_anybody_reads() -> None:
    rows = [reading("temp", NOON), *(window("1m", "temp", NOON + n * MINUTE, 2, 20.5 + n / 4, 60) for n in range(3))]
    body = pack(rows)
    assert body[0] == 2
    assert json.loads(zlib.decompress(body[1:])) == {
        "latest": [None, {"temp": [1, 20.5, NOON]}],
        "rollups": {
            "1m": [
                60,
                {
                    "temp": [
                        [0, NOON // 1_000, 60, 60], [0, 2, 0, 0], [1, 410, 5, 5], [2, 2050, 25, 25], [2, 2050, 25, 25],
                        [0, 0, 0, 0], [0, 1, 0, 0], [2, 2050, 25, 25], [0, 59_999, 0, 0], [2, 2050, 25, 25],
                        [2, 25, 0, 0],
                    ]
                },
            ]
        },
    }  # fmt: skip


def test_a_column_is_of_differences_or_of_numbers_as_they_are() -> None:
    assert column([2, 2050, 25, -2075]) == [20.5, 20.75, 0]
    assert column([0, 3, -1]) == [3, 2]
    assert column([None, 1e300, 0.1]) == [1e300, 0.1]


def m2_of(values: list[float]) -> float:
    """As the job has it: ten significant digits."""
    mean = sum(values) / len(values)
    m2 = sum(((value - mean) ** 2 for value in values), 0.0)
    return m2 if m2.is_integer() else round(m2, 9 - floor(log10(m2)))


def m2_column(body: bytes) -> list[float | None]:
    columns = json.loads(zlib.decompress(body[1:]))["rollups"]["1m"][1]["temp"]
    return list(columns[5])


@given(st.lists(readings_of_a_window, min_size=1, max_size=20))
def test_deviations_are_read_as_they_were(some: list[list[float]]) -> None:
    rows = [
        window("1m", "temp", NOON + place * MINUTE, len(values), m2=m2_of(values)) for place, values in enumerate(some)
    ]
    assert unpack(pack(rows)) == rows


@given(st.lists(st.lists(st.integers(-999, 999), min_size=1, max_size=9), min_size=1, max_size=20))
def test_deviations_are_written_as_whole_numbers_where_readings_have_few_decimals(some: list[list[int]]) -> None:
    """The products are `count * sum(v**2) - sum(v)**2`: of readings with one decimal a whole number of hundredths."""
    counted = [[value / 10 for value in values] for values in some]
    rows = [
        window("1m", "temp", NOON + place * MINUTE, len(values), m2=m2_of(values))
        for place, values in enumerate(counted)
    ]
    decimals, *_ = written = m2_column(pack(rows))
    assert decimals in (0, 1, 2)
    products = [len(values) * sum(value**2 for value in values) - sum(values) ** 2 for values in some]
    assert column(written) == [product / 100 for product in products]


def test_deviations_of_the_format_before_are_as_they_are() -> None:
    row = window("1m", "temp", NOON, 6, m2=0.5)
    packed = json.loads(zlib.decompress(pack([row])[1:]))
    packed["rollups"]["1m"][1]["temp"][5] = [1, 5]
    assert unpack(b"\x01" + zlib.compress(json.dumps(packed).encode())) == [row]


@pytest.mark.parametrize("body", [b"", b"\x03" + zlib.compress(b"{}"), b"\x02no zlib", b"\x01" + zlib.compress(b"[")])
def test_an_item_that_cannot_be_read_is_named(body: bytes) -> None:
    store = MemoryViews(clock=lambda: 0)
    store.write([ViewUpdate(PACKED, DEVICE, HEAD, 1, packed=body)])
    with pytest.raises(StoreRefused, match=r"item latest cannot be read .*verify --mend"):
        PackedReader(store).range(DEVICE)
