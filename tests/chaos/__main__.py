"""`make chaos`: failures at random, by a schedule that is printed first: the same seed fails in the same way again."""

import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from tests.chaos.recovery import summary
from tests.chaos.run import Outcome, Run
from tests.chaos.schedule import Schedule, draw
from tests.chaos.system import CHECKPOINT_INTERVAL_S, TASK_MANAGERS

_SHOWN = 30


def main(
    seed: Annotated[int | None, typer.Option(min=0, help="Of the schedule and the fleet; drawn unless given.")] = None,
    minutes: Annotated[float, typer.Option(min=1, max=240, help="How long things fail.")] = 5,
) -> None:
    """Exit code 1 unless every row is as the oracle has it and no version was seen to fall."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    schedule = draw(random.randrange(10_000) if seed is None else seed, minutes)
    _introduce(schedule)
    folder = Path(tempfile.mkdtemp(prefix="telefold-chaos-"))
    began = time.monotonic()
    outcome = Run(schedule, folder, lambda line: _say(f"{time.monotonic() - began:7.1f} s  {line}")).go()
    _report(schedule, outcome)
    if outcome.problems:
        _say(f"Logs are in {folder}; again: make chaos SEED={schedule.seed} MINUTES={schedule.minutes:g}")
        raise typer.Exit(1)
    shutil.rmtree(folder)


def _introduce(schedule: Schedule) -> None:
    _say(
        f"Seed {schedule.seed}, {schedule.minutes:g} minutes of failures on a cluster of {TASK_MANAGERS} TaskManagers;"
        f" a checkpoint is taken every {CHECKPOINT_INTERVAL_S} s."
    )
    _say_all("The schedule, in seconds from its beginning:", list(map(str, schedule.steps)))


def _report(schedule: Schedule, outcome: Outcome) -> None:
    _say_all("Recovery, until a checkpoint that began after the failure was complete:", summary(outcome.recoveries))
    _say(f"Compared: {outcome.compared}.")
    if outcome.problems:
        _say_all(f"{len(outcome.problems)} problems:", outcome.problems[:_SHOWN])
    else:
        _say(f"Seed {schedule.seed}: 0 differences, 0 falling versions after {len(schedule.steps)} failures.")


def _say_all(title: str, lines: Sequence[str]) -> None:
    _say("\n".join([title, *(f"  {line}" for line in lines)]))


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    typer.run(main)
