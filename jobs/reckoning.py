"""The reckoning: does the log add up, and does every row of both stores say what plain Python says it must?"""

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing
from typing import Any, NamedTuple

from connectors import aws
from connectors.dead_letters import DeadLetter, read_dead_letters
from connectors.event_log import read_stream
from jobs.settings import Settings
from jobs.stores import STORES, StoreName, open_reader
from schemas.log_records import LogRecord
from views import oracle

_PATIENCE_S = 5.0


class StoreCheck(NamedTuple):
    store: StoreName
    rows: int
    """Rows compared, those that either side lacks included."""
    differences: Sequence[oracle.Difference]


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
        return self.expected.sent == self.expected.accepted + self.expected.duplicates + self.dead

    @property
    def right(self) -> bool:
        differences = any(check.differences for check in self.stores)
        return self.balanced and not (self.log_problems or self.dead_letter_problems or differences)


def reckon(settings: Settings, produced: Iterable[bytes] | None = None) -> Account:
    """Fold the whole stream in plain Python and compare dead letters and both stores with it.

    `produced`, where given, is every record that was sent: the stream must hold exactly those.
    """
    with closing(aws.client("kinesis", settings.source.region, settings.source.endpoint)) as kinesis:
        log = list(read_stream(kinesis, settings.source.name))
        expected = oracle.fold(log, settings.job.rollup_sizes, settings.job.rollup_lateness, settings.views.retention)
        letters = _await_dead_letters(kinesis, settings.dead_letter.name, len(expected.dead_letters))
    return Account(
        expected,
        [] if produced is None else _log_problems(produced, log),
        Counter(letter.reason for letter in letters),
        _dead_letter_problems(expected, letters, log),
        [_check(settings, store, expected) for store in STORES],
    )


def _await_dead_letters(kinesis: Any, stream: str, expected: int) -> list[DeadLetter]:
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
    payloads = {(record.shard, record.sequence_number): record.data for record in log}
    wanted = {(one.shard, one.sequence_number): str(one.reason) for one in expected.dead_letters}
    found = {(letter.shard, letter.sequence_number): letter for letter in letters}
    problems = [f"{key}: no dead letter, expected {wanted[key]}" for key in wanted.keys() - found.keys()]
    for key, letter in found.items():
        if letter.reason != wanted.get(key):
            problems.append(f"{key}: dead letter {letter.reason}, expected {wanted.get(key, 'none')}")
        if letter.payload != payloads.get(key):
            problems.append(f"{key}: the dead letter's bytes are not the record's")
    return problems


def _check(settings: Settings, store: StoreName, expected: oracle.Reckoning) -> StoreCheck:
    rows = oracle.unexpired(expected.rows, int(time.time()))
    with closing(open_reader(settings, store)) as reader:
        actual = oracle.read_rows(reader, expected.partitions)
    return StoreCheck(store, len(rows.keys() | actual.keys()), oracle.compare(rows, actual))
