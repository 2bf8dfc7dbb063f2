"""The account of a whole stream: every record is folded or a dead letter, and every row is what plain Python says."""

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

from telefold.connectors import aws
from telefold.connectors.dead_letters import DeadLetter, read_dead_letters
from telefold.connectors.event_log import read_stream
from telefold.jobs.settings import Settings
from telefold.jobs.stores import STORES, StoreName, open_reader, partitions
from telefold.schemas.hot_rows import ALL
from telefold.schemas.log_records import LogRecord
from telefold.verify import oracle
from telefold.verify.folding import SETTLE_S, ViewsInUse, current_views, open_oracle, span_of
from telefold.verify.judged import Judged, judges_of, taken_on
from telefold.verify.store_check import Look, Store, StoreCheck

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

_PATIENCE_S = 5.0


class Account(NamedTuple):
    """The log and what became of it."""

    expected: oracle.Reckoning
    log_problems: Sequence[str]
    dead_letters: Counter[str]
    dead_letter_problems: Sequence[str]
    stores: Sequence[StoreCheck]

    @property
    def dead(self) -> int:
        return self.dead_letters.total()

    @property
    def balanced(self) -> bool:
        expected = self.expected
        return expected.sent == expected.accepted + expected.duplicates + expected.corrections + self.dead

    @property
    def right(self) -> bool:
        differences = any(check.differences for check in self.stores)
        return self.balanced and not (self.log_problems or self.dead_letter_problems or differences)


def reckon(settings: Settings, produced: Iterable[bytes] | None = None) -> Account:
    """Fold the whole stream in plain Python and compare dead letters and both stores with it, folds in Python included.

    `produced`, where given, is every record that was sent: the stream must hold exactly those.
    """
    views = current_views(settings)
    with closing(aws.client("kinesis", settings.source.region, settings.source.endpoint)) as kinesis:
        log = list(read_stream(kinesis, settings.source.name))
        judged = Judged(judges_of(settings, views.fold))
        folded = open_oracle(settings, views, lambda: log, judged)
        for record in log:
            folded.add(record)
        expected = folded.reckoning()
        letters = _await_dead_letters(kinesis, settings.dead_letter.name, len(expected.dead_letters))
    return Account(
        expected,
        [] if produced is None else _log_problems(produced, log),
        Counter(letter.reason for letter in letters),
        _dead_letter_problems(expected, letters, log),
        [_check(settings, store, views, expected, judged) for store in STORES],
    )


def _await_dead_letters(kinesis: "KinesisClient", stream: str, expected: int) -> list[DeadLetter]:
    """Letters reach their stream a moment after the checkpoint that covers them."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        letters = list(read_dead_letters(kinesis, stream))
        if len(letters) >= expected or time.monotonic() > deadline:
            return letters
        time.sleep(0.2)


def _log_problems(produced: Iterable[bytes], log: Sequence[LogRecord]) -> list[str]:
    sent, kept = Counter(produced), Counter(record.data for record in log)
    return [
        f"{(some - others).total()} records {what}"
        for some, others, what in (
            (sent, kept, "sent and not in the stream"),
            (kept, sent, "in the stream and not sent"),
        )
        if some - others
    ]


def _dead_letter_problems(
    expected: oracle.Reckoning, letters: Sequence[DeadLetter], log: Sequence[LogRecord]
) -> list[str]:
    payloads = {f"{record.shard}:{record.position}": record.data for record in log}
    wanted = {f"{one.shard}:{one.position}": str(one.reason) for one in expected.dead_letters}
    found = {letter.identity: letter for letter in letters}
    problems = [f"{key}: no dead letter, expected {wanted[key]}" for key in wanted.keys() - found.keys()]
    for key, letter in found.items():
        if letter.reason != wanted.get(key):
            problems.append(f"{key}: dead letter {letter.reason}, expected {wanted.get(key, 'none')}")
        if letter.payload != payloads.get(key):
            problems.append(f"{key}: the dead letter's bytes are not the record's")
    return problems


def _check(
    settings: Settings, store: StoreName, views: ViewsInUse, expected: oracle.Reckoning, judged: Judged
) -> StoreCheck:
    """Check one store. Rows that time alone changes must be as the log had them at the job's last moment, or later."""
    now = time.time()
    span = span_of(taken_on(settings, now), now, SETTLE_S)
    with closing(open_reader(settings, store, views.generation)) as reader:
        hot, shared = settings.views.hot if store == "redis" else ALL, partitions(settings, store, views.generation)
        looked = Look.at(reader, expected, judged, lambda: span, shared=shared, hot=hot)
        each = Store(store, reader, looked, frozenset(), hot)
        each.judge_now(expected.rows, judged, span)
    return each.check()
