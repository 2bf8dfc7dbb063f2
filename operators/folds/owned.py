"""What a fold may write: rows of its own device and its own view, and values that every store can keep. Pure."""

import re
from collections.abc import Mapping
from math import isfinite
from typing import Any

from operators.folds.fold import Contribution, FoldRow

LONGEST_GENERATION_BYTES = 64
"""The generation's prefix, which comes before every partition in the stores, is never longer."""
MAX_PARTITION_BYTES = 2_048 - LONGEST_GENERATION_BYTES
MAX_SORT_BYTES = 1_024
MAX_ROW_BYTES = 380_000
"""An item of DynamoDB has 400 KB at most, keys and names of fields included."""
MAX_GROUP_BYTES = 900
"""A group's name is part of a sort key, too: that under which all groups are found."""
MAX_AMOUNT = 1e60
LATEST_EXPIRY = 2**33
"""Epoch seconds, in the year 2242. What is later was meant to be milliseconds."""

_SHARED_PARTITION = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_OTHERS = ("telefold", "device", "fleet", "fleets")
"""Partitions that are those of others, or begin like them."""
_BEYOND_DYNAMODB = 1e126
_INTEGERS = range(-(2**63), 2**63)


class NotOwned(ValueError):
    """The fold would write what is not its own to write, or what no store can keep."""


def check_row(view: str, device_id: str, row: FoldRow) -> None:
    """Raise NotOwned unless the fold of this name may write `row` for this device."""
    _check_sort(view, row.sort)
    if row.partition is None:
        partition = f"device#{device_id}"
    else:
        partition = row.partition
        _check_shared(view, device_id, row)
    if _bytes(partition) > MAX_PARTITION_BYTES:
        raise NotOwned(f"the partition of a row has more than {MAX_PARTITION_BYTES} bytes")
    _check_expiry(row.sort, row.expires_at)
    _check_data(row)


def check_contribution(view: str, made: Contribution) -> None:
    """Raise NotOwned unless there can be a group of that name with such a row."""
    if not isinstance(made.group, str) or not 0 < _bytes(made.group) <= MAX_GROUP_BYTES:
        raise NotOwned(f"a group is named by a text of 1 to {MAX_GROUP_BYTES} bytes")
    _check_sort(view, made.sort)
    for field, amount in made.add.items():
        _bytes(field)
        _check_amount(amount)
    if made.high is not None:
        _check_amount(made.high)
    _check_expiry(made.sort, made.expires_at)


def _check_sort(view: str, sort: Any) -> None:
    if not isinstance(sort, str) or (sort != view and not sort.startswith(f"{view}#")):
        raise NotOwned(f"a row has the sort key {_shown(sort)}: it must be {view}, or begin with {view}#")
    if _bytes(sort) > MAX_SORT_BYTES:
        raise NotOwned(f"the sort key {_shown(sort)} has more than {MAX_SORT_BYTES} bytes")


def _check_shared(view: str, device_id: str, row: FoldRow) -> None:
    """The key must tell whose the row is, whatever devices are named: so nothing before the id has a `#` to spare."""
    if not isinstance(row.partition, str) or not _SHARED_PARTITION.fullmatch(row.partition) or row.partition in _OTHERS:
        raise NotOwned(
            f"a row has the partition {_shown(row.partition)}: a fold's own are named by 1 to 63 of a-z, 0-9, _ and -,"
            f" a letter first, and not {', '.join(_OTHERS)}"
        )
    middle = row.sort.removeprefix(f"{view}#").removesuffix(f"#{device_id}")
    if not middle or "#" in middle or row.sort != f"{view}#{middle}#{device_id}":
        raise NotOwned(
            f"a row in the partition {row.partition} has the sort key {_shown(row.sort)}: there it must be"
            f" {view}#<anything without #>#<the device's id>"
        )


def _check_expiry(sort: str, expires_at: Any) -> None:
    if expires_at is None:
        return
    if type(expires_at) is not int or not 0 < expires_at < LATEST_EXPIRY:
        raise NotOwned(
            f"the row {_shown(sort)} has the expires_at {_shown(expires_at)}: it is a whole number of seconds since"
            " 1970, not of milliseconds"
        )


def _check_data(row: FoldRow) -> None:
    if not isinstance(row.data, Mapping):
        raise NotOwned(
            f"the row {_shown(row.sort)} has {_shown(row.data)} for its data: fields and values are asked for"
        )
    size = 0
    for field, value in row.data.items():
        if not isinstance(field, str):
            raise NotOwned(f"the row {_shown(row.sort)} has a field that is named {_shown(field)}: a text is asked for")
        size += _bytes(field) + _size(row.sort, field, value)
    if size > MAX_ROW_BYTES:
        raise NotOwned(f"the row {_shown(row.sort)} has {size} bytes, at most {MAX_ROW_BYTES} can be kept")


def _size(sort: str, field: str, value: Any) -> int:
    kind = type(value)
    if kind is bool:
        return 1
    if kind is int and value in _INTEGERS:
        return 20
    if kind is float and abs(value) < _BEYOND_DYNAMODB:
        return 20
    if kind is str:
        return _bytes(value)
    raise NotOwned(
        f"the row {_shown(sort)} has {_shown(value)} in {_shown(field)}: a number, a text or a truth is asked for"
    )


def _check_amount(amount: Any) -> None:
    if not isinstance(amount, int | float) or not isfinite(amount) or abs(amount) > MAX_AMOUNT:
        raise NotOwned(f"a group cannot be changed by {_shown(amount)}: a number between -1e60 and 1e60 is asked for")


def _bytes(text: str) -> int:
    """Of UTF-8; raises UnicodeEncodeError, a ValueError, for what has none."""
    return len(text) if text.isascii() else len(text.encode())


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:100]}..."
