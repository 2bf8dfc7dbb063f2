"""The cluster of this machine, as far as no process is needed: its files, what Flink is told, and what is refused."""

import os
import zipfile
from pathlib import Path

import pytest

from telefold.cli import submit
from telefold.deploy.cluster import home, processes, submission
from telefold.deploy.cluster.config import Paths, Ports, options
from telefold.deploy.cluster.processes import Processes
from telefold.deploy.cluster.submission import Kept, Submission
from telefold.deploy.processes import Process
from telefold.jobs import entry, leases, settings, stores
from telefold.jobs.settings import Settings
from telefold.schemas.errors import JobError, LocalStackError, PackageError, SettingsError
from telefold.schemas.generations import Generations
from telefold.schemas.leases import Holder, Lease
from tests.support.properties import set_properties

GROUPS = {
    "telefold.source": {"stream.name": "telemetry", "aws.region": "us-east-1", "aws.endpoint": "http://127.0.0.1:1"},
    "telefold.views": {"dynamodb.table": "views", "redis.url": "redis://127.0.0.1:2"},
    "telefold.dead-letter": {"stream.name": "dead"},
    "telefold.job": {"checkpoint.interval": "2s"},
}
GONE = Process("job-manager", 18081, 2**22 - 3, 0.0)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths.below(tmp_path)


@pytest.fixture
def properties(tmp_path: Path) -> Path:
    path = tmp_path / "application_properties.json"
    path.write_text("[]")
    set_properties(path, GROUPS)
    return path


@pytest.fixture
def loaded(properties: Path) -> Settings:
    return settings.load(properties)


LEASE = Lease("one", Holder("cluster"), since=1, renewed=1, held_s=60, generation=1, version=1)


def complete(folder: Path, at: float) -> Path:
    folder.mkdir(parents=True)
    (folder / "_metadata").touch()
    os.utime(folder / "_metadata", (at, at))
    return folder


def test_all_files_lie_beside_the_properties(tmp_path: Path, paths: Paths) -> None:
    assert all(path.is_relative_to(tmp_path / "cluster") for path in paths)


def test_flink_listens_on_this_machine_alone(paths: Paths) -> None:
    found = options(paths, Ports(rest=1, rpc=2), None)
    assert {value for key, value in found.items() if key.endswith(("host", "address"))} == {"127.0.0.1"}
    assert found["rest.port"] == found["rest.bind-port"] == "1"
    assert not [key for key in found if key.startswith("s3.")]
    assert [key for key in options(paths, Ports(1, 2), "s3://bucket/telemetry") if key.startswith("s3.")]


def test_a_cluster_has_a_file_system_for_s3_if_its_archive_is_there(paths: Paths) -> None:
    in_s3 = "s3://bucket/events"
    home.make(paths.home, {}, None)
    home.check_archive(paths.home, None)
    home.check_archive(paths.home, "/archive")
    with pytest.raises(JobError, match=r"no file system for S3.*cluster down.*cluster up"):
        home.check_archive(paths.home, in_s3)
    home.make(paths.home, {}, in_s3)
    home.check_archive(paths.home, in_s3)


def test_without_a_cluster_the_next_step_is_told(paths: Paths) -> None:
    with pytest.raises(LocalStackError, match="The cluster is not up: run `telefold cluster up`"):
        processes.running(paths)
    assert processes.down(paths) is False


def test_a_job_manager_that_ended_took_the_job_with_it(paths: Paths) -> None:
    processes._save(paths, Processes(GONE, 6123))
    with pytest.raises(LocalStackError, match="JobManager ended, and its jobs with it: run `telefold cluster up`"):
        processes.running(paths)
    assert processes.down(paths) is False
    assert processes.load(paths) is None


def test_a_damaged_record_is_not_guessed_at(paths: Paths) -> None:
    paths.state.parent.mkdir(parents=True)
    paths.state.write_text("{")
    with pytest.raises(LocalStackError, match=r"cluster\.json is damaged"):
        processes.load(paths)


def test_the_newest_of_checkpoints_and_savepoints_is_resumed(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "checkpoints", tmp_path / "savepoints")
    assert submission.to_resume("latest", kept) is None
    old = complete(kept.checkpoints / "job" / "chk-4", 100.0)
    savepoint = complete(kept.savepoints / "savepoint-0f0e0d-1", 200.0)
    assert submission.to_resume("latest", kept) == savepoint
    newest = complete(kept.checkpoints / "job2" / "chk-2", 300.0)
    (kept.checkpoints / "job2" / "chk-3").mkdir()
    assert submission.to_resume("latest", kept) == newest
    assert submission.to_resume("none", kept) is None
    assert submission.to_resume(str(old), kept) == old
    with pytest.raises(JobError, match="There is no complete checkpoint in"):
        submission.to_resume(str(tmp_path), kept)


def wanted(paths: Paths, properties: Path, loaded: Settings, resume: Path | None = None) -> Submission:
    return Submission(Path("/app"), properties, loaded, 4, Kept.of(paths, 1), resume, LEASE)


def test_flink_is_told_what_managed_flink_tells_it(paths: Paths, properties: Path, loaded: Settings) -> None:
    flink, run, *told = submission._command(paths, wanted(paths, properties, loaded))
    assert (flink, run) == (str(paths.home / "bin/flink"), "run")
    assert told[-6:] == [
        "--python",
        "/app/main.py",
        "--pyFiles",
        "/app/dep",
        "--jarfile",
        "/app/lib/pyflink-dependencies.jar",
    ]
    assert told[told.index("--parallelism") + 1] == "4"
    assert "-Dexecution.checkpointing.interval=2000 ms" in told
    assert f"-Dexecution.checkpointing.dir={(paths.checkpoints / 'telemetry').as_uri()}" in told
    assert "--fromSavepoint" not in told


def test_run_options_of_the_properties_come_first(paths: Paths, properties: Path, loaded: Settings) -> None:
    set_properties(properties, {"kinesis.analytics.flink.run.options": {"pyFiles": "dep/,more.py"}})
    told = submission._command(paths, wanted(paths, properties, loaded, resume=Path("/chk-3")))
    assert told[told.index("--pyFiles") + 1] == "/app/dep,/app/more.py"
    assert told[told.index("--python") + 1] == "/app/main.py"
    assert told[told.index("--fromSavepoint") + 1] == "/chk-3"


def test_a_zip_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    for name in ("one", "two"):
        with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
            archive.writestr(name, name)
        submission.unpack(tmp_path / "t.zip", tmp_path / "application")
    assert [path.name for path in (tmp_path / "application").iterdir()] == ["two"]


def test_what_is_no_zip_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match=r"There is no .*t\.zip: run `telefold package --out .*t\.zip`"):
        submission.unpack(tmp_path / "t.zip", tmp_path / "application")
    (tmp_path / "t.zip").write_text("not")
    with pytest.raises(PackageError, match=r"t\.zip is no zip \(File is not a zip file\): run"):
        submission.unpack(tmp_path / "t.zip", tmp_path / "application")


def test_on_managed_flink_the_properties_are_where_it_mounts_them() -> None:
    assert entry.properties_path({}) == Path("/etc/flink/application_properties.json")
    assert entry.properties_path({"TELEFOLD_PROPERTIES": "here.json"}) == Path("here.json")


def test_an_applications_name_stands_for_one_job_at_a_time_on_managed_flink_alone() -> None:
    there, elsewhere = (entry._application("prod", path) for path in (entry.MOUNTED, Path("here.json")))
    assert there.is_followed_by(there)
    assert not elsewhere.is_followed_by(elsewhere)
    assert (there.claimant() == there.claimant(), elsewhere.claimant() == elsewhere.claimant()) == (True, False)


def test_an_application_without_a_name_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"^telefold\.job/name is missing: set it"):
        entry._application(None, entry.MOUNTED)


def test_where_nobody_holds_the_views_state_is_kept_with_the_generation_that_is_to_be_live(
    paths: Paths, loaded: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Store:
        def load(self) -> Generations:
            return Generations(current=2, newest=2)

        def close(self) -> None: ...

    monkeypatch.setattr(leases, "look", lambda _: None)
    monkeypatch.setattr(stores, "open_generations", lambda _: Store())
    assert submit._kept(paths, loaded) == Kept.of(paths, 2)
    monkeypatch.setattr(leases, "look", lambda _: LEASE)
    assert submit._kept(paths, loaded) == Kept.of(paths, 1)


def test_of_a_program_that_refuses_its_sentences_are_told() -> None:
    sentences = ["The stream telemetry is missing.", "The table views is missing."]
    output = "\n".join(["WARNING: noise", *(f"telefold: {one}" for one in sentences), "", "Caused by: a.B: code: 1"])
    assert submission._why(output) == "\n".join(sentences)
    assert submission._why("a.B: failed\nCaused by: a.RuntimeException: code: 1\n") == "RuntimeException: code: 1."


def test_why_a_job_was_not_submitted_is_what_its_python_said_and_not_that_it_ended() -> None:
    output = (
        "Caused by: java.lang.IllegalStateException: Failed to rollback to checkpoint/savepoint chk-3.\n"
        "org.apache.flink.client.program.ProgramAbortException: java.lang.RuntimeException: "
        "Python process exits with code: 1\n"
        "Caused by: java.lang.RuntimeException: Python process exits with code: 1\n"
    )
    assert submission._why(output) == "IllegalStateException: Failed to rollback to checkpoint/savepoint chk-3."


def test_a_savepoint_that_does_not_fit_is_named_with_the_one_before(
    paths: Paths, properties: Path, loaded: Settings
) -> None:
    kept = Kept.of(paths, 1)
    old = complete(kept.checkpoints / "job" / "chk-4", 100.0)
    bad = complete(kept.savepoints / "savepoint-0f0e0d-1", 200.0)
    trace = (
        "Caused by: a.B: x\n\tat org.apache.flink.runtime.checkpoint.Checkpoints.loadAndValidateCheckpoint(C.java:1)"
    )
    with pytest.raises(JobError, match=f"{bad} is damaged .* `telefold submit --resume {old}` goes on"):
        submission._check_restored(wanted(paths, properties, loaded, bad), trace)
    submission._check_restored(wanted(paths, properties, loaded), trace)


def test_state_is_kept_by_the_generation_that_the_job_runs(paths: Paths) -> None:
    assert Kept.of(paths, 1).savepoints == paths.savepoints / "telemetry"
    assert Kept.of(paths, 2).checkpoints == paths.checkpoints / "telemetry-g2"
