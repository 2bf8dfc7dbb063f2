"""Reads the dead-letter stream: what the job could not fold, why, and its exact bytes."""

import hashlib
import logging
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import msgspec

from telefold.connectors.event_log import read_stream
from telefold.schemas.log_records import position

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

_log = logging.getLogger(__name__)


class DeadLetter(msgspec.Struct, frozen=True):
    """A record of the event log that was not folded, or what was set aside behind the decoder.

    `shard`, `sequence_number` and `sub_sequence_number` name it there, or as `schemas.set_aside` says.
    """

    reason: str
    detail: str
    payload: bytes
    partition_key: str
    shard: str
    sequence_number: str
    arrival: int
    correlation_id: str | None = None
    """The event's correlation id, where that could be read."""
    fold: str | None = None
    """The fold that failed, or whose row was refused, of letters that `schemas.set_aside` made."""

    sub_sequence_number: int | None = None
    """The record's place among those that a producer aggregated into one."""

    @property
    def identity(self) -> str:
        """The name that people use: `<shard>:<sequence number>`, of an aggregated one with `:<sub-sequence number>`."""
        return f"{self.shard}:{position(self.sequence_number, self.sub_sequence_number)}"

    @property
    def content(self) -> bytes:
        """The same for records of the same bytes and partition key, wherever they lay."""
        digest = hashlib.sha256(self.payload).digest()
        return digest + self.partition_key.encode()


class DistinctLetter(DeadLetter, frozen=True, omit_defaults=True):
    """The letter that came first of all with its content and reason, and how many there are."""

    copies: int = 1


class _Part(DeadLetter, frozen=True):
    """A record of the stream: payloads above what fits one are spread over several, numbered from 1."""

    part: int = 1
    parts: int = 1


_decoder = msgspec.json.Decoder(_Part)


def read_dead_letters(client: "KinesisClient", stream: str) -> Iterator[DeadLetter]:
    """Every dead letter from the oldest kept to the present end, once each, as its last part is read.

    Letters are delivered at least once and their parts may lie in any order. Records that are no dead
    letters, and letters of which parts are missing, are left out and warned of.
    """
    seen: set[str] = set()
    open_letters: dict[str, dict[int, _Part]] = {}
    foreign = 0
    for record in read_stream(client, stream):
        try:
            part = _decoder.decode(record.data)
        except msgspec.DecodeError:
            foreign += 1
            continue
        identity = part.identity
        if identity in seen:
            continue
        held = open_letters.setdefault(identity, {})
        held[part.part] = part
        if len(held) == part.parts:
            seen.add(identity)
            yield _joined(open_letters.pop(identity))
    _warn(stream, foreign, len(open_letters))


def distinct(letters: Iterable[DeadLetter]) -> list[DistinctLetter]:
    """One letter for each content and reason, by arrival: a record that was sent again and rejected again adds none."""
    kept: dict[tuple[str, bytes], DistinctLetter] = {}
    for letter in letters:
        key = (letter.reason, letter.content)
        known = kept.get(key)
        first = known if known and known.arrival <= letter.arrival else letter
        fields = {field: getattr(first, field) for field in DeadLetter.__struct_fields__}
        kept[key] = DistinctLetter(**fields, copies=known.copies + 1 if known else 1)
    return sorted(kept.values(), key=lambda letter: letter.arrival)


def _joined(parts: dict[int, _Part]) -> DeadLetter:
    in_order = [parts[number] for number in sorted(parts)]
    fields = {field: getattr(in_order[0], field) for field in DeadLetter.__struct_fields__}
    return DeadLetter(**fields | {"payload": b"".join(part.payload for part in in_order)})


def _warn(stream: str, foreign: int, incomplete: int) -> None:
    if foreign:
        _log.warning(
            "%d records of %s are not dead letters; telefold.dead-letter stream.name may name another stream",
            foreign,
            stream,
        )
    if incomplete:
        _log.warning("%d dead letters of %s lack parts; they may still be on their way", incomplete, stream)
