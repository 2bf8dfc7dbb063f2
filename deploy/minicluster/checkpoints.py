"""Checkpoints on local disk, and savepoints of jobs that were stopped: which one to resume from, which to remove."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from telefold.schemas.errors import JobError

_COMPLETE = "_metadata"
_RESTORING = ("Checkpoints.load", "CheckpointCoordinator.restore", "StreamTaskStateInitializerImpl")
"""The places in Flink's code at which a job reads the state it begins with."""
_UNCLAIMED = "Cannot map checkpoint/savepoint state"
"""The beginning of Flink's sentence on state that no operator of a job takes."""


def newest(folder: Path) -> Path | None:
    """The newest complete one of any run below `folder`, which Flink lays out as `<job id>/chk-<n>`."""
    return next(iter(newest_first(known(folder))), None)


def known(folder: Path) -> list[Path]:
    """Checkpoints and savepoints of all runs below `folder`, complete or not."""
    return [*folder.glob("*/chk-*"), *folder.glob("*/savepoint-*")]


def newest_first(folders: Iterable[Path]) -> list[Path]:
    """List the folders that hold a complete checkpoint or savepoint, the last completed first."""
    complete = [file for folder in folders if (file := folder / _COMPLETE).is_file()]
    return [file.parent for file in sorted(complete, key=lambda file: file.stat().st_mtime_ns, reverse=True)]


def is_of_restoring(trace: str) -> bool:
    """Whether a job that began at a checkpoint failed, by its stack trace, because that cannot be read or used."""
    return any(place in trace for place in _RESTORING)


def cannot_be_restored(checkpoint: Path, cause: str, known: Iterable[Path], command: str) -> JobError:
    """The error that says what to do, where `known` are all checkpoints there are and `command` is what was run."""
    ordered = [one.resolve() for one in newest_first(known)]
    mine = checkpoint.resolve()
    behind = ordered[ordered.index(mine) :] if mine in ordered else ordered
    older = [one for one in behind if one != mine]
    way_out = (
        f"`{command} --resume {older[0]}` goes on from the one before it"
        if older
        else f"there is no older one, and `{command} --resume none` folds the log again from its beginning"
    )
    if _UNCLAIMED in cause:
        way_out = (
            "it has state that no operator of this build takes. Where it is of a job that ran on Flink 1.20,"
            f" docs/how-to/moving-to-flink-2.2.md says how to go on from it; else {way_out}"
        )
    return JobError(
        f"The checkpoint {checkpoint} is damaged or does not fit this job ({cause.rstrip('.')}): {way_out}."
    )


def to_resume(choice: str, folder: Path) -> Path | None:
    """The checkpoint for `--resume`: `latest` (None if there is none yet), `none`, or the path of a complete one."""
    if choice == "none":
        return None
    if choice == "latest":
        return newest(folder)
    path = Path(choice)
    if not (path / _COMPLETE).is_file():
        raise JobError(f"There is no complete checkpoint in {choice}: give --resume a folder that holds {_COMPLETE}.")
    return path


def prune(folder: Path, keep: Path | None) -> None:
    """Remove the checkpoints of earlier runs, except of the run that `keep` belongs to."""
    for run in folder.glob("*"):
        if keep is None or run.resolve() != keep.parent.resolve():
            shutil.rmtree(run, ignore_errors=True)
