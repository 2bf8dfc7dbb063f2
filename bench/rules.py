"""What a thousand rules over ten thousand devices cost the whole job, and how soon one that changes takes effect.

`make bench-rules`, or `python -m bench.rules --events 300000 --runs 1`. The contenders of the first part read the same
archive; rows are compared with plain Python's. In the second part a job on a local stack goes by as many rules and has
heard of as many devices; a rule that concerns all of them is changed, and one device in a hundred breaks it.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Annotated

import typer
from rich.console import Console

from bench.figures import figures_of, show
from bench.folds import rows_of
from bench.freshness import RunningJob, set_of_the_job
from bench.log import records
from bench.peers.alerts import FLEET, rules
from bench.peers.work import SETTINGS
from bench.reports import hand_over
from bench.runs import RULE_CONTENDERS
from bench.throughput import Race
from telefold.connectors import aws, event_log
from telefold.deploy.local.stack import LocalStack
from telefold.jobs import settings, stores
from telefold.jobs.settings import Settings
from telefold.jobs.stores import STORES, open_reader
from telefold.operators.alerts.rule_book import RuleBook
from telefold.operators.alerts.rules import RuleSet
from telefold.operators.folds.alert import Alerts
from telefold.schemas.codec import encode
from telefold.schemas.events import DeviceEvent
from telefold.schemas.rules import RuleChange
from telefold.schemas.view_rows import OPEN_ALERTS, ViewUpdate
from telefold.verify import oracle

_CHANGES = 7
_BREAKING = FLEET.devices // 100
_PATIENCE_S = 120.0
_LOOK_EVERY_S = 0.02
_RULE = "changed"

console = Console(stderr=True)


def main(
    events: Annotated[int, typer.Option(min=1_000, help="Records of the log.")] = 1_000_000,
    runs: Annotated[int, typer.Option(min=1, help="Runs of each contender; medians count.")] = 3,
    json: Annotated[Path | None, typer.Option(help="A file for the figures, instead of standard output.")] = None,
) -> None:
    """Measure both, and show them."""
    with tempfile.TemporaryDirectory(prefix="telefold-bench-") as folder:
        done = Race(Path(folder), events, RULE_CONTENDERS, judged, FLEET).run(runs)
    figures = figures_of(done, not_measured=())
    show(figures, "A thousand rules")
    seconds = seconds_to_take_effect()
    console.print(
        f"A changed rule was in effect on all {FLEET.devices:,} devices, its {_BREAKING} alerts in both stores, after"
        f" {median(seconds):.2f} s; of {len(seconds)} changes the slowest took {max(seconds):.2f} s.",
        soft_wrap=True,
    )
    hand_over({"cost": figures, "change_s": [round(one, 2) for one in seconds]}, json)
    raise typer.Exit(1 if any(run.differences for run in done) else 0)


def judged(count: int, of: int) -> Mapping[oracle.Key, ViewUpdate]:
    """The rows of the first `count` records of a log of `of`, alerts among them."""
    job = SETTINGS.job
    log = records(count, of, FLEET)
    folded = oracle.fold(log, job.rollup_sizes, job.rollup_lateness_ms, SETTINGS.views.retention).rows
    alerts = rows_of(Alerts(RuleSet(rules())), records(count, of, FLEET))
    return {**folded, **alerts}


def seconds_to_take_effect() -> list[float]:
    """For each of some changes of one rule, from the change until both stores show every alert under it."""
    with tempfile.TemporaryDirectory() as folder, LocalStack(Path(folder) / "telefold") as stack:
        properties = Path(stack.status.properties)
        set_of_the_job(properties, folds="alert", views="latest")
        loaded = settings.load(properties)
        console.print(f"Putting {len(rules()):,} rules, and hearing of {FLEET.devices:,} devices ...")
        with stores.open_rule_book(loaded) as book:
            for rule in rules():
                book.put(rule.rule, rule.condition)
            with RunningJob(properties):
                _hear_of_all(loaded)
                _change(loaded, book, 0)
                return [_change(loaded, book, number) for number in range(1, _CHANGES + 1)]


def _hear_of_all(loaded: Settings) -> None:
    """Of each device a temperature, of which one in a hundred is over 1 000."""
    now = time.time_ns() // 1_000_000
    events = (
        DeviceEvent(f"e-{number}", f"device-{number}", "telemetry", now, 1, {"temperature": _temperature(number)})
        for number in range(FLEET.devices)
    )
    log = (event_log.NewRecord(encode(event), event.device_id) for event in events)
    with closing(aws.client("kinesis", loaded.source.region, loaded.source.endpoint)) as kinesis:
        for batch in event_log.batches(log):
            event_log.append(kinesis, loaded.source.name, batch)
    with closing(open_reader(loaded, "redis")) as reader:
        _until(
            lambda: all(
                reader.get(f"device#device-{number}", "latest#temperature")
                for number in range(FLEET.devices - 1, -1, -FLEET.devices // 200)
            )
        )


def _temperature(number: int) -> float:
    return 2_000.0 if number % 100 == 0 else 20.0


def _change(loaded: Settings, book: RuleBook, number: int) -> float:
    began = time.monotonic()
    change = book.put(_RULE, f"temperature > {1_000 + number}", "critical")
    for store in STORES:
        with closing(open_reader(loaded, store)) as reader:
            _until(lambda: sum(_is_under(change, row.data) for row in reader.range(OPEN_ALERTS)) == _BREAKING)
    return time.monotonic() - began


def _is_under(change: RuleChange, data: Mapping[str, object]) -> bool:
    return data["rule_version_at"] == change.version and data["state"] == "firing"


def _until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while not is_so():
        if time.monotonic() > deadline:
            sys.exit(f"Nothing came of it within {_PATIENCE_S:.0f} s.")
        time.sleep(_LOOK_EVERY_S)


if __name__ == "__main__":
    typer.run(main)
