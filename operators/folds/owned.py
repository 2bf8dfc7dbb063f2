"""What a fold may write: rows of its own device and its own view, and values that every store can keep. Pure."""

import re
from collections.abc import Mapping
from math import isfinite
from typing import Any, cast

from operators.folds.fold import Contribution, FoldRow

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
_NUMBER_BYTES = 20
_BEYOND_64_BITS = 2**63
_BEYOND_DYNAMODB = 1e126


class NotOwned(ValueError):
    """The fold would write what is not its own to write, or what no store can keep."""


def check_row(view: str, device_id: str, row: FoldRow) -> None:
    """Raise NotOwned unless the fold of this name may write `row` for this device.

    It is called for every row that changes, at every event.
    """
    _check_sort(view, row.sort)
    if row.partition is not None:
        _check_shared(view, device_id, row)
    if row.expires_at is not None:
        _check_expiry(row.sort, row.expires_at)
    if _size(row) > MAX_ROW_BYTES:
        raise NotOwned(f"the row {_shown(row.sort)} has {_size(row)} bytes, at most {MAX_ROW_BYTES} can be kept")


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
    if made.expires_at is not None:
        _check_expiry(made.sort, made.expires_at)


def _check_sort(view: str, sort: Any) -> None:
    if type(sort) is not str or not sort.startswith(view) or sort[len(view) : len(view) + 1] not in ("", "#"):
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
    if type(expires_at) is not int or not 0 < expires_at < LATEST_EXPIRY:
        raise NotOwned(
            f"the row {_shown(sort)} has the expires_at {_shown(expires_at)}: it is a whole number of seconds since"
            " 1970, not of milliseconds"
        )


def _size(row: FoldRow) -> int:
    """In bytes, more or less; raises NotOwned if a field or value is none."""
    if not isinstance(row.data, Mapping):
        raise NotOwned(f"the row {_shown(row.sort)} has the data {_shown(row.data)}: fields and values are asked for")
    size, data = 0, cast(Mapping[Any, Any], row.data)
    for field, value in data.items():
        if type(field) is not str:
            raise NotOwned(f"the row {_shown(row.sort)} has a field that is named {_shown(field)}: a text is asked for")
        size += _bytes(field) + _NUMBER_BYTES
        kind = type(value)
        if kind is str:
            size += _bytes(value)
        elif not (
            (kind is int and -_BEYOND_64_BITS <= value < _BEYOND_64_BITS)
            or (kind is float and -_BEYOND_DYNAMODB < value < _BEYOND_DYNAMODB)
            or kind is bool
        ):
            raise NotOwned(
                f"the row {_shown(row.sort)} has {_shown(value)} in {field}: a number, a text or a truth is asked for"
            )
    return size


def _check_amount(amount: Any) -> None:
    if not isinstance(amount, int | float) or not isfinite(amount) or abs(amount) > MAX_AMOUNT:
        raise NotOwned(f"a group cannot be changed by {_shown(amount)}: a number between -1e60 and 1e60 is asked for")


def _bytes(text: str) -> int:
    """Of UTF-8; raises UnicodeEncodeError, a ValueError, for what has none."""
    return len(text) if text.isascii() else len(text.encode())


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:100]}..."
