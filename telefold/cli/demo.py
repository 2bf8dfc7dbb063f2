"""`telefold demo`: a fleet's telemetry becomes views, and then every row is checked."""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from telefold.cli import query
from telefold.cli.demo_story import Story
from telefold.connectors import aws
from telefold.deploy.local.stack import LocalStack, Status
from telefold.jobs import settings
from telefold.operators.folds.registry import BUILT_IN
from telefold.planning import costs
from telefold.planning.sizing import Fleet, size
from telefold.schemas.errors import JobError
from telefold.simulator import produce
from telefold.simulator.generator import GeneratedRecord, Spec, generate
from telefold.verify.account import Account, reckon

SPEC = Spec(
    events=20_000,
    devices=200,
    seed=7,
    duplicates=0.02,
    out_of_order=0.05,
    poison=0.005,
    schema="mixed",
    corrections=0.005,
)
_SPAN_MS = 600_000
_ROOT = Path(".telefold/demo")
_DEVICE = "device-1"
_METRICS = 2
"""The metrics that every event of the fleet has."""
_PATIENCE_S = 180.0
_CHECKPOINT_INTERVAL = "2s"
_DIFFERENCES_SHOWN = 10

console = Console()


def demo(
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the stack up afterwards, to look around with `telefold query`.")
    ] = False,
) -> None:
    """Start a local stack of its own, send 20 000 events, run the job, show a device, and check every row."""
    started = time.monotonic()
    shutil.rmtree(_ROOT, ignore_errors=True)
    with ExitStack() as at_the_end:
        status = at_the_end.enter_context(LocalStack(_ROOT)).status
        account = _demo(Path(status.properties), status)
        if keep:
            at_the_end.pop_all()
    _say_account(account, time.monotonic() - started)
    if keep:
        _say(f"The stack is still up: try `telefold query rollups {_DEVICE} --properties {status.properties}`,")
        _say(f"and end it with `telefold local down --root {_ROOT}`.")
    else:
        _say("Next: `telefold local up` starts a stack of your own, or `telefold demo --keep` leaves this one up.")
    if not account.right:
        raise typer.Exit(1)


def _demo(properties: Path, status: Status) -> Account:
    _step("Local stack", f"Kinesis {status.kinesis}, DynamoDB {status.dynamodb}, Redis {status.redis}")
    _set_up_job(properties)
    loaded = settings.load(properties)
    records = list(generate(SPEC, time.time_ns() // 1_000_000 - _SPAN_MS, _SPAN_MS))
    _send(loaded, records)
    status_file = properties.parent / "telemetry.status.json"
    with _job(properties):
        _await_views(status_file, len(records))
        _show_device(properties)
        _show_price(loaded.job.rollup_sizes)
        records += Story(loaded, properties, _step).tell()
        _await_views(status_file, len(records))
    _step("Reckoning", "folding the log in plain Python and comparing every row of both stores")
    return reckon(loaded, (record.data for record in records))


def _set_up_job(properties: Path) -> None:
    """The views are known to be complete when a checkpoint has passed, so the demo takes them often."""
    groups = msgspec.json.decode(properties.read_bytes())
    for group in groups:
        if group["PropertyGroupId"] == "telefold.job":
            group["PropertyMap"] |= {
                "checkpoint.interval": _CHECKPOINT_INTERVAL,
                "folds": ",".join(BUILT_IN),
                "group.rollups": "site",
            }
    properties.write_bytes(msgspec.json.format(msgspec.json.encode(groups), indent=2))


def _send(loaded: settings.Settings, records: Sequence[GeneratedRecord]) -> None:
    source = loaded.source
    with _bar("Sending events", len(records)) as advance:
        client = aws.client("kinesis", source.region, source.endpoint)
        produce.send(client, source.name, records, report=lambda tally: advance(tally.records))


@contextmanager
def _job(properties: Path) -> Iterator[None]:
    """`telefold run telemetry` as a process of its own, stopped as a person would stop it."""
    log = properties.parent / "run.log"
    with log.open("wb") as output:
        command = [sys.executable, "-m", "telefold", "run", "telemetry", "--properties", str(properties)]
        process = subprocess.Popen(command, stdout=output, stderr=output)
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(60)
    if code:
        raise JobError(f"The job ended with exit code {code}: see {log}.")


def _await_views(status: Path, records: int) -> None:
    """Wait until a checkpoint began after the last record was read: what it covers is in both stores."""
    deadline = time.monotonic() + _PATIENCE_S
    all_read_at = None
    with _bar("Folding events", records) as advance:
        while time.monotonic() < deadline:
            progress = _read_status(status)
            advance(progress.get("events_in", 0))
            if all_read_at is None and progress.get("events_in", 0) >= records:
                all_read_at = time.time()
            checkpoint = progress.get("checkpoint")
            if all_read_at and checkpoint and checkpoint["triggered_at"] > all_read_at:
                return
            time.sleep(0.2)
    raise JobError(f"The views did not catch up within {_PATIENCE_S:.0f} s: see {status.with_name('run.log')}.")


def _read_status(path: Path) -> dict[str, Any]:
    return dict(msgspec.json.decode(path.read_bytes())) if path.exists() else {}


def _show_device(properties: Path) -> None:
    _step("Views", f"telefold query device {_DEVICE}")
    query.device(_DEVICE, properties=properties)
    _step("Views", f"telefold query rollups {_DEVICE} --metric temperature --limit 12 --store redis")
    query.rollups(_DEVICE, metric="temperature", limit=12, store="redis", properties=properties)


def _show_price(rollup_sizes: Mapping[str, int]) -> None:
    """The bill of a month of such a fleet: rows and what they cost belong together."""
    interval_s = _SPAN_MS / 1_000 * SPEC.devices / SPEC.events
    fleet = Fleet(SPEC.devices, interval_s, _METRICS, rollup_sizes)
    bill = costs.monthly(fleet, size(fleet))
    parts = ", ".join(f"{name} {dollars:,.0f}" for name, dollars in costs.by_service(bill).items())
    command = f"telefold size --devices {fleet.devices} --interval {interval_s:g} --metrics {fleet.metrics}"
    _step("Price", f"a month of this fleet on AWS takes {bill.total:,.0f} USD: {parts} ({command})")


def _say_account(account: Account, seconds: float) -> None:
    expected = account.expected
    sums = Table(show_header=False, box=None, padding=(0, 2))
    sums.add_row("sent", f"{expected.sent:,}")
    sums.add_row("= folded", f"{expected.accepted:,}")
    sums.add_row("+ duplicates", f"{expected.duplicates:,}")
    sums.add_row("+ corrections", f"{expected.corrections:,}", "for the next rebuild")
    sums.add_row(
        "+ dead letters", f"{account.dead:,}", ", ".join(f"{n} {r}" for r, n in sorted(account.dead_letters.items()))
    )
    for check in account.stores:
        sums.add_row(f"rows in {check.store}", f"{check.rows:,} compared", f"differences {len(check.differences)}")
    console.print(sums)
    problems = [*account.log_problems, *account.dead_letter_problems]
    problems += [f"{check.store}: {difference}" for check in account.stores for difference in check.differences]
    for problem in problems[:_DIFFERENCES_SHOWN]:
        console.print(f"  {problem}", markup=False, soft_wrap=True, style="red")
    verdict = "[bold green]Everything adds up[/]" if account.right else "[bold red]It does not add up[/]"
    console.print(f"{verdict} ({seconds:.0f} s).")


def _step(title: str, detail: str) -> None:
    console.print(f"[bold cyan]{title}[/]  {detail}", soft_wrap=True, highlight=False)


def _say(line: str) -> None:
    console.print(line, soft_wrap=True, highlight=False, markup=False)


@contextmanager
def _bar(title: str, total: int) -> Iterator[Any]:
    """A bar on a terminal, a line at the start and the end elsewhere; yields what sets how much is done."""
    if not console.is_terminal:
        _say(f"{title} ({total:,} records) ...")
        yield lambda done: None
        return
    columns = (TextColumn("[bold cyan]{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(title, total=total)
        yield lambda done: bar.update(task, completed=done)
