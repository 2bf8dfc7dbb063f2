"""Checkpoints on local disk: which one to resume from, and which are no longer needed."""

import shutil
from pathlib import Path

from schemas.errors import JobError

_COMPLETE = "_metadata"


def newest(folder: Path) -> Path | None:
    """The newest complete checkpoint of any run below `folder`, which Flink lays out as `<job id>/chk-<n>`."""
    complete = list(folder.glob(f"*/chk-*/{_COMPLETE}"))
    return max(complete, key=lambda file: file.stat().st_mtime_ns).parent if complete else None


def to_resume(choice: str, folder: Path) -> Path | None:
    """What `--resume` asks for: `latest` (None if there is none yet), `none`, or the path of a complete checkpoint."""
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
