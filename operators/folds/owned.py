"""Limits of a fold: it may write rows of its own device and view, with values that every store can hold. Pure.

What every store asks for is in `schemas.row_limits`; here is where a fold's author is bound more narrowly.
"""

from collections.abc import Mapping
from typing import Any, cast

from telefold.operators.folds.groups import LATEST_STEP, MAX_AMOUNT, MAX_FIELD_BYTES, MAX_FIELDS, Contributed
from telefold.schemas.row_limits import INTEGERS, RESERVED_PARTITIONS, is_shared_partition, why_not_written
from telefold.schemas.view_rows import Data, ViewUpdate, device_partition

MAX_GROUP_BYTES = 900
"""A group's name is part of a sort key, too: that under which all groups are found."""
LATEST_EXPIRY = 2**33
"""Epoch seconds, in the year 2242. What is later was meant to be milliseconds."""


class NotOwned(ValueError):
    """The fold would write what is not its own to write, or what no store can hold."""


def fields(given: Any) -> Data:
    """A copy that the fold cannot change any more."""
    if not isinstance(given, Mapping):
        raise NotOwned(f"a row has the data {_shown(given)}: fields and values are asked for")
    return dict(cast(Data, given))


def check_row(device_id: str, row: ViewUpdate) -> None:
    """Raise NotOwned unless the fold that the view is named for may write `row` for this device.

    It is called for every row that changes, at every event.
    """
    _check_sort(row.view, row.sort)
    if row.partition != device_partition(device_id):
        _check_shared(device_id, row)
    _check_storable(row)


def check_contribution(group: Any, made: Contributed) -> None:
    """Raise NotOwned unless there can be a group of that name with such a row."""
    if not _is_text(group, MAX_GROUP_BYTES):
        raise NotOwned(f"a group is named by a text of 1 to {MAX_GROUP_BYTES} bytes")
    _check_sort(made.view, made.sort)
    if len(made.add) > MAX_FIELDS:
        raise NotOwned(f"a group's row cannot be changed in {len(made.add)} fields: {MAX_FIELDS} are the most")
    for field, amount in made.add.items():
        if not _is_text(field, MAX_FIELD_BYTES):
            raise NotOwned(f"a group has no field {_shown(field)}: its name is a text of 1 to {MAX_FIELD_BYTES} bytes")
        _check_amount(amount)
    if made.high is not None:
        _check_amount(made.high)
    if made.at >= LATEST_STEP:
        raise NotOwned(f"a group cannot be changed at {made.at}: that is too late for epoch milliseconds")
    _check_storable(ViewUpdate(made.view, made.partition, made.sort, 0, made.add, made.expires_at))


def _check_sort(view: str, sort: Any) -> None:
    if type(sort) is not str or not sort.startswith(view) or sort[len(view) : len(view) + 1] not in ("", "#"):
        raise NotOwned(f"a row has the sort key {_shown(sort)}: it must be {view}, or begin with {view}#")


def _check_shared(device_id: str, row: ViewUpdate) -> None:
    """The key must tell whose the row is, whatever devices are named: so nothing before the id has a `#` to spare."""
    if type(row.partition) is not str or not is_shared_partition(row.partition):
        raise NotOwned(
            f"a row has the partition {_shown(row.partition)}: a fold's own are named by 1 to 63 of a-z, 0-9, _ and -,"
            f" a letter first, and not {', '.join(RESERVED_PARTITIONS)}"
        )
    middle = row.sort.removeprefix(f"{row.view}#").removesuffix(f"#{device_id}")
    if not middle or "#" in middle or row.sort != f"{row.view}#{middle}#{device_id}":
        raise NotOwned(
            f"a row in the partition {row.partition} has the sort key {_shown(row.sort)}: there it must be"
            f" {row.view}#<anything without #>#<the device's id>"
        )


def _check_storable(row: ViewUpdate) -> None:
    if row.expires_at is not None and not (type(row.expires_at) is int and 0 < row.expires_at < LATEST_EXPIRY):
        raise NotOwned(
            f"the row {_shown(row.sort)} has the expires_at {_shown(row.expires_at)}: it is a whole number of seconds"
            " since 1970, not of milliseconds"
        )
    if why := why_not_written(row):
        raise NotOwned(f"the row {_shown(row.sort)} can be kept by no store: {why}")


def _check_amount(amount: Any) -> None:
    if not (amount in INTEGERS if type(amount) is int else type(amount) is float and abs(amount) <= MAX_AMOUNT):
        raise NotOwned(
            f"a group cannot be changed by {_shown(amount)}: a whole number of 64 bits, or one between -1e60 and 1e60,"
            " is asked for"
        )


def _is_text(value: Any, most_bytes: int) -> bool:
    try:
        return type(value) is str and 0 < len(value.encode()) <= most_bytes
    except UnicodeEncodeError:
        return False


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:100]}..."
