"""Rows as the log explains them, and when two are the same."""

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from telefold.schemas.view_rows import Value, ViewRow, ViewUpdate
from telefold.verify.comparing import (
    MISSING,
    RELATIVE_TOLERANCE,
    SMALLEST_MAGNITUDE,
    TOO_NEW,
    UNEXPECTED,
    fields_unlike,
)

TIMES_AN_EVENT = 2**20
"""Versions of one event: its own, and one for each step that time alone takes after it."""
FORGOTTEN_ROWS_KEPT_S = 7 * 86_400
FORGOTTEN_STATE_KEPT_MS = 14 * 86_400_000
"""How long after it was forgotten the versions of a device go on; later they may, or begin anew."""

UNEXPLAINED = f"{UNEXPECTED}: nothing in the log explains it"

Key = tuple[str, str]
"""Partition and sort key of a row."""


class Row(NamedTuple):
    """A row with all versions that the log explains: where it leaves open which, `least` is below `version`."""

    view: str
    partition: str
    sort: str
    version: int
    """The greatest version."""
    least: int
    data: Mapping[str, Value]
    expires_at: int | None = None
    """The time at which it expires, in epoch seconds."""
    changed: int = 0
    """The time of the log at which it came to be so, in epoch milliseconds."""
    by_time: bool = False
    """Whether that was by time alone, and not with an event."""
    rounding: Mapping[str, float] = MappingProxyType({})
    """How far numbers may be off, by field; those of other fields by a billionth of themselves."""
    lenient: frozenset[str] = frozenset()
    """Fields that are as good missing as 0."""

    @property
    def key(self) -> Key:
        return self.partition, self.sort

    @property
    def update(self) -> ViewUpdate:
        """The row as a store takes it: with the least version, so that whatever the job writes next replaces it."""
        return ViewUpdate(self.view, self.partition, self.sort, self.least, self.data, self.expires_at)


Rows = dict[Key, Row]


def iso(at: int) -> str:
    """Epoch milliseconds as sort keys of single times have them: UTC, to the millisecond."""
    return f"{datetime.fromtimestamp(at / 1_000, UTC):%Y-%m-%dT%H:%M:%S}.{at % 1_000:03d}Z"


@lru_cache(maxsize=10_000)
def iso_seconds(at: int) -> str:
    """Epoch milliseconds as sort keys of windows have them: UTC, to the second."""
    return f"{datetime.fromtimestamp(at // 1_000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def is_there(row: Row | ViewRow | None, now: float) -> bool:
    """Whether a reader sees the row at `now`, in epoch seconds."""
    return row is not None and (row.expires_at is None or row.expires_at > now)


def problems(wanted: Row | None, found: ViewRow | None) -> Iterator[str]:
    """The ways in which `found` differs from `wanted`; empty where they agree."""
    if wanted is None or found is None:
        if wanted is not None:
            yield MISSING
        elif found is not None:
            yield UNEXPLAINED
        return
    if found.version > wanted.version:
        yield f"version is {found.version}, {TOO_NEW}: the log explains {wanted.version} at most"
    elif found.version < wanted.least:
        yield f"version is {found.version}, expected {wanted.least}"
    if found.expires_at != wanted.expires_at:
        yield f"expires_at is {found.expires_at}, expected {wanted.expires_at}"
    yield from fields_unlike(
        wanted.data,
        found.data,
        lambda field, expected, held: _agree(expected, held, wanted.rounding.get(field)),
        wanted.lenient,
    )


def _agree(expected: Value, held: Value, rounding: float | None) -> bool:
    if isinstance(expected, str | bool) or isinstance(held, str | bool):
        return type(expected) is type(held) and expected == held
    if isinstance(expected, int) and isinstance(held, int):
        return expected == held
    if rounding is not None:
        return abs(expected - held) <= rounding + SMALLEST_MAGNITUDE
    return math.isclose(expected, held, rel_tol=RELATIVE_TOLERANCE, abs_tol=SMALLEST_MAGNITUDE)
