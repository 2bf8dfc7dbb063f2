"""When a rebuild has read the archive, and what it says meanwhile."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from telefold.cli.main import app
from telefold.cli.rebuild import _HasReadAll, _how_to_go_on, _line
from telefold.connectors import archive
from telefold.deploy import leases
from telefold.deploy.flink_rest import Progress
from telefold.schemas.errors import SettingsError
from telefold.schemas.leases import Holder, Lease
from telefold.schemas.log_records import LogRecord


class Reading:
    """A job that reads an archive of one shard, seen every second."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.now = 100.0
        self.add("7")
        self.has_read_all = _HasReadAll(archive.Archive(str(root)), lambda: self.now)

    def add(self, sequence_number: str) -> None:
        archive.write(str(self.root), [LogRecord(b"", 1_769_860_800_000, "d", "shard-0", sequence_number)])

    def after(self, rounds: int) -> bool:
        self.now += 1
        return self.has_read_all(Progress(archive_rounds=rounds))


def test_what_there_is_after_the_first_reading_has_to_be_read_in_later_rounds(tmp_path: Path) -> None:
    reading = Reading(tmp_path)
    assert not any(reading.after(rounds) for rounds in (0, 1, 1, 1))
    reading.add("8")
    assert not reading.after(2)
    assert reading.has_read_all.positions == {"shard-0": "8"}
    reading.add("9")
    assert not any(reading.after(rounds) for rounds in (4, 6, 8, 10))
    assert reading.after(11)
    assert reading.has_read_all.positions == {"shard-0": "8"}


def test_files_that_keep_coming_do_not_keep_it_from_its_end(tmp_path: Path) -> None:
    reading = Reading(tmp_path)
    for second in range(20):
        reading.add(str(10 + second))
        if reading.after(2 + second):
            return
    pytest.fail("it follows the archive for ever")


def test_the_line_of_a_rebuild() -> None:
    progress = Progress(events_in=1_500, rows_written=20, archive_bytes=400, archive_bytes_left=100)
    assert _line(progress) == "archive read 75%  records 1,500  rows out 20  behind live unknown"


@pytest.mark.parametrize("options", [("--rollback", "--clean"), ("--views", "latest", "--abandon")])
def test_one_thing_at_a_time(options: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, ["rebuild", *options])
    assert isinstance(result.exception, SettingsError)
    assert "exclude one another" in str(result.exception)


@pytest.mark.parametrize("holder", [Holder("managed", "telefold-prod"), Holder("run", machine="another", pid=7)])
def test_beside_a_live_job_nobody_is_told_to_start_a_second_one(holder: Holder) -> None:
    said = _how_to_go_on(Lease("one", holder, since=1, renewed=1, held_s=60, generation=1, version=1))
    assert said.startswith(f"The live job runs elsewhere: {holder}.")
    assert said.index("stop it first") < said.index("only then start `telefold run telemetry`")


@pytest.mark.parametrize("holder", [None, Holder("run", machine=leases.machine(), pid=2**22 - 3)])
def test_where_no_live_job_runs_the_next_one_takes_the_generation_over(holder: Holder | None) -> None:
    lease = Lease("one", holder, since=1, renewed=1, held_s=60, generation=1, version=1) if holder else None
    assert _how_to_go_on(lease).startswith("No live job runs: `telefold run telemetry` takes it over")
