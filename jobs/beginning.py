"""The place in the stream where a job begins that has no state; LATEST is resolved once for a set of views.

From then on every start without a checkpoint begins at the same place: what arrived while the job was down is folded.
"""

from contextlib import closing
from datetime import UTC, datetime

from telefold.connectors import aws, event_log
from telefold.connectors.leases import PARTITION
from telefold.jobs import stores
from telefold.jobs.settings import Settings
from telefold.schemas.view_rows import ViewUpdate


def resolved(settings: Settings) -> Settings:
    """The settings with a fixed time in the place of LATEST: the present by the clock of Kinesis at the first call.

    That may be up to a second early, and is never late. To be called by the job that holds the views alone.
    """
    if settings.source.init_position != "LATEST":
        return settings
    return _beginning_at(settings, _recorded(settings) or _record(settings))


def as_begun(settings: Settings) -> Settings:
    """Settings for a job that goes on from a checkpoint, with the time that `resolved` recorded, if it did.

    Of a shard of which nothing was read the checkpoint knows that it begins at a time, and not at which.
    """
    at = _recorded(settings) if settings.source.init_position == "LATEST" else None
    return _beginning_at(settings, at) if at else settings


def _beginning_at(settings: Settings, at: int) -> Settings:
    time = datetime.fromtimestamp(at / 1_000, UTC)
    source = settings.source.model_copy(update={"init_position": "AT_TIMESTAMP", "init_timestamp": time})
    return settings._replace(source=source)


def begins_at(settings: Settings) -> int:
    """The arrival, in epoch milliseconds, of what a job with these settings first reads of a stream; 0 for all."""
    match settings.source.init_position:
        case "AT_TIMESTAMP" if settings.source.init_timestamp:
            return round(settings.source.init_timestamp.timestamp() * 1_000)
        case "LATEST":
            return _recorded(settings) or 0
    return 0


def _recorded(settings: Settings) -> int | None:
    with closing(stores.open_bookkeeping_reader(settings)) as reader:
        row = reader.get(PARTITION, _sort(settings))
    return int(row.data["at"]) if row else None


def _record(settings: Settings) -> int:
    source = settings.source
    with closing(aws.client("kinesis", source.region, source.endpoint)) as kinesis:
        at = event_log.present(kinesis, source.name)
    with closing(stores.open_bookkeeping_writer(settings)) as writer:
        writer.write([ViewUpdate("beginning", PARTITION, _sort(settings), 1, {"at": at})])
    return at


def _sort(settings: Settings) -> str:
    return f"beginning#{settings.source.region}#{settings.source.name}"
