"""Which checkpoint a run resumes from, and which ones it clears away."""

import os
from itertools import count
from pathlib import Path

import pytest

from telefold.deploy.minicluster.checkpoints import cannot_be_restored, is_of_restoring, newest, prune, to_resume
from telefold.schemas.errors import JobError

_ages = count(1_700_000_000)


def add(folder: Path, name: str, *, complete: bool = True) -> Path:
    """A checkpoint newer than all before, laid out as Flink does."""
    checkpoint = folder / name
    checkpoint.mkdir(parents=True)
    checkpoint.joinpath("state").write_bytes(b"some state")
    if complete:
        metadata = checkpoint / "_metadata"
        metadata.touch()
        at = next(_ages)
        os.utime(metadata, (at, at))
    return checkpoint


def test_the_newest_of_all_runs_is_found_by_when_it_was_completed(tmp_path: Path) -> None:
    add(tmp_path, "run-b/chk-9")
    add(tmp_path, "run-b/chk-10")
    last = add(tmp_path, "run-a/chk-2")
    assert newest(tmp_path) == last


def test_incomplete_checkpoints_and_other_folders_do_not_count(tmp_path: Path) -> None:
    complete = add(tmp_path, "run/chk-1")
    add(tmp_path, "run/chk-2", complete=False)
    add(tmp_path, "run/shared")
    add(tmp_path, "chk-3")
    assert newest(tmp_path) == complete


@pytest.mark.parametrize("folder", ["empty", "missing"])
def test_without_a_checkpoint_there_is_none_to_resume(tmp_path: Path, folder: str) -> None:
    (tmp_path / "empty").mkdir()
    assert newest(tmp_path / folder) is None
    assert to_resume("latest", tmp_path / folder) is None


def test_a_run_resumes_from_the_latest_from_none_or_from_one_by_name(tmp_path: Path) -> None:
    first, last = add(tmp_path, "run/chk-1"), add(tmp_path, "run/chk-2")
    assert to_resume("latest", tmp_path) == last
    assert to_resume("none", tmp_path) is None
    assert to_resume(str(first), tmp_path) == first


@pytest.mark.parametrize("name", ["run/chk-1", "run", "none-here"])
def test_what_is_no_complete_checkpoint_is_refused_by_name(tmp_path: Path, name: str) -> None:
    add(tmp_path, "run/chk-1", complete=False)
    with pytest.raises(JobError) as refused:
        to_resume(str(tmp_path / name), tmp_path)
    assert str(refused.value) == (
        f"There is no complete checkpoint in {tmp_path / name}: give --resume a folder that holds _metadata."
    )


def test_pruning_keeps_the_whole_run_that_is_resumed(tmp_path: Path) -> None:
    """Its other checkpoints stay too: an incremental one shares files with those before it."""
    kept = [add(tmp_path, "run-b/chk-1"), add(tmp_path, "run-b/chk-2"), add(tmp_path, "run-b/shared")]
    gone = [add(tmp_path, "run-a/chk-7"), add(tmp_path, "run-c/chk-8", complete=False)]
    prune(tmp_path, keep=kept[1])
    assert all((folder / "state").exists() for folder in kept)
    assert not any(folder.parent.exists() for folder in gone)


def test_the_kept_run_is_known_by_any_path_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = add(tmp_path, "run/chk-1")
    monkeypatch.chdir(tmp_path)
    prune(tmp_path, keep=Path("run/../run/chk-1"))
    assert kept.exists()


def test_a_fresh_start_prunes_all_runs_and_an_absent_folder_is_fine(tmp_path: Path) -> None:
    add(tmp_path, "run/chk-1")
    prune(tmp_path, keep=None)
    prune(tmp_path / "missing", keep=None)
    assert list(tmp_path.iterdir()) == []


EOF_OF_A_CHECKPOINT = """\
org.apache.flink.runtime.client.JobInitializationException: Could not start the JobMaster.
Caused by: java.util.concurrent.CompletionException: java.lang.RuntimeException: java.io.EOFException
\tat java.base/java.util.concurrent.CompletableFuture.encodeThrowable(CompletableFuture.java:315)
Caused by: java.io.EOFException
\tat java.base/java.io.DataInputStream.readInt(DataInputStream.java:398)
\tat org.apache.flink.runtime.checkpoint.Checkpoints.loadCheckpointMetadata(Checkpoints.java:107)
\tat org.apache.flink.runtime.checkpoint.Checkpoints.loadAndValidateCheckpoint(Checkpoints.java:140)
"""


def test_a_checkpoint_that_cannot_be_restored_is_named_with_the_next_older_one(tmp_path: Path) -> None:
    known = [add(tmp_path, f"run/chk-{number}") for number in (1, 2, 3)]
    assert is_of_restoring(EOF_OF_A_CHECKPOINT)
    assert not is_of_restoring("Caused by: schemas.errors.StoreRefused: The table is gone.")
    problem = cannot_be_restored(known[2], "java.io.EOFException.", known, "telefold run telemetry")
    assert str(problem) == (
        f"The checkpoint {known[2]} is damaged or does not fit this job (java.io.EOFException):"
        f" `telefold run telemetry --resume {known[1]}` goes on from the one before it."
    )


def test_without_an_older_checkpoint_the_log_is_folded_again(tmp_path: Path) -> None:
    only = add(tmp_path, "run/chk-1")
    assert "`telefold submit --resume none` folds the log again" in str(
        cannot_be_restored(only, "EOFException", [only], "telefold submit")
    )
