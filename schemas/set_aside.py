"""Dead letters of what failed behind the decoder: an event or step in a fold, a row in a store, a record of the rules.

They are JSON as those of records are, with `payload` holding the event, the row or the record as it was, and have one
field more, `fold`. What names a letter of the event log, `shard` and `sequence_number`, is here the reason and a digest
of what was set aside: after a crash the same is set aside under the same name.
"""

import base64
import hashlib
import json
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from telefold.schemas.errors import Reason
from telefold.schemas.events import DeviceEvent
from telefold.schemas.view_rows import ViewUpdate

MAX_PAYLOAD_BYTES = 700_000
"""The most bytes of one letter, as a Kinesis record holds 1 MiB; more goes in several, numbered from 1."""
_MAX_DETAIL_CHARACTERS = 2_000


class Letter(NamedTuple):
    """A record for the dead-letter stream."""

    partition_key: str
    text: str
    """The letter as JSON."""


def fold_failed(fold: str, event: DeviceEvent, why: str, now: int) -> Iterator[Letter]:
    """The letters of `event`, on which `fold` failed; `now` is in epoch milliseconds."""
    identity = _digest(fold, event.device_id, event.event_id)
    return _letters(
        Reason.FOLD_FAILED, identity, fold, msgspec.json.encode(event), why, now, correlation_id=event.correlation_id
    )


def step_failed(fold: str, device_id: str, at: int | None, why: str, now: int) -> Iterator[Letter]:
    """The letters of a step of `device_id` that is of no event, on which `fold` failed: time had come to `at`, in epoch
    milliseconds, or the rules were others where that is None."""
    identity = _digest(fold, device_id, "" if at is None else str(at))
    step = (
        {"device_id": device_id, "step": "judged"}
        if at is None
        else {"device_id": device_id, "step": "on_time", "at": at}
    )
    return _letters(Reason.FOLD_FAILED, identity, fold, msgspec.json.encode(step), why, now)


def row_refused(row: ViewUpdate, why: str, now: int) -> Iterator[Letter]:
    """The letters of `row`, which a store refused for what it holds; `now` is in epoch milliseconds."""
    identity = _digest(row.partition, row.sort, str(row.version))
    return _letters(Reason.ROW_REFUSED, identity, row.view, _json_of(row), why, now)


def no_row(line: str, why: str, now: int) -> Iterator[Letter]:
    """The letters of what a fold gave as a row and none can be made of: `line` is JSON as it left the fold."""
    return _letters(Reason.ROW_REFUSED, _digest(line), None, _utf8(line), why, now)


def bad_rule(record: bytes, why: str, now: int) -> Iterator[Letter]:
    """The letters of `record`, which is no rule; `now` is in epoch milliseconds."""
    return _letters(Reason.BAD_RULE, hashlib.sha256(record).hexdigest()[:32], None, record, why, now)


def _digest(*parts: str) -> str:
    return hashlib.sha256(_utf8("\0".join(parts))).hexdigest()[:32]


def _json_of(row: ViewUpdate) -> bytes:
    """The row, whatever it holds: what JSON has no form for comes as text."""
    try:
        return msgspec.json.encode(row)
    except (UnicodeEncodeError, TypeError):
        return json.dumps(msgspec.structs.asdict(row), default=repr).encode()


def _utf8(text: str) -> bytes:
    return text.encode(errors="backslashreplace")


def _letters(
    reason: Reason,
    identity: str,
    fold: str | None,
    payload: bytes,
    why: str,
    now: int,
    correlation_id: str | None = None,
) -> Iterator[Letter]:
    parts = max(1, -(-len(payload) // MAX_PAYLOAD_BYTES))
    for part in range(1, parts + 1):
        piece = payload[(part - 1) * MAX_PAYLOAD_BYTES : part * MAX_PAYLOAD_BYTES]
        fields: dict[str, str | int] = {
            "reason": reason,
            "detail": why[:_MAX_DETAIL_CHARACTERS],
            "payload": base64.b64encode(piece).decode(),
            "partition_key": identity,
            "shard": reason,
            "sequence_number": identity,
            "arrival": now,
        }
        if fold is not None:
            fields["fold"] = fold
        if correlation_id is not None:
            fields["correlation_id"] = correlation_id
        if parts > 1:
            fields |= {"part": part, "parts": parts}
        yield Letter(identity, msgspec.json.encode(fields).decode())
