"""What is not as it must be, once the job has ended: a sentence for each thing, and the record that it is about."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from telefold.connectors.dynamodb_rows import Item
from telefold.jobs.settings import Settings
from telefold.schemas.errors import SET_ASIDE, Reason
from telefold.schemas.hot_rows import ALL, Hot
from telefold.schemas.rules import RULES_PARTITION
from telefold.verify.oracle import Key
from tests.fuzz import calm, own_fold, rows, stored
from tests.fuzz.log import FailedStep, Log
from tests.fuzz.records import Record
from tests.fuzz.rows import Rows
from tests.fuzz.rule_records import NAMES, RuleRecord

_TOLD = "telefold#told#"
_RULES = NAMES | calm.RULES.keys()


class Problem(NamedTuple):
    said: str
    data: bytes | None = None
    """Of the record that it is about, where it is known."""


class Sent(NamedTuple):
    records: Sequence[Record]
    rules: Sequence[RuleRecord]


class Stores(NamedTuple):
    """What both hold at the end, and the items of the bookkeeping as they were before."""

    rows: Mapping[str, Rows]
    strange: Sequence[str]
    bookkeeping: Sequence[Item]
    before: Sequence[Item]
    hot: Hot = ALL
    """The rows that Redis is to have."""


def look(settings: Settings, before: Sequence[Item]) -> Stores:
    items = stored.items(settings)
    in_redis, strange = stored.rows_in_redis(settings)
    rows = {"dynamodb": stored.rows_in(items), "redis": in_redis}
    return Stores(
        rows, sorted(strange), [item for item in items if stored.is_bookkeeping(item)], before, settings.views.hot
    )


def problems(log: Log, sent: Sent, stores: Stores, now: int) -> Iterator[Problem]:
    """`now` is in epoch seconds."""
    yield from forgeries(log, stores)
    yield from _of_the_log(log, sent)
    yield from _of_letters(log)
    yield from _of_rules(log, sent.rules)
    yield from _of_what_failed(log)
    for store, held in stores.rows.items():
        yield from (
            Problem(f"{store}: {said}")
            for said in rows.problems(log, held, now, stores.hot if store == "redis" else ALL)
        )


def forgeries(log: Log, stores: Stores) -> Iterator[Problem]:
    """What is nobody's, which holds at any time."""
    yield from _of_the_bookkeeping(log, stores)
    yield from (Problem(f"redis: {key!r} is neither a row nor an index") for key in stores.strange)
    for store, held in stores.rows.items():
        yield from (Problem(f"{store}: {said}") for said in rows.unexplained(log, held, _RULES))


def _of_the_log(log: Log, sent: Sent) -> Iterator[Problem]:
    made, kept = Counter(record.data for record in sent.records), Counter(record.data for record in log.records)
    if made != kept:
        yield Problem(
            f"the log lacks {(made - kept).total()} records, and has {(kept - made).total()} that were not sent"
        )


def _of_letters(log: Log) -> Iterator[Problem]:
    """Each record that was to be rejected is, with its reason and bytes, and no other."""
    records = {(record.shard, record.sequence_number): record for record in log.records}
    wanted = {(one.shard, one.sequence_number): one.reason for one in log.reckoning.dead_letters}
    found = {(one.shard, one.sequence_number): one for one in log.letters if one.reason not in SET_ASIDE}
    for key in wanted.keys() | found.keys():
        letter, reason, record = found.get(key), wanted.get(key), records.get(key)
        data = record.data if record else None
        if letter is None or letter.reason != reason:
            said = "no dead letter" if letter is None else f"dead letter {letter.reason} ({letter.detail})"
            yield Problem(f"{key}: {said}, expected {reason or 'none'}", data)
        elif letter.payload != data or not letter.detail:
            yield Problem(f"{key}: the letter does not hold the record's bytes, or no reason", data)


def _of_rules(log: Log, sent: Sequence[RuleRecord]) -> Iterator[Problem]:
    """Every record that is no rule is a dead letter, and no other is."""
    letters = {letter.payload for letter in log.set_aside(Reason.BAD_RULE)}
    for record in sent:
        if record.is_rule is not None and record.is_rule == (record.data in letters):
            said = "was set aside" if record.is_rule else "is no dead letter"
            yield Problem(f"the record {record.number} of the rules ({record.kind}) {said}", record.data)
    yield from (Problem("a rule that nobody sent was set aside", one) for one in letters - {one.data for one in sent})


def _of_what_failed(log: Log) -> Iterator[Problem]:
    """What the team's own fold did wrong is set aside, each trick of it, and nothing of any other fold or device."""
    known = {(event.device_id, event.event_id) for events in log.events.values() for event in events}
    failed, refused = log.set_aside(Reason.FOLD_FAILED), log.set_aside(Reason.ROW_REFUSED)
    for letter in failed:
        step = msgspec.json.decode(letter.payload, type=FailedStep)
        if letter.fold != own_fold.NAME or not step.device_id.startswith("own-"):
            yield Problem(f"the fold {letter.fold} failed on {step.device_id!r}: {letter.detail}", letter.payload)
        if step.event_id is not None and (step.device_id, step.event_id) not in known:
            yield Problem(f"the fold {letter.fold} failed on an event that was not to be folded", letter.payload)
    for letter in refused:
        if letter.fold not in (own_fold.NAME, None):
            yield Problem(f"a row of {letter.fold} was refused: {letter.detail}", letter.payload)
    told = b"\n".join(letter.payload for letter in (*failed, *refused))
    for trick in own_fold.TRICKS:
        device_id = f"own-{trick}"
        done = any(event.type == f"{own_fold.TYPE}{trick}" for event in log.events.get(device_id, ()))
        names = (device_id, own_fold.elsewhere(trick) or device_id)
        if done and trick not in own_fold.HARMLESS and not any(f'{name}"'.encode() in told for name in names):
            yield Problem(f"nothing was set aside for {own_fold.TYPE}{trick}")


def _of_the_bookkeeping(log: Log, stores: Stores) -> Iterator[Problem]:
    """No rule that was put in the store is another, and no item is new but marks of alerts that were told; what the
    job says of itself may move on."""
    before = {stored.key_of(item): item for item in stores.before}
    after = {stored.key_of(item): item for item in stores.bookkeeping}
    for key in before.keys() | after.keys():
        is_rule = key[0] == RULES_PARTITION
        if ((key in before) != (key in after) or (is_rule and before[key] != after[key])) and not _is_a_mark(key, log):
            yield Problem(f"dynamodb: the bookkeeping's item {key} is {after.get(key)}, and was {before.get(key)}")


def _is_a_mark(key: Key, log: Log) -> bool:
    return key[0].removeprefix(_TOLD) in log.events and key[1].partition("#")[0] in _RULES
