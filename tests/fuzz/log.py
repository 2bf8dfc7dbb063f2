"""What the log says: which of its events were to be folded, and how the rest was to be rejected."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from typing import NamedTuple

import msgspec

from telefold.connectors import aws
from telefold.connectors.dead_letters import DeadLetter, read_dead_letters
from telefold.connectors.event_log import read_stream
from telefold.jobs.settings import Settings
from telefold.schemas.errors import Reason
from telefold.schemas.events import DeviceEvent
from telefold.schemas.log_records import LogRecord
from telefold.verify.oracle import Reckoning
from tests.fuzz import own_fold
from tests.support.fold_rows import AcceptedEvents


class FailedStep(msgspec.Struct):
    """What a letter says of an event on which a fold failed; without `event_id`, of a step by time or by rules."""

    device_id: str
    event_id: str | None = None


class Log(NamedTuple):
    records: Sequence[LogRecord]
    reckoning: Reckoning
    events: Mapping[str, Sequence[DeviceEvent]]
    """Of each device those that were to be folded, in their order."""
    letters: Sequence[DeadLetter]
    forgotten: frozenset[str]
    """Devices of which an event was so old that they may have been forgotten."""

    @property
    def groups(self) -> set[str]:
        """Every group that a device ever said to be in."""
        told = {
            f"{name}#{value}"
            for events in self.events.values()
            for event in events
            for name, value in event.attributes.items()
        }
        return {"all", *told}

    def set_aside(self, reason: Reason) -> list[DeadLetter]:
        return [letter for letter in self.letters if letter.reason == reason]

    @property
    def failed_events(self) -> Counter[str]:
        """By device, on how many of its events the team's own fold failed."""
        letters = self.set_aside(Reason.FOLD_FAILED)
        steps = (msgspec.json.decode(one.payload, type=FailedStep) for one in letters if one.fold == own_fold.NAME)
        return Counter(step.device_id for step in steps if step.event_id is not None)


def read(settings: Settings) -> Log:
    with closing(aws.client("kinesis", settings.source.region, settings.source.endpoint)) as kinesis:
        records = list(read_stream(kinesis, settings.source.name))
        letters = list(read_dead_letters(kinesis, settings.dead_letter.name))
    accepted = _folded(settings, records)
    oldest = max(record.arrival for record in records) - settings.job.device_retention_ms
    forgotten = (name for name, events in accepted.events.items() if any(one.event_time < oldest for one in events))
    return Log(records, accepted.reckoning(), accepted.events, letters, frozenset(forgotten))


def _folded(settings: Settings, records: Iterable[LogRecord]) -> AcceptedEvents:
    job = settings.job
    accepted = AcceptedEvents(job.rollup_sizes, job.rollup_lateness_ms, settings.views.retention)
    for record in records:
        accepted.add(record)
    return accepted
