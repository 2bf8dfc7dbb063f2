"""The archive of the event log: immutable Avro files by UTC hour of arrival and by shard, on a disk or in S3.

`<path>/day=2026-01-31/hour=12/shard=<shard>/<name>.avro`, each an object container of `schemas/archived_record.avsc`
with the records of one shard in their order. Names that begin with `.` or `_` are unfinished and never looked at.
S3 is AWS's unless AWS_ENDPOINT_URL_S3, the variable of all AWS SDKs, names another.
pyarrow takes a while to import, so only opening an archive does it.
"""

import io
import json
import re
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush, heapreplace
from operator import itemgetter
from typing import Any, NamedTuple
from uuid import uuid4

import fastavro

from telefold.connectors.archive_holes import ArchivedRecord, Chain, Continuity, Hole
from telefold.connectors.archive_place import filesystem_of
from telefold.schemas.archived_record import SCHEMA_TEXT
from telefold.schemas.errors import ArchiveError
from telefold.schemas.log_records import LogRecord, Positions, by_arrival, position_order

HOUR_MS = 3_600_000
RECORDS_A_FILE = 100_000
_FILES_AT_ONCE = 16
_BUFFER_BYTES = 1024 * 1024
_HEAD_BYTES = 64 * 1024
_FILES_APPEAR_WITHIN_S = 2.0
"""How long the files of one checkpoint may take to appear, which are put in place one by one."""
_FILE = re.compile(r"day=(\d{4}-\d\d-\d\d)/hour=(\d\d)/shard=([^/]+)/([^/._][^/]*)")
Order = tuple[int, int]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class ArchiveFile(NamedTuple):
    """One finished file. `hour` is the start of its hour of arrival in epoch milliseconds, `size` in bytes."""

    shard: str
    hour: int
    path: str
    size: int


class Archive:
    """The archive at `path`: an absolute path, or a `file://` or `s3://` URL.

    With `filesystem`, a pyarrow file system, `path` is a path in it. S3 is asked in `region` where the machine is told
    none; the bucket may be in another. Every method raises ArchiveError: where there
    is no archive, where a file is damaged, naming it, and where the file system cannot be reached.
    """

    def __init__(self, path: str, filesystem: Any = None, region: str | None = None) -> None:
        self.path = path
        with self._reaching():
            self._files, root = (filesystem, path) if filesystem else filesystem_of(path, region)
        self._root = root.rstrip("/")

    def files(self, since_ms: int | None = None, until_ms: int | None = None) -> list[ArchiveFile]:
        """The finished files, by hour, shard and name; with bounds, those that may hold records that arrived
        from `since_ms` to before `until_ms`, so far as the names of their folders show."""
        found = [
            file
            for day in self._days()
            if _overlaps(_day_ms(day), 24 * HOUR_MS, since_ms, until_ms)
            for file in self._files_below(f"{self._root}/{day}")
            if _overlaps(file.hour, HOUR_MS, since_ms, until_ms)
        ]
        return sorted(found, key=lambda file: (file.hour, file.shard, file.path))

    def read(
        self,
        since_ms: int | None = None,
        until_ms: int | None = None,
        shards: Collection[str] | None = None,
        on_file: Callable[[ArchiveFile], None] = lambda file: None,
        found: Continuity | None = None,
    ) -> Iterator[LogRecord]:
        """The records that arrived from `since_ms` to before `until_ms`: by arrival, those of a shard in their order.

        A record that is in two files, as after a job was started over, is read once. Of records that were aggregated,
        earlier builds did not note which was which: all that one file has are read. `on_file` is called with each file
        that has been read to its end. What is missing is noted in `found`; that may be what is just being put in
        place, which `lasting` finds out.
        """
        lanes = {
            files[0].shard: self._lane(files, begins_within, since_ms, until_ms, on_file, found)
            for files, begins_within in self._lanes(since_ms, until_ms, shards, with_neighbours=found is not None)
        }
        return by_arrival(lanes)

    def _lane(
        self,
        files: list[ArchiveFile],
        begins_within: bool,
        since_ms: int | None,
        until_ms: int | None,
        on_file: Callable[[ArchiveFile], None],
        found: Continuity | None,
    ) -> Iterator[LogRecord]:
        """The records of one shard that arrived between the bounds."""
        continuity = Continuity()
        for record in self._read_shard(files, on_file, Chain(continuity, begins_within)):
            if (since_ms is None or record.arrival >= since_ms) and (until_ms is None or record.arrival < until_ms):
                yield record
        if found is not None:
            found.holes += [hole for hole in continuity.holes if hole.overlaps(since_ms, until_ms)]
            found.silent_files |= continuity.silent_files

    def _lanes(
        self, since_ms: int | None, until_ms: int | None, shards: Collection[str] | None, with_neighbours: bool
    ) -> Iterator[tuple[list[ArchiveFile], bool]]:
        """The files of each shard, and whether it has others before them.

        Arrivals are not strictly in the order of the records: `with_neighbours`, those around the bounds are there too.
        """
        by_shard: defaultdict[str, list[ArchiveFile]] = defaultdict(list)
        for file in self.files() if with_neighbours else self.files(since_ms, until_ms):
            if shards is None or file.shard in shards:
                by_shard[file.shard].append(file)
        for _, files in sorted(by_shard.items()):
            chosen = _around(files, since_ms, until_ms) if with_neighbours else files
            if chosen:
                yield chosen, min(file.hour for file in files) < min(file.hour for file in chosen)

    def holes(
        self,
        since_ms: int | None = None,
        until_ms: int | None = None,
        on_file: Callable[[ArchiveFile], None] = lambda file: None,
    ) -> list[Hole]:
        """Holes of the archive among what arrived from `since_ms` to before `until_ms`; reads all of that."""
        found = Continuity()
        for _ in self.read(since_ms, until_ms, on_file=on_file, found=found):
            pass
        return self.lasting(found.holes, since_ms, until_ms)

    def lasting(self, holes: list[Hole], since_ms: int | None = None, until_ms: int | None = None) -> list[Hole]:
        """The holes among `holes` that are not filled in by files that were being put in place."""
        if not holes:
            return []
        time.sleep(_FILES_APPEAR_WITHIN_S)
        again = Continuity()
        for _ in self.read(since_ms, until_ms, {hole.shard for hole in holes}, found=again):
            pass
        return sorted((hole for hole in again.holes if hole in holes), key=lambda hole: hole.shard)

    def ends(self) -> dict[str, str]:
        """Positions of the last archived record of each shard; none where there is no archive yet.

        Arrival times are not strictly in the order of the records, so the last two hours of each shard are looked at.
        """
        by_shard: defaultdict[str, dict[int, list[ArchiveFile]]] = defaultdict(dict)
        for file in self.files() if self.exists() else ():
            by_shard[file.shard].setdefault(file.hour, []).append(file)
        newest = [file for hours in by_shard.values() for hour in sorted(hours)[-2:] for file in hours[hour]]
        ends: dict[str, str] = {}
        for file, last in zip(newest, self._map(self._last, newest), strict=True):
            if last is not None:
                advance(ends, file.shard, last)
        return ends

    def missed(self, known: Collection[ArchiveFile], positions: Positions) -> list[ArchiveFile]:
        """Files that are not `known` although they hold records within `positions`.

        The files of one checkpoint appear one by one: who read the archive meanwhile may have seen a later one first.
        """
        new = [file for file in self.files() if file not in known and file.shard in positions]
        firsts = zip(new, self._map(self._first, new), strict=True)
        return [file for file, first in firsts if first is not None and first <= position_order(positions[file.shard])]

    def exists(self) -> bool:
        from pyarrow import fs

        with self._reaching():
            found = self._files.get_file_info(self._root).type
        return bool(found == fs.FileType.Directory)

    def _days(self) -> list[str]:
        from pyarrow import fs

        if not self.exists():
            raise ArchiveError(
                f"There is no archive at {self.path}: run the job with it (`telefold run telemetry`) until a "
                "checkpoint has passed, or correct telefold.archive/path."
            )
        with self._reaching():
            names = [entry.base_name for entry in self._files.get_file_info(fs.FileSelector(self._root))]
        return [name for name in names if re.fullmatch(r"day=\d{4}-\d\d-\d\d", name)]

    def _files_below(self, folder: str) -> Iterator[ArchiveFile]:
        from pyarrow import fs

        with self._reaching():
            entries = self._files.get_file_info(fs.FileSelector(folder, recursive=True))
        for entry in entries:
            if entry.is_file and (match := _FILE.fullmatch(entry.path.removeprefix(f"{self._root}/"))):
                day, hour, shard, _ = match.groups()
                yield ArchiveFile(shard, _day_ms(f"day={day}") + int(hour) * HOUR_MS, entry.path, entry.size)

    def _read_shard(
        self, files: list[ArchiveFile], on_file: Callable[[ArchiveFile], None], chain: Chain
    ) -> Iterator[LogRecord]:
        """The records of one shard, each once: what a second file repeats is passed over.

        Records of one file may share an order, as earlier builds did not note an aggregate's place.
        """
        last: Order | None = None
        last_path = ""
        for order, path, archived in self._merged(files, on_file):
            if last is None or order > last or (order == last and path == last_path):
                chain.follow(archived, path)
                yield archived.record
                last, last_path = order, path

    def _merged(
        self, files: list[ArchiveFile], on_file: Callable[[ArchiveFile], None]
    ) -> Iterator[tuple[Order, str, ArchivedRecord]]:
        """All records of the files in their order, each with its file; of files that overlap alone several are open."""
        firsts = zip(self._map(self._first, files), files, strict=True)
        waiting = sorted(
            ((first, file.path, file) for first, file in firsts if first is not None),
            key=itemgetter(0, 1),
            reverse=True,
        )
        heads: list[tuple[Order, Order, str, ArchivedRecord, Iterator[ArchivedRecord]]] = []
        while waiting or heads:
            while waiting and (not heads or waiting[-1][0] <= heads[0][0]):
                first, path, file = waiting.pop()
                records = self._records(file, on_file)
                heappush(heads, (first, first, path, next(records), records))
            order, first, path, archived, records = heads[0]
            yield order, path, archived
            following = next(records, None)
            if following is None:
                heappop(heads)
            else:
                heapreplace(heads, (self._following(order, following, path), first, path, following, records))

    def _following(self, order: Order, archived: ArchivedRecord, path: str) -> Order:
        following = archived.record.order
        if following < order:
            raise self._damaged(path, f"the record {archived.record.position} follows {order[0]}")
        return following

    def _records(
        self, file: ArchiveFile, on_file: Callable[[ArchiveFile], None] = lambda file: None
    ) -> Iterator[ArchivedRecord]:
        with self._opened(file.path) as opened:
            reader: Iterable[Any] = fastavro.reader(opened)
            for fields in reader:
                record = _record(fields)
                if record.shard != file.shard:
                    raise ValueError(f"it holds a record of {record.shard}")
                yield ArchivedRecord(record, fields.get("previous"), "previous" in fields)
        on_file(file)

    def _first(self, file: ArchiveFile) -> Order | None:
        """The order of a file's first record; None where it has none."""
        with self._opened(file.path, _HEAD_BYTES) as opened:
            fields = next(iter(fastavro.reader(opened)), None)
            return None if fields is None else _record(fields).order

    def _last(self, file: ArchiveFile) -> str | None:
        """The position of a file's last record; blocks before the last are passed over undecoded."""
        with self._opened(file.path) as opened:
            last = None
            for block in fastavro.block_reader(opened):
                last = block
            records = [] if last is None else list(last)
            return _record(records[-1]).position if records else None

    @contextmanager
    def _opened(self, path: str, buffer: int = _BUFFER_BYTES) -> Iterator[io.BufferedReader]:
        """A file of the archive; what the reader of Avro raises for a damaged one becomes an ArchiveError."""
        with self._reaching():
            raw = self._files.open_input_file(path)
        with io.BufferedReader(raw, buffer) as opened:
            try:
                yield opened
            except (ArchiveError, GeneratorExit):
                raise
            except OSError as error:
                raise self._unreachable(error) from error
            except Exception as error:  # fastavro has no error type of its own
                raise self._damaged(path, str(error) or type(error).__name__) from error

    def _map(self, function: Callable[[ArchiveFile], Any], files: list[ArchiveFile]) -> list[Any]:
        if not files:
            return []
        with ThreadPoolExecutor(min(_FILES_AT_ONCE, len(files)), "archive") as pool:
            return list(pool.map(function, files))

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> ArchiveError:
        said = str(error).strip().rstrip(".")
        return ArchiveError(
            f"The archive at {self.path} cannot be read ({said}): check telefold.archive/path and the right to read it."
        )

    def _damaged(self, path: str, how: str) -> ArchiveError:
        return ArchiveError(
            f"The archive's file {path} is damaged ({how.rstrip('.')}): restore it from a copy. Without one, move it "
            "away: its records are then a hole, which --despite-holes passes over."
        )


def write(
    path: str,
    records: Iterable[LogRecord],
    records_a_file: int = RECORDS_A_FILE,
    filesystem: Any = None,
    behind: Positions | None = None,
) -> list[str]:
    """Lay `records`, those of each shard in their order, out at `path` as the job's sink does; returns the new files.

    For tests, benchmarks and imports: nothing that is there already is looked at or replaced. The first record of each
    shard is said to follow that at its position in `behind`, or to be the first that the shard ever had.
    """
    files, root = (filesystem, path) if filesystem else filesystem_of(path)
    schema = fastavro.parse_schema(json.loads(SCHEMA_TEXT))
    run = uuid4()
    written: list[str] = []
    last = dict(behind or {})
    held: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)

    def flush(folder: str) -> None:
        files.create_dir(folder, recursive=True)
        written.append(f"{folder}/part-{run}-{len(written)}.avro")
        with files.open_output_stream(written[-1]) as output:
            fastavro.writer(output, schema, held.pop(folder), codec="deflate")

    for record in records:
        folder = f"{root.rstrip('/')}/{datetime.fromtimestamp(record.arrival / 1000, UTC):day=%Y-%m-%d/hour=%H}"
        folder += f"/shard={record.shard}"
        fields = {name: getattr(record, name) for name in record.__struct_fields__}
        held[folder].append(fields | {"previous": last.get(record.shard)})
        last[record.shard] = record.position
        if len(held[folder]) == records_a_file:
            flush(folder)
    for folder in list(held):
        flush(folder)
    return written


def advance(positions: dict[str, str], shard: str, position: str) -> None:
    """Move the position of `shard` to `position` unless it is there or beyond already."""
    held = positions.get(shard)
    if held is None or position_order(held) < position_order(position):
        positions[shard] = position


def _record(fields: Any) -> LogRecord:
    arrival = fields["arrival"]
    return LogRecord(
        data=fields["data"],
        arrival=arrival if isinstance(arrival, int) else (arrival - _EPOCH) // _MILLISECOND,
        partition_key=fields["partition_key"],
        shard=fields["shard"],
        sequence_number=fields["sequence_number"],
        sub_sequence_number=fields.get("sub_sequence_number"),
    )


def _around(files: list[ArchiveFile], since_ms: int | None, until_ms: int | None) -> list[ArchiveFile]:
    """The files of the hours from `since_ms` to `until_ms` and of an hour more, and of the last hour before these."""
    since = None if since_ms is None else since_ms - HOUR_MS
    until = None if until_ms is None else until_ms + HOUR_MS
    if since is not None:
        earlier = [file.hour for file in files if not _overlaps(file.hour, HOUR_MS, since, None)]
        since = max(earlier, default=since)
    return [file for file in files if _overlaps(file.hour, HOUR_MS, since, until)]


def _day_ms(folder: str) -> int:
    return (datetime.fromisoformat(folder.removeprefix("day=") + "T00:00:00+00:00") - _EPOCH) // _MILLISECOND


def _overlaps(start: int, length: int, since_ms: int | None, until_ms: int | None) -> bool:
    return (since_ms is None or start + length > since_ms) and (until_ms is None or start < until_ms)
