"""What must be there before a job starts; each thing that is not gives one sentence that says what to do."""

from collections.abc import Callable, Iterator

from botocore.exceptions import BotoCoreError, ClientError

from connectors import aws
from jobs.settings import Settings
from schemas.errors import JobError, StreamError, TelefoldError


def check(settings: Settings) -> None:
    """Raise JobError with a sentence for everything outside that the job needs and cannot use."""
    problems = [str(problem) for problem in _problems(settings)]
    if problems:
        raise JobError("\n".join(problems))


def _problems(settings: Settings) -> Iterator[TelefoldError]:
    for probe in (_source, _dead_letters, _views):
        yield from _attempt(probe, settings)


def _attempt(probe: Callable[[Settings], None], settings: Settings) -> Iterator[TelefoldError]:
    try:
        probe(settings)
    except TelefoldError as problem:
        yield problem


def _source(settings: Settings) -> None:
    check_stream(settings.source.name, settings.source.region, settings.source.endpoint, "telefold.source")


def _dead_letters(settings: Settings) -> None:
    check_stream(settings.dead_letter.name, settings.source.region, settings.source.endpoint, "telefold.dead-letter")


def _views(settings: Settings) -> None:
    raise NotImplementedError


def check_stream(name: str, region: str, endpoint: str | None, group: str) -> None:
    """Raise StreamError unless the stream exists and can take and give records."""
    place = f"region {region}" + (f" at {endpoint}" if endpoint else "")
    try:
        summary = aws.client("kinesis", region, endpoint).describe_stream_summary(StreamName=name)
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            raise StreamError(
                f"The stream {name} does not exist in {place}: create it, or correct {group}/stream.name"
                " or telefold.source/aws.region."
            ) from error
        raise StreamError(
            f"The stream {name} in {place} refused us ({error}): check the credentials and their rights on it."
        ) from error
    except BotoCoreError as error:
        raise StreamError(
            f"Kinesis cannot be reached in {place} ({error}): check telefold.source/aws.region and aws.endpoint,"
            " and that it is up (locally: `telefold local up`)."
        ) from error
    status = summary["StreamDescriptionSummary"]["StreamStatus"]
    if status not in ("ACTIVE", "UPDATING"):
        raise StreamError(f"The stream {name} in {place} is {status}: start the job once it is ACTIVE.")
