"""Limits of rows: no store is given a row that one of them would refuse for what it holds.

All stores go by these limits, so that none has a row that another refuses, and so do all generations. Sizes are bytes
of UTF-8. What passes can be written as JSON and is the same when it is read: keys and values are of Python's own types,
not of subclasses. So are names of fields in rows that were read from JSON; of others `why_not_written` asks it.
"""

import re
from decimal import Decimal
from functools import lru_cache
from math import inf

from telefold.schemas.view_rows import ViewUpdate

MAX_VERSION = 2**63 - 1
MAX_PARTITION_BYTES = 2_048 - 16
"""DynamoDB's limit, less what a generation's prefix may take."""
MAX_SORT_BYTES = 1_024
MAX_ITEM_BYTES = 400 * 1_024 - 16
"""DynamoDB's limit of names and values, less the same."""
MAX_FIELD_NAME_BYTES = 65_535
INTEGERS = range(-(2**63), 2**63)
"""The numbers that are stored as integers; a whole number beyond is a float."""
_FIRST_INTEGER, _LAST_INTEGER = INTEGERS[0], INTEGERS[-1]
LARGEST_FLOAT = 9.9e125
"""DynamoDB's limit. What is smaller than it can hold is 0 there."""
LATEST_EXPIRY = (2**63 - 1) // 1_000
"""The latest expiry, in epoch seconds: Redis counts milliseconds."""

RESERVED_PARTITIONS = ("telefold", "device", "fleet", "fleets")
"""Names that would be taken for the bookkeeping, for half of a key, or for the list of all groups."""

_SHARED_PARTITION = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_SURELY_SMALL = 50_000
_OF_A_NUMBER = 22
_OF_AN_ITEM = sum(map(len, ("pk", "sk", "version", "view", "data", "expires_at"))) + 3 + 2 * 12
_OF_A_FIELD = 1


def is_shared_partition(partition: str) -> bool:
    """Whether a fold may share a partition of that name among all devices."""
    return partition not in RESERVED_PARTITIONS and _SHARED_PARTITION.fullmatch(partition) is not None


def why_refused(row: ViewUpdate) -> str | None:
    """Why no store is given `row`; None for one that all take."""
    return None if _is_surely_fine(row) else _first_breach(row)


def why_not_written(row: ViewUpdate) -> str | None:
    """Why `row`, which code has made, is refused: as by `why_refused`, or because of a name that JSON has none like."""
    odd = next((name for name in row.data if type(name) is not str), None)
    return why_refused(row) if odd is None else _breach_of_field(odd, None)


def _is_surely_fine(row: ViewUpdate) -> bool:
    """A quick look, which nearly all rows pass; those that do not are measured."""
    partition, sort = row.partition, row.sort
    if not type(partition) is type(sort) is str:
        return False
    if not (partition and sort and partition.isascii() and sort.isascii() and row.view.isascii()):
        return False
    if not 0 <= row.version <= MAX_VERSION or len(partition) > MAX_PARTITION_BYTES or len(sort) > MAX_SORT_BYTES:
        return False
    size = len(row.view) + len(row.packed or b"") + _surely_of_names(tuple(row.data))
    for value in row.data.values():
        kind = type(value)
        if kind is float:
            if not -LARGEST_FLOAT <= value <= LARGEST_FLOAT:  # type: ignore[operator]
                return False
        elif kind is int:
            if not _FIRST_INTEGER <= value <= _LAST_INTEGER:  # type: ignore[operator]
                return False
        elif kind is str:
            if not value.isascii():  # type: ignore[union-attr]
                return False
            size += len(value)  # type: ignore[arg-type]
        elif kind is not bool:
            return False
    return size < _SURELY_SMALL and (row.expires_at is None or abs(row.expires_at) <= LATEST_EXPIRY)


@lru_cache(maxsize=1_000)
def _surely_of_names(names: tuple[object, ...]) -> float:
    """The bytes of all fields at most, but for their texts; infinite if that is unsure. A view's rows share names."""
    if not all(isinstance(name, str) and name and name.isascii() for name in names):
        return inf
    return sum(len(str(name)) + _OF_A_NUMBER for name in names)


def _first_breach(row: ViewUpdate) -> str | None:
    if not 0 <= row.version <= MAX_VERSION:
        return f"the version is {_short(row.version)}: versions are 0 to 2^63-1"
    if row.expires_at is not None and abs(row.expires_at) > LATEST_EXPIRY:
        return f"expires_at is {_short(row.expires_at)}: it is in epoch seconds, and no later than {LATEST_EXPIRY}"
    try:
        return _breach_of_keys(row) or _breach_of_data(row) or _breach_of_size(row)
    except UnicodeEncodeError as error:
        return f"a text in it is not Unicode ({error.reason})"


def _breach_of_keys(row: ViewUpdate) -> str | None:
    for what, key, limit in (
        ("partition", row.partition, MAX_PARTITION_BYTES),
        ("sort key", row.sort, MAX_SORT_BYTES),
    ):
        if type(key) is not str:
            return f"the {what} is of type {type(key).__name__}: it is a text"
        size = len(key.encode())
        if not 0 < size <= limit:
            return f"the {what} has {size:,} bytes: it may have 1 to {limit:,}"
    return None


def _breach_of_data(row: ViewUpdate) -> str | None:
    return next((breach for name, value in row.data.items() if (breach := _breach_of_field(name, value))), None)


def _breach_of_field(name: object, value: object) -> str | None:
    if type(name) is not str:
        return f"the name of a field is of type {type(name).__name__}: it is a text"
    if not 0 < len(name.encode()) <= MAX_FIELD_NAME_BYTES:
        return f"the name of a field has {len(name.encode()):,} bytes: it may have 1 to {MAX_FIELD_NAME_BYTES:,}"
    if type(value) is bool or type(value) is str:
        return None
    if type(value) is int:
        return None if value in INTEGERS else f"{name[:100]!r} is {_short(value)}, which has more than 64 bits"
    if type(value) is float:
        within = -LARGEST_FLOAT <= value <= LARGEST_FLOAT
        return (
            None if within else f"{name[:100]!r} is {value}: numbers are between -{LARGEST_FLOAT} and {LARGEST_FLOAT}"
        )
    return f"{name[:100]!r} is of type {type(value).__name__}: values are numbers, texts, true or false"


def _breach_of_size(row: ViewUpdate) -> str | None:
    size = item_bytes(row)
    return f"it has {size:,} bytes: at most {MAX_ITEM_BYTES:,} are stored" if size > MAX_ITEM_BYTES else None


def item_bytes(row: ViewUpdate) -> int:
    """The size of the row as DynamoDB computes it."""
    keys = _bytes(row.partition) + _bytes(row.sort) + _bytes(row.view)
    data = sum(_OF_A_FIELD + _bytes(name) + _bytes_of_value(value) for name, value in row.data.items())
    return _OF_AN_ITEM + keys + data + len(row.packed or b"")


def _bytes_of_value(value: object) -> int:
    if isinstance(value, str):
        return _bytes(value)
    if isinstance(value, bool):
        return 1
    digits = len(Decimal(repr(value)).normalize().as_tuple().digits)
    return 2 + (digits + 1) // 2


def _bytes(text: str) -> int:
    return len(text.encode())


def _short(number: int) -> str:
    """The number as text, unless it has more digits than anybody wants to read, or Python to print."""
    return str(number) if number.bit_length() < 200 else f"a number of {number.bit_length()} bits"
