"""Whether the job is as fast as it was, by what does not depend on the machine: ratios to others in the same run.

`make bench-check` ends with exit code 1 if Telefold's ratio to its ceiling or to idiomatic PyFlink has fallen by more
than 20 % from that in `bench/ratios.json`, or if rows are wrong. `python -m bench.check --record` writes that file.
"""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from bench.figures import figures_of, show
from bench.runs import CEILING, CONTENDERS, IDIOMATIC, TELEFOLD
from bench.throughput import Race, console

RECORDED = Path(__file__).with_name("ratios.json")
_EVENTS = 1_000_000
_RUNS = 3
_MAY_FALL_BY = 0.2


def main(
    record: Annotated[bool, typer.Option("--record", help="Make what is measured now the mark.")] = False,
) -> None:
    """Run a short form of the benchmark, and hold its ratios against the recorded ones."""
    contenders = [one for one in CONTENDERS if one.name in (TELEFOLD, CEILING, IDIOMATIC)]
    with tempfile.TemporaryDirectory(prefix="telefold-bench-") as folder:
        done = Race(Path(folder), _EVENTS, contenders).run(_RUNS)
    figures = figures_of(done)
    show(figures)
    measured = {base: ratio.warm_rate for base, ratio in figures.ratios[TELEFOLD].items()}
    wrong = any(run.differences for run in done)
    if record and not wrong:
        RECORDED.write_bytes(msgspec.json.format(msgspec.json.encode(measured)) + b"\n")
        console.print(f"Recorded in {RECORDED}.")
        return
    recorded = msgspec.json.decode(RECORDED.read_bytes(), type=dict[str, float])
    fallen = fallen_ratios(recorded, measured)
    for base in fallen:
        console.print(f"[red]slower:[/] the ratio to {base} is {measured[base]}, and was {recorded[base]}.")
    if not fallen:
        console.print("As fast as recorded.")
    raise typer.Exit(1 if fallen or wrong else 0)


def fallen_ratios(recorded: Mapping[str, float], measured: Mapping[str, float]) -> list[str]:
    """The names of those that are more than 20 % below what was recorded."""
    return [name for name, ratio in recorded.items() if measured[name] < ratio * (1 - _MAY_FALL_BY)]


if __name__ == "__main__":
    typer.run(main)
