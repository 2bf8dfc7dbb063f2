"""Dead letters once more: what the present codec makes of them, and sending those that can be folded by now."""

import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from telefold.connectors.dead_letters import DeadLetter, read_dead_letters
from telefold.connectors.event_log import NewRecord, append, batches, check_stream
from telefold.schemas.codec import decode
from telefold.schemas.errors import SET_ASIDE, Reason, RejectedEvent, StreamError
from telefold.schemas.events import DeviceEvent

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

_LONGEST_SEQUENCE_NUMBER = 128
_LONGEST_SUB_SEQUENCE_NUMBER = 20
_BEHIND = re.compile(r"(\d+) ms behind the newest event of its device")
"""The detail of a late event, as the JVM edge's TimeRules words it."""


class NextStep(StrEnum):
    """Steps that can bring a dead letter into the views."""

    REDRIVE = "redrive"
    REBUILD = "rebuild"
    NOTHING = "nothing"


class Finding(msgspec.Struct, frozen=True):
    """The result of decoding a letter's bytes with the present codec: an event, or why they are still rejected.

    Neither of a letter that holds no record of the event stream.
    """

    event: DeviceEvent | None
    reason: Reason | None = None
    detail: str | None = None


def examine(letter: DeadLetter) -> Finding:
    """Decode the letter as if it arrived when it did."""
    if letter.reason in SET_ASIDE:
        return Finding(None)
    try:
        return Finding(decode(letter.payload, letter.arrival))
    except RejectedEvent as rejected:
        return Finding(None, rejected.reason, rejected.detail)


def is_too_late_again(letter: DeadLetter, lateness_ms: int) -> bool:
    """Whether a letter that came too late would do so with this `rollup.lateness`: a device's clock only advances."""
    behind = _BEHIND.search(letter.detail)
    return behind is None or int(behind[1]) > lateness_ms


def next_step(letter: DeadLetter, finding: Finding, archived: bool, lateness_ms: int) -> tuple[NextStep, str]:
    """The next step for `letter`, also in a sentence; `archived` says whether the job keeps an archive."""
    if letter.reason in SET_ASIDE:
        return _step_for_what_was_set_aside(letter, archived)
    if finding.reason is Reason.UNKNOWN_FINGERPRINT:
        return NextStep.NOTHING, (
            "Nothing can be done until its schema is known: check it with `telefold schemas check FILE.avsc`, add it to"
            " schemas/device_event, then redrive."
        )
    if finding.event is None:
        return NextStep.NOTHING, (
            "Nothing can be done with these bytes: correct their producer and let it send the event again."
        )
    if letter.reason == Reason.TOO_MANY_NAMES:
        return NextStep.REDRIVE, (
            f"`telefold dead-letters redrive --id {letter.identity}` lets the job fold it once its device reports fewer"
            " metrics."
        )
    if letter.reason != Reason.TOO_LATE:
        return NextStep.REDRIVE, f"`telefold dead-letters redrive --id {letter.identity}` lets the job fold it now."
    if not is_too_late_again(letter, lateness_ms):
        return NextStep.REDRIVE, (
            f"rollup.lateness is longer now: `telefold dead-letters redrive --reason too_late --id {letter.identity}`"
            " lets the job fold it, unless its device has reported on since."
        )
    if archived:
        return NextStep.REBUILD, (
            "`telefold rebuild` folds it in from the archive; sent again it would be too late again, since the clock"
            " of a device only advances."
        )
    return NextStep.NOTHING, (
        "Nothing can be done: the clock of a device only advances, and without telefold.archive/path there is no"
        " archive to rebuild from."
    )


def _step_for_what_was_set_aside(letter: DeadLetter, archived: bool) -> tuple[NextStep, str]:
    match letter.reason:
        case Reason.FOLD_FAILED:
            what = f"The fold {letter.fold} failed on this event, which everything else has"
        case Reason.ROW_REFUSED:
            what = f"A store refused this row of {letter.fold} for what it holds; the device's next one may replace it"
        case _:
            return NextStep.NOTHING, (
                "This is no rule, and all others hold: put it again with `telefold rules put`, which checks it."
            )
    if archived:
        return NextStep.REBUILD, f"{what}: mend the fold, run the job with it, then `telefold rebuild` folds all again."
    return NextStep.NOTHING, f"{what}: mend the fold for those to come; without telefold.archive/path no rebuild can."


class Choice(NamedTuple):
    """A choice of letters: all, or those with this reason, or with these identities, or both."""

    reason: Reason | None = None
    identities: frozenset[str] = frozenset()

    def covers(self, letter: DeadLetter) -> bool:
        return (self.reason is None or letter.reason == self.reason) and (
            not self.identities or letter.identity in self.identities
        )


class Tally(msgspec.Struct):
    """Letters by what became of them, copies counted once; true also when redriving is cut short."""

    read: int = 0
    """Letters of all reasons, chosen or not."""
    to_send: int = 0
    sent: int = 0
    too_late: int = 0
    set_aside: int = 0
    """Letters that hold no record that could be sent."""
    still_rejected: dict[str, int] = {}


def redrive(
    client: "KinesisClient",
    dead_letters: str,
    events: str,
    choice: Choice,
    *,
    lateness_ms: int,
    tally: Tally,
    dry_run: bool = False,
    report: Callable[[Tally], object] = lambda _: None,
) -> None:
    """Put the bytes of the chosen letters of the stream `dead_letters` back into the stream `events`.

    Bytes and partition key are the original ones, so that deduplication by event_id drops what was folded
    meanwhile. They go in the order of their shards and sequence numbers. Letters that the present codec rejects
    are not sent, and letters that came too late only if `choice` names that reason and they would be in time with
    `lateness_ms`. Raises StreamError, before anything is sent, for identities that no letter has.
    """
    check_stream(client, events)
    with closing(Spool(lateness_ms if choice.reason is Reason.TOO_LATE else None)) as spool:
        missing = set(choice.identities)
        for letter in read_dead_letters(client, dead_letters):
            missing.discard(letter.identity)
            if letter.reason not in SET_ASIDE:
                spool.add(letter, choice.covers(letter))
            elif choice.covers(letter):
                tally.set_aside += 1
            tally.read += 1
            report(tally)
        if missing:
            raise StreamError(
                f"The stream {dead_letters} holds no dead letter {', '.join(sorted(missing))}: take identities from"
                " `telefold dead-letters list`."
            )
        spool.count(tally)
        for batch in batches(spool.to_send()) if not dry_run else ():
            append(client, events, batch)
            tally.sent += len(batch)
            report(tally)


class Spool:
    """Chosen letters, one of each content, sorted on disk: there may be more of them than memory holds."""

    def __init__(self, lateness_ms: int | None) -> None:
        """Letters that came too late are spooled to be sent where they are in time with `lateness_ms`, if given."""
        self._lateness_ms = lateness_ms
        self._database = sqlite3.connect("")  # a temporary file, gone when it is closed
        self._database.executescript(
            "CREATE TABLE chosen (content BLOB PRIMARY KEY, position TEXT, rejected TEXT, key TEXT, payload BLOB);"
            "CREATE TABLE late (content BLOB PRIMARY KEY)"
        )

    def add(self, letter: DeadLetter, chosen: bool) -> None:
        content = letter.content
        if letter.reason == Reason.TOO_LATE and self._is_late(letter):
            self._database.execute("INSERT OR IGNORE INTO late VALUES (?)", (content,))
        if chosen:
            finding = examine(letter)
            self._database.execute(
                "INSERT INTO chosen VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET position = excluded.position,"
                " rejected = excluded.rejected WHERE excluded.position < position",
                (content, _position(letter), finding.reason, letter.partition_key, letter.payload),
            )

    def _is_late(self, letter: DeadLetter) -> bool:
        return self._lateness_ms is None or is_too_late_again(letter, self._lateness_ms)

    def count(self, tally: Tally) -> None:
        tally.still_rejected = dict(
            self._rows("SELECT rejected, count(*) FROM chosen WHERE rejected IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1")
        )
        decoded = "SELECT count(*) FROM chosen WHERE rejected IS NULL AND content"
        ((tally.too_late,),) = self._rows(f"{decoded} IN late")
        ((tally.to_send,),) = self._rows(f"{decoded} NOT IN late")

    def to_send(self) -> Iterator[NewRecord]:
        rows = self._rows(
            "SELECT payload, key FROM chosen WHERE rejected IS NULL AND content NOT IN late ORDER BY position"
        )
        return (NewRecord(*row) for row in rows)

    def _rows(self, query: str) -> Iterable[tuple[Any, ...]]:
        return self._database.execute(query)

    def close(self) -> None:
        self._database.close()


def _position(letter: DeadLetter) -> str:
    """Compares as text as (shard, sequence number, sub-sequence number) does."""
    number, sub = letter.sequence_number, letter.sub_sequence_number
    place = "" if sub is None else str(sub).zfill(_LONGEST_SUB_SEQUENCE_NUMBER)
    return f"{letter.shard} {number.zfill(_LONGEST_SEQUENCE_NUMBER)} {place}"
