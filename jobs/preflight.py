"""What must be there before a job starts; each thing that is not gives one sentence that says what to do."""

from collections.abc import Iterator
from contextlib import closing

from connectors import aws
from connectors.event_log import check_stream
from jobs import stores
from jobs.settings import Settings
from schemas.errors import JobError, StreamError, TelefoldError


def check(settings: Settings) -> None:
    """Raise JobError with a sentence for everything outside that the job needs and cannot use."""
    problems = [str(problem) for problem in _problems(settings)]
    if problems:
        raise JobError("\n".join(problems))


def _problems(settings: Settings) -> Iterator[TelefoldError]:
    for probe in (_check_source, _check_dead_letters, stores.check_dynamodb, stores.check_redis):
        try:
            probe(settings)
        except TelefoldError as problem:
            yield problem


def _check_source(settings: Settings) -> None:
    _check_stream(settings, settings.source.name, "telefold.source")


def _check_dead_letters(settings: Settings) -> None:
    _check_stream(settings, settings.dead_letter.name, "telefold.dead-letter")


def _check_stream(settings: Settings, name: str, group: str) -> None:
    with closing(aws.client("kinesis", settings.source.region, settings.source.endpoint)) as client:
        try:
            check_stream(client, name)
        except StreamError as error:
            raise StreamError(f"{group}: {error}") from error
