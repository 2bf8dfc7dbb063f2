"""Checks before a job starts; each thing that is missing gives one sentence that says what to do."""

from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

from telefold.connectors import archive_place, aws
from telefold.connectors.event_log import MissingStream, check_stream
from telefold.jobs import stores
from telefold.jobs.settings import Settings, check_folds
from telefold.schemas.errors import JobError, TelefoldError

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient


def check(settings: Settings, check_s3: Callable[[], None] = lambda: None, *, writes_archive: bool = False) -> None:
    """Raise JobError with a sentence for everything outside that the job needs and cannot use.

    Raises SettingsError for folds whose code is not there.

    `check_s3` raises for a Flink without its file system for S3, where the archive is there.
    """
    check_folds(settings)
    check_archive = partial(_check_archive, check_s3=check_s3, writes=writes_archive)
    problems = [str(problem) for problem in _problems(settings, check_archive)]
    if problems:
        raise JobError("\n".join(problems))


def _problems(settings: Settings, check_archive: Callable[[Settings], None]) -> Iterator[TelefoldError]:
    for probe in (_check_streams, stores.check_dynamodb, stores.check_redis, check_archive):
        try:
            probe(settings)
        except TelefoldError as problem:
            yield problem


def _check_streams(settings: Settings) -> None:
    """Raise MissingStream for streams that are not there: one is likely misspelt, two are more likely elsewhere."""
    source, keys = settings.source, _streams(settings)
    with closing(aws.client("kinesis", source.region, source.endpoint)) as client:
        missing = [name for name in keys if not _is_there(client, name)]
    where = source.region + (f" at {source.endpoint}" if source.endpoint else "")
    match missing:
        case []:
            return
        case [name]:
            raise MissingStream(f"There is no stream {name} in {where}: create it, or correct {keys[name]}.")
        case [*names, last]:
            raise MissingStream(
                f"There are no streams {', '.join(names)} and {last} in {where}: create them, or correct"
                " telefold.source/aws.region or aws.endpoint."
            )


def _streams(settings: Settings) -> dict[str, str]:
    """The streams that the job needs, by name, and the property that each is named in."""
    source, dead_letter, alerts = settings.source, settings.dead_letter, settings.alerts
    streams = {
        source.name: f"telefold.source/{source.key}",
        dead_letter.name: f"telefold.dead-letter/{dead_letter.key}",
    }
    if settings.judges_by_rules:
        streams |= {
            name: f"telefold.alerts/{key}"
            for key, name in (("rules.stream.name", alerts.rules_stream), ("stream.name", alerts.stream))
            if name is not None
        }
    return streams


def _is_there(client: "KinesisClient", stream: str) -> bool:
    try:
        check_stream(client, stream)
    except MissingStream:
        return False
    return True


def _check_archive(settings: Settings, check_s3: Callable[[], None], writes: bool) -> None:
    path = settings.archive.path
    if path is None:
        return
    if archive_place.is_in_s3(path):
        check_s3()
    archive_place.check_place(path, to_write=writes, region=settings.source.region)
