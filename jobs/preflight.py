"""What must be there before a job starts; each thing that is not gives one sentence that says what to do."""

from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import Any

from connectors import archive, aws
from connectors.event_log import MissingStream, check_stream
from jobs import stores
from jobs.local import environment
from jobs.settings import Settings, check_folds
from schemas.errors import JobError, TelefoldError


def check(settings: Settings, *, writes_archive: bool = False, brings_file_systems: bool = False) -> None:
    """Raise JobError with a sentence for everything outside that the job needs and cannot use.

    Raises SettingsError for folds whose code is not there.

    A cluster brings its file system for S3, so there it is not looked for on this machine.
    """
    check_folds(settings)
    check_archive = partial(_check_archive, writes=writes_archive, brings_file_systems=brings_file_systems)
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
    """One missing stream is likely misspelt; two are more likely somewhere else."""
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
    """Those that the job needs, by name, and the property that each is named in."""
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


def _is_there(client: Any, stream: str) -> bool:
    try:
        check_stream(client, stream)
    except MissingStream:
        return False
    return True


def _check_archive(settings: Settings, writes: bool, brings_file_systems: bool) -> None:
    path = settings.archive.path
    if path is None:
        return
    if archive.is_in_s3(path) and not brings_file_systems:
        environment.check_s3()
    archive.check_place(path, to_write=writes, region=settings.source.region)
