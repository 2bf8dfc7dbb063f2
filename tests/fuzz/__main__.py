"""`make fuzz`: whatever a record holds, the job goes on and everybody else's rows are right."""

import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from tests.fuzz.records import KINDS, RATE, Record
from tests.fuzz.rule_records import KINDS as RULE_KINDS
from tests.fuzz.rule_records import RuleRecord
from tests.fuzz.run import Outcome, Plan, Run
from tests.fuzz.verdict import Problem, Sent

_SHOWN = 40
_FOUND = Path(".telefold")


def main(
    seed: Annotated[int | None, typer.Option(min=0, help="Of all records; drawn unless given.")] = None,
    minutes: Annotated[float, typer.Option(min=0.1, max=240, help="How long records are sent.")] = 3,
    mode: Annotated[str, typer.Option(help="How Python runs: thread or process.")] = "thread",
    without: Annotated[str, typer.Option(help="Kinds of noise to leave out, by commas.")] = "",
) -> None:
    """Exit code 1 unless the job is up, all is accounted for, and each row is its owner's and right."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    left_out = frozenset(filter(None, without.split(",")))
    plan = Plan(random.randrange(10_000) if seed is None else seed, minutes, mode, left_out)
    _introduce(plan)
    folder = Path(tempfile.mkdtemp(prefix="telefold-fuzz-"))
    began = time.monotonic()
    outcome = Run(plan, folder, lambda line: _say(f"{time.monotonic() - began:7.1f} s  {line}")).go()
    _say(outcome.account)
    if outcome.problems:
        _report(plan, outcome, folder)
        raise typer.Exit(1)
    _say(f"Seed {plan.seed}: 0 faults.")
    shutil.rmtree(folder)


def _introduce(plan: Plan) -> None:
    _say(f"Seed {plan.seed}, {plan.minutes:g} minutes, {RATE} records a second, Python in {plan.mode} mode.")
    total = sum(weight for weight, _ in KINDS.values())
    kinds = (f"{kind} {weight / total:.0%}" for kind, (weight, _) in KINDS.items() if kind not in plan.without)
    _say(f"Every tenth record is the calm fleet's; of the rest: {', '.join(kinds)}.")
    _say(f"Of rules: {', '.join(kind for kind in RULE_KINDS if f'rule: {kind}' not in plan.without)}.")


def _report(plan: Plan, outcome: Outcome, folder: Path) -> None:
    _say(f"{len(outcome.problems)} problems:")
    kept = _FOUND / f"fuzz-{plan.seed}"
    shutil.rmtree(kept, ignore_errors=True)
    kept.mkdir(parents=True)
    numbers = _numbers(outcome.sent)
    for problem in outcome.problems[:_SHOWN]:
        _say(f"  {problem.said[:600]}{_where(problem, numbers, kept)}")
    _keep_all(outcome.sent, kept / "sent.jsonl")
    (kept / "problems.txt").write_text("\n".join(one.said for one in outcome.problems), errors="backslashreplace")
    kinds = f" WITHOUT='{','.join(sorted(plan.without))}'" if plan.without else ""
    _say(f"All of it is in {kept}, the job's logs are in {folder}.")
    _say(f"Again: make fuzz SEED={plan.seed} MINUTES={plan.minutes:g} MODE={plan.mode}{kinds}")


def _numbers(sent: Sent) -> dict[bytes, str]:
    """What a record is called, by its bytes; the first of those that are alike."""
    named = {record.data: f"rule-{record.number}" for record in reversed(sent.rules)}
    return named | {record.data: f"record-{record.number}" for record in reversed(sent.records)}


def _where(problem: Problem, numbers: dict[bytes, str], kept: Path) -> str:
    """The record that it is about, which is written into a file."""
    if problem.data is None:
        return ""
    name = numbers.get(problem.data, "set-aside")
    (kept / name).write_bytes(problem.data)
    return f" ({kept / name})"


def _keep_all(sent: Sent, path: Path) -> None:
    """In the order of their sending, a JSON object a line, with `data` in base64."""
    records: Iterable[Record | RuleRecord] = (*sent.records, *sent.rules)
    path.write_bytes(b"".join(msgspec.json.encode(one._asdict()) + b"\n" for one in records))


def _say(line: str) -> None:
    print(re.sub(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", "?", line).encode("utf-8", "backslashreplace").decode(), flush=True)


if __name__ == "__main__":
    typer.run(main)
