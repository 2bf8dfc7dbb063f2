"""The whole event log as the settings name it: the archive, and behind its ends the stream."""

from collections.abc import Callable, Iterator
from hashlib import blake2b
from itertools import count
from typing import TYPE_CHECKING

from telefold.connectors.archive import ArchiveFile, advance
from telefold.connectors.archive_holes import Continuity, Hole, moment, refuse
from telefold.connectors.event_log import dropped, read_behind
from telefold.jobs.beginning import begins_at
from telefold.jobs.settings import Settings
from telefold.jobs.stores import open_archive
from telefold.schemas.codec import decode
from telefold.schemas.errors import ArchiveError, RejectedEvent
from telefold.schemas.events import DeviceEvent
from telefold.schemas.log_records import LogRecord, Positions
from telefold.verify.progress import Counting, quiet

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

Selection = Callable[[LogRecord], bool]
"""A test that a record passes if it is to be looked at."""

_HASH_BYTES = 8


def selection(device: str | None = None, sample: float | None = None) -> Selection:
    """All records, or the valid events of one device, or of a share of the devices; not of both."""
    if device is not None:
        return of_device(device)
    return (lambda record: True) if sample is None else of_sample(sample)


def of_device(device_id: str) -> Selection:
    """The events of one device. Few others are decoded: Avro writes a string as its UTF-8 bytes, so they are there."""
    needle = device_id.encode()

    def is_its(record: LogRecord) -> bool:
        event = event_in(record) if needle in record.data else None
        return event is not None and event.device_id == device_id

    return is_its


def of_sample(share: float) -> Selection:
    """The events of a share (0 to 1) of all devices, which are the same ones every time."""
    bound = share * (1 << 8 * _HASH_BYTES)

    def is_sampled(record: LogRecord) -> bool:
        event = event_in(record)
        if event is None:
            return False
        hashed = blake2b(event.device_id.encode(), digest_size=_HASH_BYTES).digest()
        return int.from_bytes(hashed) < bound

    return is_sampled


def event_in(record: LogRecord) -> DeviceEvent | None:
    """The valid event in a record, if there is one."""
    try:
        return decode(record.data, record.arrival)
    except RejectedEvent:
        return None


def check_holes(
    settings: Settings, since_ms: int | None = None, until_ms: int | None = None, counting: Counting = quiet
) -> list[Hole]:
    """Report what the archive lacks of what arrived between the bounds: ArchiveError unless told to go on.

    Reads all of that; without an archive nothing is lacking.
    """
    archive = open_archive(settings) if settings.archive.path else None
    holes: list[Hole] = []
    if archive and archive.exists():
        with counting("Looking for holes in the archive", None) as tell:
            read = count(1)
            holes = archive.holes(since_ms, until_ms, lambda _: tell(next(read)))
    if archive and not settings.archive.despite_holes:
        refuse(archive.path, holes)
    return holes


def check_takeover(settings: Settings, kinesis: "KinesisClient") -> list[str]:
    """Places where the stream may have dropped records before they were archived, a sentence for each shard."""
    ends = open_archive(settings).ends() if settings.archive.path else {}
    return [
        f"The archive of {first.shard} ends at {ends[first.shard]}, which the stream has dropped: its oldest record"
        f" {first.position} arrived at {moment(first.arrival)}, and what lay between the two, if anything, is lost."
        for first in (dropped(kinesis, settings.source.name, ends) if ends else ())
    ]


class Log:
    """Reads the log once, from its beginning to its present end and on: first `archived`, then `fresh`.

    The job writes rows before the archive holds their records, so the log is complete only with what the stream
    has behind the archive. Where the archive lacks records, reading it ends with an ArchiveError that names them,
    unless the settings say to go on: `holes` are then what it lacked. Without an archive the stream alone is the log,
    as far back as it is kept.
    """

    def __init__(self, settings: Settings, kinesis: "KinesisClient") -> None:
        self._settings = settings
        self._kinesis = kinesis
        self._stream = settings.source.name
        self.archive = open_archive(settings) if settings.archive.path else None
        self._despite_holes = settings.archive.despite_holes
        self._passed_over: Positions = {}
        """The ends of the archive where it is not read up to them: `fresh` goes on behind them all the same."""
        self._last: dict[str, LogRecord] = {}
        """The last record that was read of each shard, in which they come in the order of their positions."""
        self.holes: list[Hole] = []

    @property
    def positions(self) -> Positions:
        """How far the log has been read."""
        found = dict(self._passed_over)
        for shard, record in self._last.items():
            advance(found, shard, record.position)
        return found

    def archived(
        self, until_ms: int | None = None, on_file: Callable[[ArchiveFile], None] = lambda file: None
    ) -> Iterator[LogRecord]:
        """The archived records that arrived before `until_ms`; `fresh` goes on behind all that are archived."""
        if self.archive is None:
            return
        known = self.archive.files()
        if until_ms is not None:
            self._passed_over = self.archive.ends()
        found = Continuity()
        yield from self._noting(self.archive.read(until_ms=until_ms, on_file=on_file, found=found))
        self.holes = self.archive.lasting(found.holes, until_ms=until_ms)
        if not self._despite_holes:
            refuse(self.archive.path, self.holes)
        if until_ms is None and self.archive.missed(known, self.positions):
            raise ArchiveError("The archive's newest files were still appearing while it was read: try again.")

    def reread(self) -> Iterator[LogRecord]:
        """All archived records once more, without moving on in the log."""
        return iter(()) if self.archive is None else self.archive.read()

    def fresh(self) -> Iterator[LogRecord]:
        """The stream's records behind all that was read so far, up to its present end.

        Of a shard of which nothing was read these are those from where the job began.
        """
        positions, begin = self.positions, begins_at(self._settings)
        records = read_behind(self._kinesis, self._stream, positions)
        return self._noting(one for one in records if one.arrival >= begin or one.shard in positions)

    def _noting(self, records: Iterator[LogRecord]) -> Iterator[LogRecord]:
        for record in records:
            self._last[record.shard] = record
            yield record
