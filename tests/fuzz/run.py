"""One run: the local stack, the job with all folds, the records, and the verdict."""

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from telefold.connectors import aws, event_log
from telefold.connectors.dynamodb_rows import Item
from telefold.deploy.local import servers
from telefold.deploy.local.stack import LocalStack
from telefold.jobs import settings, stores
from telefold.jobs.settings import Settings
from telefold.schemas.errors import OF_DEVICES, Reason
from telefold.simulator import produce
from tests.fuzz import calm, log, stored, verdict
from tests.fuzz.records import RATE, Recipe, Record
from tests.fuzz.rule_records import EVERY_S, RuleRecipe, RuleRecord
from tests.fuzz.verdict import Problem, Sent
from tests.support.live_job import metrics_at, restarts_at
from tests.support.processes import Job
from tests.support.properties import set_properties

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

_ROOT = Path(__file__).parents[2]
_JOB = {
    "checkpoint.interval": "2s",
    "flush.interval": "500ms",
    "folds": "device,presence,alert,fleet,tests.fuzz.own_fold:Own",
    "group.rollups": "site",
}
_TELL_EVERY_S = 10.0
_NOTHING_READ_S = 180.0
"""A job that has read nothing more for so long stands still; on a busy machine it may read for long what was sent."""
_SETTLED_S = 6.0
"""The records of the rules are read in this time, and letters reach their stream."""


class Plan(NamedTuple):
    seed: int
    minutes: float
    mode: str = "thread"
    """Of Python: `thread` or `process`."""
    without: frozenset[str] = frozenset()
    """Kinds of noise that are left out."""

    @property
    def records(self) -> int:
        return int(self.minutes * 60 * RATE)


class Outcome(NamedTuple):
    problems: Sequence[Problem]
    sent: Sent
    account: str


class Run:
    """`say` is told what goes on."""

    def __init__(self, plan: Plan, folder: Path, say: Callable[[str], None]) -> None:
        self._plan = plan
        self._folder = folder
        self._say = say
        self._records: list[Record] = []
        self._rules: list[RuleRecord] = []
        self._problems: list[Problem] = []
        self._metrics: dict[str, float] = {}

    def go(self) -> Outcome:
        with LocalStack(self._folder / ".telefold", parallelism=2) as stack:
            properties = Path(stack.status.properties)
            set_properties(properties, {"telefold.job": {**_JOB, "python.execution-mode": self._plan.mode}})
            loaded = settings.load(properties)
            with stores.open_rule_book(loaded) as book:
                for name, condition in calm.RULES.items():
                    book.put(name, condition)
            job = Job(properties)
            try:
                with _own_fold_on_the_path():
                    self._port = servers.free_port()
                    job.start("--metrics-port", str(self._port))
                return self._drive(loaded, job)
            finally:
                job.end()

    def _drive(self, loaded: Settings, job: Job) -> Outcome:
        job.await_checkpoint(0)
        before = [item for item in stored.items(loaded) if stored.is_bookkeeping(item)]
        self._say("the job runs, the records begin")
        self._feed(loaded, job)
        is_whole = self._await_all_read(job)
        if is_whole:
            self._check_metrics()
            if job.stop() != 0:
                self._fault("the job did not stop in good order")
        job.end()
        return self._judge(loaded, before, is_whole)

    def _feed(self, loaded: Settings, job: Job) -> None:
        start = time.time_ns() // 1_000_000
        rules = threading.Thread(target=self._feed_rules, args=(loaded, start, job))
        rules.start()
        self._told = 0.0
        made = Recipe(self._plan.seed, start).records(self._plan.without)
        wanted = takewhile(lambda one: one.number < self._plan.records and job.is_running, made)
        with closing(_kinesis(loaded)) as client:
            produce.send(client, loaded.source.name, self._noted(wanted), RATE, report=lambda _: self._progress(job))
        rules.join()

    def _noted(self, records: Iterator[Record]) -> Iterator[Any]:
        for record in records:
            self._records.append(record)
            yield record

    def _feed_rules(self, loaded: Settings, start: int, job: Job) -> None:
        recipe, stream, began = RuleRecipe(self._plan.seed, start), loaded.alerts.rules_stream, time.monotonic()
        assert stream
        with closing(_kinesis(loaded)) as client:
            for number in range(int(self._plan.minutes * 60 / EVERY_S)):
                time.sleep(max(0.0, began + number * EVERY_S - time.monotonic()))
                if not job.is_running:
                    return
                record = recipe.record(number)
                if f"rule: {record.kind}" not in self._plan.without:
                    self._rules.append(record)
                    event_log.append(client, stream, [record])

    def _progress(self, job: Job) -> None:
        if time.monotonic() - self._told < _TELL_EVERY_S:
            return
        self._told = time.monotonic()
        status = job.status()
        told = {name: status.get(name) for name in ("events_in", "accepted", "rejected", "too_late", "rows_written")}
        shown = ", ".join(f"{name} {count or 0:,}" for name, count in told.items())
        self._say(f"{len(self._records):,} records and {len(self._rules):,} of rules sent; {shown}")

    def _await_all_read(self, job: Job) -> bool:
        """Whether a checkpoint covers all that was sent, with the job never having stopped."""
        self._say(f"all {len(self._records):,} records are sent, waiting until they are read")
        read, deadline = 0, time.monotonic() + _NOTHING_READ_S
        while job.is_running and time.monotonic() < deadline:
            self._progress(job)
            before, read = read, job.status()["events_in"]
            if read > before:
                deadline = time.monotonic() + _NOTHING_READ_S
            if read >= len(self._records):
                with suppress(AssertionError):
                    time.sleep(_SETTLED_S)
                    job.await_checkpoint(time.time())
                    return True
            time.sleep(0.5)
        if job.is_running:
            self._fault(f"of {len(self._records):,} records {job.status()['events_in']:,} were read")
        else:
            said = " ".join(" ".join(job.output().strip().splitlines()[-4:]).split())
            self._fault(f"the job ended after {len(self._records):,} records: {said[-600:]}")
        return False

    def _check_metrics(self) -> None:
        self._metrics = metrics_at(self._port)
        restarts = restarts_at(self._port)
        if restarts:
            self._fault(f"the job restarted {restarts} times")

    def _judge(self, loaded: Settings, before: Sequence[Item], is_whole: bool) -> Outcome:
        """Of a job that ended too early nothing is to be said but that it wrote nobody else's rows."""
        self._say("holding every letter and every row against the log")
        found, stores = log.read(loaded), verdict.look(loaded, before)
        sent = Sent(self._records, self._rules)
        if is_whole:
            self._problems += self._unlike_the_metrics(found)
            self._problems += verdict.problems(found, sent, stores, int(time.time()))
        else:
            self._problems += verdict.forgeries(found, stores)
        return Outcome(self._problems, sent, _account(found))

    def _unlike_the_metrics(self, found: log.Log) -> Iterator[Problem]:
        """The job's own account, where it lived through all of it without a restart."""
        expected = found.reckoning
        rejected = sum(count for reason, count in expected.rejected.items() if reason not in OF_DEVICES)
        for name, count in (
            ("eventsIn", expected.sent),
            ("accepted", expected.accepted),
            ("duplicates", expected.duplicates),
            ("corrections", expected.corrections),
            ("tooLate", expected.rejected.get(Reason.TOO_LATE, 0)),
            ("tooManyNames", expected.rejected.get(Reason.TOO_MANY_NAMES, 0)),
            ("rejected", rejected),
        ):
            if self._metrics and self._metrics.get(name, 0) != count:
                yield Problem(f"the metric {name} is {self._metrics.get(name, 0):g}, expected {count}")

    def _fault(self, said: str) -> None:
        self._say(said)
        self._problems.append(Problem(said))


def _kinesis(loaded: Settings) -> "KinesisClient":
    return aws.client("kinesis", loaded.source.region, loaded.source.endpoint)


@contextmanager
def _own_fold_on_the_path() -> Iterator[None]:
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(_ROOT), before)))
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def _account(found: log.Log) -> str:
    expected = found.reckoning
    reasons = Counter(letter.reason for letter in found.letters)
    letters = ", ".join(f"{reason} {count:,}" for reason, count in sorted(reasons.items()))
    return (
        f"{expected.sent:,} records: {expected.accepted:,} accepted, {expected.duplicates:,} duplicates,"
        f" {expected.corrections:,} corrections, {sum(expected.rejected.values()):,} rejected;"
        f" dead letters: {letters or 'none'}"
    )
