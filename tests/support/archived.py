"""The archive held against the stream that it keeps."""

from collections import Counter
from contextlib import closing

from telefold.connectors import aws
from telefold.connectors.archive import Archive
from telefold.connectors.event_log import read_stream
from telefold.jobs.settings import Settings
from telefold.schemas.log_records import LogRecord


def check_archive(settings: Settings) -> int:
    """The archive holds each record of the stream once, with its bytes; how many there are."""
    source = settings.source
    with closing(aws.client("kinesis", source.region, source.endpoint)) as kinesis:
        log = Counter(map(_identity, read_stream(kinesis, source.name)))
    archive = Archive(settings.archive.path or "")
    assert Counter(map(_identity, archive.read())) == log
    assert archive.holes() == []
    return log.total()


def _identity(record: LogRecord) -> tuple[str, str, str, bytes]:
    return record.shard, record.position, record.partition_key, record.data
