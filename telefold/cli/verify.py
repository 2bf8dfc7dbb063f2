"""`telefold verify`: the log folded again in plain Python, and every row of both stores held against it."""

import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import msgspec
import orjson
import typer
from rich.console import Console

from telefold.cli.options import DespiteHoles
from telefold.cli.progress import counting
from telefold.cli.tables import number, printable, table
from telefold.jobs import settings
from telefold.jobs.properties_file import DEFAULT_PATH
from telefold.schemas.errors import UsageError
from telefold.schemas.view_rows import device_of, is_of_a_device
from telefold.upkeep.mending import WHY, Command, commands, mend
from telefold.verify.checker import Verification
from telefold.verify.checker import verify as verify_views
from telefold.verify.folding import SETTLE_S
from telefold.verify.judged import view_of
from telefold.verify.oracle import Key
from telefold.verify.store_check import StoreCheck

_DIFFERENCES_SHOWN = 20


def verify(
    sample: Annotated[
        float | None, typer.Option(help="This fraction of the devices alone, 0.01 being 1 in 100.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="This device alone, which is quick.")] = None,
    settle: Annotated[
        float, typer.Option(min=0, help="Seconds within which the job writes what arrived: younger rows may be behind.")
    ] = SETTLE_S,
    mend_rows: Annotated[
        bool,
        typer.Option("--mend", help="Put the rows that differ right, one by one, and take away what nothing explains."),
    ] = False,
    despite_holes: DespiteHoles = False,
    properties: Annotated[Path, typer.Option(help="The job's application_properties.json.")] = DEFAULT_PATH,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Fold the whole log in plain Python and compare every row and field of both stores; exit 1 if any differs.

    With --mend, rows that differ are put right in their store, each only if nobody has written it meanwhile, so it may
    run beside the live job; exit 1 if any was not. Rows that differ in both stores come back if the job's own state is
    wrong: for those, rebuild.
    """
    started = time.monotonic()
    _check(sample, device)
    loaded = settings.load(properties).despite_holes(despite_holes)
    found = verify_views(loaded, device=device, sample=sample, settle_s=settle, counting=counting)
    if json:
        sys.stdout.write(orjson.dumps(_as_json(found, sample, device)).decode() + "\n")
    else:
        _show(found, _scope(sample, device), time.monotonic() - started)
    if found.right:
        return
    if mend_rows and found.has_differences:
        _mend(loaded, found)
    raise typer.Exit(1)


def _mend(loaded: settings.Settings, found: Verification) -> None:
    """Ends the command where all rows that differed are right now."""
    done = mend(loaded, found)
    rest = f"; {number(done.changed)} were written meanwhile and left as they are" if done.changed else ""
    Console(stderr=True).print(
        f"Put {number(done.right)} rows right{rest}. Next: `telefold verify` looks at them again.",
        markup=False, highlight=False, soft_wrap=True,
    )  # fmt: skip
    if found.balanced and not done.changed:
        raise typer.Exit(0)


def _check(sample: float | None, device: str | None) -> None:
    if sample is not None and device is not None:
        raise UsageError(["--sample and --device exclude each other: leave one out."])
    if sample is not None and not 0 < sample <= 1:
        raise UsageError([f"--sample is {sample}, but must be a fraction above 0, at most 1 (0.01 is 1 in 100)."])


def _scope(sample: float | None, device: str | None) -> str:
    """The scope of the figures, if not the whole log; what is no event has no device."""
    if device is not None:
        return f"valid events of {device} alone: this is no account of the whole log"
    if sample is not None:
        return f"valid events of a share of {sample:g} of the devices: this is no account of the whole log"
    return ""


def _as_json(found: Verification, sample: float | None, device: str | None) -> dict[str, Any]:
    expected, mends = found.expected, commands(found)
    return {
        "right": found.right,
        "whole": sample is None and device is None,
        "sample": sample,
        "device": device,
        "archive": found.has_archive,
        "holes": [msgspec.to_builtins(hole) for hole in found.holes],
        "records": found.records,
        "folded": expected.accepted,
        "duplicates": expected.duplicates,
        "corrections": expected.corrections,
        "other_keys": expected.other_keys,
        "rejected": {str(reason): count for reason, count in sorted(expected.rejected.items())},
        "not_judged": list(found.unjudged),
        "stores": [_check_as_json(check, mends) for check in found.stores],
    }


def _check_as_json(check: StoreCheck, mends: Mapping[tuple[str, Key], Command]) -> dict[str, Any]:
    return {
        "store": check.store,
        "rows": check.rows,
        "views": {
            view: {"rows": rows, "differences": _differing(check)[view]} for view, rows in sorted(check.by_view.items())
        },
        "in_flight": [{"partition": partition, "sort": sort} for partition, sort in check.in_flight],
        "differences": [
            {
                "partition": one.partition,
                "sort": one.sort,
                "problem": one.problem,
                "mend": mends[check.store, (one.partition, one.sort)],
            }
            for one in check.differences
        ],
    }


def _differing(check: StoreCheck) -> Counter[str]:
    """Rows that differ, by view; those of a device that the log does not have are one, of no view."""
    return Counter(map(view_of, {(one.partition, one.sort) for one in check.differences}))


def _show(found: Verification, scope: str, seconds: float) -> None:
    console = Console()
    expected = found.expected
    sums = [
        ("records", number(found.records)),
        ("= folded", number(expected.accepted)),
        ("+ duplicates", number(expected.duplicates)),
        ("+ corrections", number(expected.corrections)),
        *((f"+ {reason}", number(count)) for reason, count in sorted(expected.rejected.items())),
    ]
    console.print(table("The log", ("what became of it", "records"), sums))
    cells = []
    for one in found.stores:
        differing, waiting = _differing(one), Counter(map(view_of, one.in_flight))
        for view in sorted(one.by_view.keys() | differing.keys()):
            figures = (one.by_view.get(view, 0), differing[view], waiting[view])
            cells.append((one.store, view, *map(number, figures)))
    console.print(table("The stores", ("store", "view", "rows", "rows that differ", "in flight"), cells))
    for line in (*_notes(found, scope), *_problems(found), *_verdict(found, seconds)):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _notes(found: Verification, scope: str) -> list[str]:
    notes = [f"Only {printable(scope)}."] if scope else []
    if not found.has_archive:
        notes.append("There is no archive (telefold.archive/path): the log is the stream alone, as far as it is kept.")
    notes += [f"The archive lacks records of {hole}." for hole in found.holes]
    notes += found.dropped
    if other_keys := found.expected.other_keys:
        notes.append(
            f"{number(other_keys)} records have a partition key that is not their device_id, such as those of"
            f" {printable(found.expected.other_keyed or '')}: the log does not tell in which order the job read the"
            " shards, so which of these came too late, or first, may differ. Let producers use the device_id."
        )
    if any(check.in_flight for check in found.stores):
        notes.append("Rows in flight were moved just now and are yet to be written: they were not compared.")
    if found.unjudged:
        names = ", ".join(found.unjudged)
        notes.append(f"Not judged: {names}. What goes by the machine's clock is not told by the log.")
    return notes


def _problems(found: Verification) -> list[str]:
    problems = [f"{check.store}: {one}" for check in found.stores for one in check.differences]
    if not found.balanced:
        problems.insert(0, f"{number(found.records)} records do not add up to what became of them.")
    shown = [f"  {printable(problem)}" for problem in problems[:_DIFFERENCES_SHOWN]]
    rest = len(problems) - len(shown)
    return shown + ([f"  and {number(rest)} more: --json has them all."] if rest else [])


def _verdict(found: Verification, seconds: float) -> list[str]:
    if not found.right:
        return [f"The views differ from the log ({seconds:.0f} s).", *_ways_out(found)]
    if not found.records:
        return [
            "There are no such records in the log, so nothing was compared.",
            "Next: `telefold produce` sends events, `telefold run telemetry` folds them.",
        ]
    return [
        f"Both stores say what the log says ({seconds:.0f} s).",
        "Next: `telefold query device ID --as-of 1h` shows a device as it was, `telefold archive describe` the log.",
    ]


def _ways_out(found: Verification) -> list[str]:
    """Steps to take next, with how many rows each command is for."""
    lines = ["Next: has the job caught up (`telefold run telemetry` shows its lag)? If so:"]
    rows = Counter(commands(found).values())
    lines += [f"  `{command}` {why} ({number(rows[command])})." for command, why in WHY.items() if rows[command]]
    partition = next((one.partition for check in found.stores for one in check.differences), "")
    if is_of_a_device(partition):
        name = printable(device_of(partition))
        lines.append(f"  `telefold query device {name} --as-of 0m` shows what one device should hold.")
    return lines
