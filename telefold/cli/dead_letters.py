"""`telefold dead-letters`: what could not be folded, why, and what to do about it."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn

from telefold.cli.progress import counting
from telefold.cli.tables import number, printable, table, time_text
from telefold.cli.text_table import TextTable
from telefold.connectors import aws
from telefold.connectors.dead_letters import DeadLetter, DistinctLetter, distinct, read_dead_letters
from telefold.jobs import settings
from telefold.jobs.properties_file import DEFAULT_PATH
from telefold.schemas.errors import SET_ASIDE, Reason, StreamError, UsageError
from telefold.upkeep.redrive import Choice, Finding, NextStep, Tally, examine, next_step, redrive
from telefold.verify.progress import counted

app = typer.Typer(help="Records that could not be folded.", no_args_is_help=True)

DEFAULT_ROWS = 20
DUMPED_BYTES = 256
_DUMPED_A_LINE = 16


@app.callback()
def _commands() -> None:
    """Records that could not be folded."""


@app.command("list")
def list_letters(
    reason: Annotated[str | None, typer.Option(help=f"Only these: {', '.join(Reason)}.")] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help=f"The newest so many; {DEFAULT_ROWS} unless --json is given.")
    ] = None,
    properties: Annotated[Path, typer.Option(help="The job's application_properties.json.")] = DEFAULT_PATH,
    json: Annotated[bool, typer.Option("--json", help="Print the letters as JSON, payloads in base64.")] = False,
) -> None:
    """Everything in the dead-letter stream up to now, the newest last."""
    letters = _read(settings.load(properties), _checked_reason(reason))
    if json:
        _write_json(_newest(letters, limit))
    elif letters:
        console = _console()
        console.print(_counts_table(letters))
        for letter in _newest(letters, limit or DEFAULT_ROWS):
            console.print(_lines(letter))
        console.print("Next: `telefold dead-letters show ID` says what can be done about one.")
    else:
        _console().print("There are no dead letters" + (f" with the reason {reason}." if reason else "."))


@app.command("show")
def show_letter(
    identity: Annotated[list[str], typer.Argument(metavar="ID", help="As list prints it: <shard>:<sequence number>.")],
    payload: Annotated[Path | None, typer.Option(help="Write the record's exact bytes to this file.")] = None,
    properties: Annotated[Path, typer.Option(help="The job's application_properties.json.")] = DEFAULT_PATH,
    json: Annotated[bool, typer.Option("--json", help="Print it as JSON, the payload in base64.")] = False,
) -> None:
    """Everything about one dead letter: why, its bytes, what they are by now, and what can be done."""
    loaded = settings.load(properties)
    letter, identities = _find(loaded, _checked_identity(":".join(identity)))
    finding = examine(letter)
    step, advice = next_step(letter, finding, loaded.archive.path is not None, loaded.job.rollup_lateness_ms)
    if payload:
        _save(payload, letter.payload)
    if json:
        _write_json(_shown(letter, identities, finding, step, advice))
    else:
        _say_letter(letter, identities, finding, advice)


@app.command("redrive")
def redrive_letters(
    reason: Annotated[
        str | None,
        typer.Option(
            help="Only these. Letters that came too late are sent only if too_late is named here and"
            " telefold.job/rollup.lateness was raised to what they need."
        ),
    ] = None,
    identities: Annotated[
        list[str] | None, typer.Option("--id", metavar="ID", help="Only this letter; may be given several times.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be sent.")] = False,
    properties: Annotated[Path, typer.Option(help="The job's application_properties.json.")] = DEFAULT_PATH,
    json: Annotated[bool, typer.Option("--json", help="Print the counts as JSON.")] = False,
) -> None:
    """Send what can be folded by now back into the event stream; doing it again changes no view.

    The running job must know the schemas that this command knows.
    """
    loaded = settings.load(properties)
    choice = Choice(_checked_reason(reason), frozenset(_checked_identity(one) for one in identities or ()))
    source, tally, stopped = loaded.source, Tally(), False
    with closing(aws.client("kinesis", source.region, source.endpoint)) as client, _reporting() as report:
        try:
            redrive(
                client,
                loaded.dead_letter.name,
                source.name,
                choice,
                lateness_ms=loaded.job.rollup_lateness_ms,
                tally=tally,
                dry_run=dry_run,
                report=report,
            )
        except KeyboardInterrupt:
            stopped = True
    if json:
        _write_json({**msgspec.to_builtins(tally), "dry_run": dry_run})
    else:
        _say_tally(tally, source.name, dry_run, stopped)
    if stopped:
        raise typer.Exit(130)


def _console() -> Console:
    """Lines that can be copied: never wrapped, nothing of them taken for markup."""
    return Console(soft_wrap=True, markup=False, highlight=False)


def _write_json(data: Any) -> None:
    sys.stdout.write(msgspec.json.encode(data).decode() + "\n")


def _checked_reason(reason: str | None) -> Reason | None:
    if reason is not None and reason not in list(Reason):
        raise UsageError([f"--reason is {reason}, but must be one of {', '.join(Reason)}."])
    return Reason(reason) if reason else None


def _checked_identity(identity: str) -> str:
    shard, _, sequence_number = identity.rpartition(":")
    if not shard or not (sequence_number.isdecimal() or shard in SET_ASIDE):
        raise UsageError(
            [f"The ID {identity} is not <shard>:<sequence number>: take it from `telefold dead-letters list`."]
        )
    return identity


@contextmanager
def _letters(loaded: settings.Settings) -> Iterator[Iterator[DeadLetter]]:
    source = loaded.source
    with (
        closing(aws.client("kinesis", source.region, source.endpoint)) as client,
        counting("Reading dead letters", unit="letters") as tell,
    ):
        yield counted(read_dead_letters(client, loaded.dead_letter.name), tell)


def _read(loaded: settings.Settings, reason: Reason | None) -> list[DistinctLetter]:
    with _letters(loaded) as letters:
        return distinct(letter for letter in letters if reason is None or letter.reason == reason)


def _newest(letters: list[DistinctLetter], limit: int | None) -> list[DistinctLetter]:
    return letters if limit is None else letters[-limit:]


def _find(loaded: settings.Settings, identity: str) -> tuple[DeadLetter, list[str]]:
    """The letter, and the identities of all letters with its content and reason, its own among them."""
    found: DeadLetter | None = None
    identities: dict[tuple[str, bytes], list[str]] = {}
    with _letters(loaded) as letters:
        for letter in letters:
            identities.setdefault((letter.reason, letter.content), []).append(letter.identity)
            found = letter if letter.identity == identity else found
    if found is None:
        raise StreamError(
            f"The stream {loaded.dead_letter.name} holds no dead letter {identity}: take one from"
            " `telefold dead-letters list`."
        )
    return found, sorted(identities[found.reason, found.content])


def _save(file: Path, payload: bytes) -> None:
    try:
        file.write_bytes(payload)
    except OSError as error:
        raise UsageError([f"--payload {file} cannot be written ({error.strerror}): name another file."]) from error


@contextmanager
def _reporting() -> Iterator[Callable[[Tally], object]]:
    """A line that counts on a terminal, nothing elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), console=console, transient=True) as line:
        task = line.add_task("Reading dead letters")
        yield lambda tally: line.update(
            task, description=f"{number(tally.read)} dead letters read, {number(tally.sent)} sent again"
        )


def _counts_table(letters: list[DistinctLetter]) -> TextTable:
    counts = Counter(letter.reason for letter in letters).most_common()
    cells = [(reason, number(count)) for reason, count in counts]
    return table(f"{number(len(letters))} dead letters", ("reason", "letters"), cells)


def _lines(letter: DistinctLetter) -> str:
    """Two lines: what people look for, and the identity, which is too long for a column."""
    facts = [time_text(letter.arrival), letter.reason, letter.fold or letter.partition_key, _size(letter)]
    if letter.copies > 1:
        facts.append(f"{number(letter.copies)} copies")
    return printable(f"{'  '.join(facts)}  {letter.detail}") + f"\n  {printable(letter.identity)}"


def _size(letter: DeadLetter) -> str:
    return f"{number(len(letter.payload))} bytes"


def _shown(
    letter: DeadLetter, identities: Sequence[str], finding: Finding, step: NextStep, advice: str
) -> dict[str, Any]:
    return {
        "id": letter.identity,
        **msgspec.to_builtins(letter),
        "copies": identities,
        "event": finding.event,
        "rejected": None if finding.reason is None else {"reason": finding.reason, "detail": finding.detail},
        "next": step,
        "advice": advice,
    }


def _say_letter(letter: DeadLetter, identities: Sequence[str], finding: Finding, advice: str) -> None:
    facts = {
        "reason": f"{letter.reason}: {letter.detail}",
        "arrived (UTC)": time_text(letter.arrival),
        **_contents(letter, finding),
        "copies": ", ".join(one for one in identities if one != letter.identity) or "none",
    }
    if letter.correlation_id:
        facts["correlation id"] = letter.correlation_id
    console = _console()
    console.print(printable(letter.identity))
    for name, value in facts.items():
        console.print(printable(f"{name}: {value}"))
    console.print("".join(f"  {line}\n" for line in _dump(letter.payload[:DUMPED_BYTES])), end="")
    console.print(f"Next: {advice}")


def _contents(letter: DeadLetter, finding: Finding) -> dict[str, str]:
    if letter.reason in SET_ASIDE:
        kind = {Reason.FOLD_FAILED: "the event", Reason.ROW_REFUSED: "the row"}.get(Reason(letter.reason), "the record")
        return {"fold": letter.fold or "none", kind: letter.payload.decode("utf-8", "replace")}
    now = msgspec.json.encode(finding.event).decode() if finding.event else f"{finding.reason}: {finding.detail}"
    return {
        "partition key": letter.partition_key,
        "record": _size(letter),
        "the event" if finding.event else "still rejected": now,
    }


def _dump(data: bytes) -> Iterator[str]:
    """Lines of offset, bytes in hex, and the ASCII among them."""
    for start in range(0, len(data), _DUMPED_A_LINE):
        part = data[start : start + _DUMPED_A_LINE]
        readable = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        yield f"{start:08x}  {part.hex(' '):<{3 * _DUMPED_A_LINE}} {readable}"


def _say_tally(tally: Tally, stream: str, dry_run: bool, stopped: bool) -> None:
    console = _console()
    if dry_run:
        console.print(f"Would send {number(tally.to_send)} letters to {stream}.")
    elif stopped:
        console.print(f"Stopped after {number(tally.sent)} letters; starting again does no harm.")
    else:
        console.print(f"Sent {number(tally.sent)} letters to {stream}.")
    if tally.still_rejected:
        reasons = ", ".join(f"{number(count)} {reason}" for reason, count in tally.still_rejected.items())
        console.print(f"Not sent, since they are still rejected: {reasons}.")
    if tally.too_late:
        console.print(
            f"Not sent, since they came too late: {number(tally.too_late)}. `telefold rebuild` folds them in from the"
            " archive."
        )
    if tally.set_aside:
        console.print(
            f"Not sent, since they hold no record: {number(tally.set_aside)}. `telefold dead-letters show ID` says what"
            " can be done."
        )
    if tally.to_send:
        console.print(
            f"Next: {'without --dry-run they are sent' if dry_run else 'the running job folds them'};"
            " `telefold dead-letters list` shows what is left."
        )
