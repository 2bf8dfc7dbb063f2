"""Holes of an archive: what its records say came before them, and is in none of its files."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from telefold.schemas.errors import ArchiveError
from telefold.schemas.log_records import LogRecord, position_order


class ArchivedRecord(NamedTuple):
    record: LogRecord
    previous: str | None
    """The position of the record that lay before it in its shard; None for the first that was ever read of it."""
    knows_previous: bool
    """Whether `previous` is known: files of earlier builds do not have it."""


class Hole(msgspec.Struct, frozen=True):
    """Records of one shard that the archive lacks, before one that it has. Times are in epoch milliseconds."""

    shard: str
    behind: str | None
    """The position of the last record before them; None if they begin with the first of the shard."""
    last: str | None
    """The position of the last one that is missing; None if only `next` is known."""
    next: str
    """The position of the first record behind them."""
    behind_arrival: int | None
    next_arrival: int
    behind_file: str | None
    next_file: str

    def overlaps(self, since_ms: int | None, until_ms: int | None) -> bool:
        """Whether some of its records may have arrived from `since_ms` to before `until_ms`."""
        begins = self.behind_arrival
        return (since_ms is None or self.next_arrival >= since_ms) and (
            until_ms is None or begins is None or begins < until_ms
        )

    def __str__(self) -> str:
        begins = "its first record"
        if self.behind_arrival is not None:
            begins = f"behind {self.behind} ({moment(self.behind_arrival)}, the end of {self.behind_file})"
        ends = f"before {self.next}" if self.last is None else f"up to {self.last}"
        return (
            f"{self.shard}: from {begins} {ends}; what follows arrived at {moment(self.next_arrival)} and is in"
            f" {self.next_file}"
        )


@dataclass
class Continuity:
    """The gaps that a reading of the archive found."""

    holes: list[Hole] = field(default_factory=list)
    silent_files: set[str] = field(default_factory=set)
    """Files of earlier builds, which do not say what came before their records."""


class Chain:
    """Follows the records of one shard in their order, and notes in `found` where one is missing.

    With `begins_within`, records before the first may be in files that are not read.
    """

    def __init__(self, found: Continuity, begins_within: bool) -> None:
        self._found = found
        self._unknown_before = begins_within
        self._last: LogRecord | None = None
        self._last_position: str | None = None
        self._last_path: str | None = None

    def follow(self, archived: ArchivedRecord, path: str) -> None:
        record, previous = archived.record, archived.previous
        if not archived.knows_previous:
            self._found.silent_files.add(path)
        elif not self._unknown_before and self._is_missing(previous):
            self._found.holes.append(self._hole(record, previous, path))
        self._last, self._last_position, self._last_path = record, record.position, path
        self._unknown_before = False

    def _is_missing(self, previous: str | None) -> bool:
        if previous == self._last_position:
            return False
        if previous is None or self._last_position is None:
            return True
        return position_order(previous) > position_order(self._last_position)

    def _hole(self, record: LogRecord, previous: str | None, path: str) -> Hole:
        last = self._last
        return Hole(
            shard=record.shard,
            behind=self._last_position,
            last=previous,
            next=record.position,
            behind_arrival=None if last is None else last.arrival,
            next_arrival=record.arrival,
            behind_file=self._last_path,
            next_file=path,
        )


def refuse(path: str, holes: Iterable[Hole]) -> None:
    """Raise ArchiveError, naming each, if there are `holes` in the archive at `path`."""
    if lines := [f"  {hole}" for hole in holes]:
        raise ArchiveError(
            "\n".join(
                (
                    f"The archive at {path} lacks records in {len(lines)} places: restore its files from a copy, or go"
                    " on without these records (--despite-holes, or telefold.archive/despite.holes for a cluster).",
                    *lines,
                )
            )
        )


def moment(arrival: int) -> str:
    """An arrival in epoch milliseconds, as people read it."""
    return (
        datetime.fromtimestamp(arrival / 1000, UTC).isoformat(sep=" ", timespec="milliseconds").replace("+00:00", "Z")
    )
