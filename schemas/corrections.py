"""Corrections: later events that say what earlier ones should have said.

A job that runs never folds one. Where a log is folded again, an event of that log is folded with the time, the
sequence and the metrics of its winning correction in the same log; with no metrics, it leaves no reading.
A correction names an event and not another correction: to correct it again is to send one with a greater `sequence`.
"""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from telefold.schemas.codec import VERSIONS, decode, header
from telefold.schemas.errors import RejectedEvent
from telefold.schemas.events import DeviceEvent
from telefold.schemas.log_records import LogRecord, Positions

SINCE_VERSION = 3
"""The version of the event's schema that brought `corrects`."""

CorrectionKey = tuple[str, str]
"""device_id, and the event_id of the event to correct."""


class Correction(msgspec.Struct, frozen=True):
    """The content of an event that `corrects` another. `event_time` is in epoch milliseconds."""

    device_id: str
    corrects: str
    event_id: str
    event_time: int
    sequence: int
    metrics: Mapping[str, float]

    @property
    def key(self) -> CorrectionKey:
        return self.device_id, self.corrects

    def beats(self, other: "Correction") -> bool:
        """Whether this one counts of two of one event. The metrics decide between copies that are none."""
        return self._rank() > other._rank()

    def _rank(self) -> tuple[int, int, str, list[tuple[str, float]]]:
        return self.sequence, self.event_time, self.event_id, sorted(self.metrics.items())

    def apply_to(self, event: DeviceEvent) -> DeviceEvent:
        return msgspec.structs.replace(event, event_time=self.event_time, sequence=self.sequence, metrics=self.metrics)


Corrections = Mapping[CorrectionKey, Correction]
"""The winning correction of each event that has any."""


def correction_of(event: DeviceEvent) -> Correction | None:
    """The correction that `event` is, None for all other events."""
    if event.corrects is None:
        return None
    return Correction(event.device_id, event.corrects, event.event_id, event.event_time, event.sequence, event.metrics)


def winning(corrections: Iterable[Correction]) -> dict[CorrectionKey, Correction]:
    """The correction that counts of those of each event: the greatest by sequence, event_time and event_id.

    Their order does not matter.
    """
    winners: dict[CorrectionKey, Correction] = {}
    for correction in corrections:
        held = winners.get(correction.key)
        if held is None or correction.beats(held):
            winners[correction.key] = correction
    return winners


_BEFORE_CORRECTIONS = tuple(header(version) for version in VERSIONS if version < SINCE_VERSION)


def corrections_in(records: Iterable[LogRecord], cut: Positions) -> dict[CorrectionKey, Correction]:
    """The corrections that count where `records` are folded with `cut`: the winners of those within it."""
    return winning(correction for record in records if record.is_within(cut) for correction in _correction(record))


def _correction(record: LogRecord) -> Iterator[Correction]:
    if record.data.startswith(_BEFORE_CORRECTIONS):
        return
    try:
        correction = correction_of(decode(record.data, record.arrival))
    except RejectedEvent:
        return
    if correction is not None:
        yield correction
