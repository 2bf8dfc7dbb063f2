"""The archive as Python reads it, on a disk: layout, order, positions, and what it says of what it cannot read."""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from telefold.cli import archive as command
from telefold.connectors import archive
from telefold.connectors.archive import Archive, ArchiveFile
from telefold.schemas.codec import encode
from telefold.schemas.errors import ArchiveError, SettingsError, TelefoldError
from telefold.schemas.events import DeviceEvent
from telefold.schemas.log_records import LogRecord

NOON = 1_769_860_800_000  # 2026-01-31T12:00:00Z
HOUR = 3_600_000
FIRST = 49590338271490256608559692538361571095921575989136588898  # as long as Kinesis makes them


def record(
    number: int, arrival: int = NOON, shard: str = "shard-0", data: bytes = b"data", sub: int | None = None
) -> LogRecord:
    return LogRecord(data, arrival, f"device-{number}", shard, str(number), sub)


def numbers(records: Sequence[LogRecord]) -> list[int]:
    return [int(record.sequence_number) for record in records]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "the archive"


def read(root: Path, since_ms: int | None = None, until_ms: int | None = None) -> list[LogRecord]:
    return list(Archive(str(root)).read(since_ms, until_ms))


def test_what_was_written_is_read_back_exactly(root: Path) -> None:
    log = [record(FIRST + n, NOON + n, f"shard-{n % 2}", bytes([n, 0, 255])) for n in range(50)]
    archive.write(str(root), log)
    assert read(root) == log


def test_files_lie_by_hour_of_arrival_and_shard(root: Path) -> None:
    archive.write(str(root), [record(1, NOON - 1), record(2, NOON), record(3, NOON, "shard-1")])
    folders = {str(path.parent.relative_to(root)) for path in root.rglob("*.avro")}
    assert folders == {
        "day=2026-01-31/hour=11/shard=shard-0",
        "day=2026-01-31/hour=12/shard=shard-0",
        "day=2026-01-31/hour=12/shard=shard-1",
    }
    files = Archive(str(root)).files()
    assert [(file.shard, file.hour) for file in files] == [
        ("shard-0", NOON - HOUR),
        ("shard-0", NOON),
        ("shard-1", NOON),
    ]
    assert all(Path(file.path).stat().st_size == file.size > 0 for file in files)


def test_files_of_one_hour_are_read_in_the_order_of_their_first_records(root: Path) -> None:
    for some in ([9, 10], [100, 101], [1, 2, 3]):
        archive.write(str(root), [record(n) for n in some])
    assert numbers(read(root)) == [1, 2, 3, 9, 10, 100, 101]


def test_records_whose_files_interleave_come_in_order(root: Path) -> None:
    """Arrival times waver, so a record may lie in an earlier hour than the one before it."""
    arrivals = {4: NOON - 1, 5: NOON, 6: NOON - 1, 7: NOON + 1}
    archive.write(str(root), [record(n, at) for n, at in arrivals.items()])
    assert numbers(read(root)) == [4, 5, 6, 7]
    assert Archive(str(root)).ends() == {"shard-0": "7"}


def test_a_record_in_two_files_is_read_once(root: Path) -> None:
    archive.write(str(root), [record(n) for n in range(1, 8)], records_a_file=3)
    archive.write(str(root), [record(n) for n in range(1, 10)], records_a_file=4)
    assert numbers(read(root)) == list(range(1, 10))


def test_records_of_one_aggregate_are_each_read_once_whatever_files_they_are_in(root: Path) -> None:
    log = [record(1), *(record(2, sub=n) for n in range(12)), record(3)]
    archive.write(str(root), log, records_a_file=3)
    archive.write(str(root), log[5:], records_a_file=2)
    assert read(root) == log
    assert Archive(str(root)).ends() == {"shard-0": "3"}
    assert Archive(str(root)).missed((), {"shard-0": "2:3"})


def test_ends_may_lie_within_an_aggregate(root: Path) -> None:
    archive.write(str(root), [record(2, sub=9), record(2, sub=10)], records_a_file=1)
    assert Archive(str(root)).ends() == {"shard-0": "2:10"}


def test_records_of_one_file_that_share_a_position_are_all_read(root: Path) -> None:
    """As earlier builds wrote those of an aggregate."""
    archive.write(str(root), [record(n) for n in (1, 2, 2, 3)])
    archive.write(str(root), [record(n) for n in (2, 4)])
    assert numbers(read(root)) == [1, 2, 2, 3, 4]


def test_unfinished_files_are_not_there(root: Path) -> None:
    (path,) = archive.write(str(root), [record(1)])
    for name in (".part-1.avro.inprogress.7", "_part-2.avro"):
        Path(path).with_name(name).write_bytes(b"half a fi")
    (root / "_SUCCESS").touch()
    (root / "day=2026-01-31" / "stray").touch()
    assert [file.path for file in Archive(str(root)).files()] == [path]
    assert numbers(read(root)) == [1]


def test_bounds_are_of_arrival_and_leave_other_folders_unread(root: Path) -> None:
    archive.write(str(root), [record(n, NOON + (n - 5) * HOUR // 2) for n in range(10)])
    assert numbers(read(root, since_ms=NOON, until_ms=NOON + HOUR)) == [5, 6]
    assert numbers(read(root, since_ms=NOON + 1)) == [6, 7, 8, 9]
    for path in root.rglob("hour=11/*/*.avro"):
        path.write_bytes(b"junk")
    assert numbers(read(root, since_ms=NOON)) == [5, 6, 7, 8, 9]
    assert [file.hour for file in Archive(str(root)).files(NOON + 1, NOON + HOUR)] == [NOON]
    assert Archive(str(root)).files(since_ms=NOON + 24 * HOUR) == []


def test_shards_can_be_picked_and_finished_files_are_told_of(root: Path) -> None:
    archive.write(str(root), [record(n, shard=f"shard-{n % 3}") for n in range(9)])
    told: list[ArchiveFile] = []
    found = list(Archive(str(root)).read(shards=["shard-1"], on_file=told.append))
    assert numbers(found) == [1, 4, 7]
    assert [file.shard for file in told] == ["shard-1"]


def test_ends_are_the_last_records_of_the_newest_hours(root: Path) -> None:
    assert Archive(str(root.parent)).ends() == {}
    log = [record(n, NOON + n * HOUR // 4, f"shard-{n % 2}") for n in range(101)]
    archive.write(str(root), log, records_a_file=1)
    for path in root.rglob("day=2026-01-31/hour=12/*/*.avro"):
        path.write_bytes(b"an old file that nobody needs to open")
    assert Archive(str(root)).ends() == {"shard-0": "100", "shard-1": "99"}


def test_ends_are_ordered_as_numbers(root: Path) -> None:
    archive.write(str(root), [record(n) for n in (8, 9, 10)], records_a_file=1)
    assert Archive(str(root)).ends() == {"shard-0": "10"}


def test_a_file_that_appears_behind_the_readers_back_is_found(root: Path) -> None:
    archive.write(str(root), [record(n) for n in (1, 2, 7, 8)])
    opened = Archive(str(root))
    known = opened.files()
    (late,) = archive.write(str(root), [record(n) for n in (3, 4)])
    archive.write(str(root), [record(9)])
    archive.write(str(root), [record(1, shard="shard-1")])
    assert [file.path for file in opened.missed(known, {"shard-0": "8"})] == [late]


def test_a_missing_archive_is_named(root: Path) -> None:
    with pytest.raises(ArchiveError, match=rf"no archive at {root}: run the job .*telefold.archive/path"):
        read(root)
    with pytest.raises(ArchiveError, match=r"cannot be read .*telefold.archive/path"):
        Archive("ftp://somewhere/else")


@pytest.mark.parametrize("spoil", [lambda data: b"", lambda data: b"junk", lambda data: data[:-9]])
def test_a_damaged_file_is_named(root: Path, spoil: Callable[[bytes], bytes]) -> None:
    (path,) = archive.write(str(root), [record(n) for n in range(1000)])
    Path(path).write_bytes(spoil(Path(path).read_bytes()))
    for look in (lambda opened: list(opened.read()), Archive.ends):
        with pytest.raises(ArchiveError, match=f"file {path} is damaged"):
            look(Archive(str(root)))


def test_records_out_of_order_or_of_another_shard_are_damage(root: Path) -> None:
    (path,) = archive.write(str(root), [record(2), record(1)])
    with pytest.raises(ArchiveError, match=rf"{path} is damaged \(the record 1 follows 2\)"):
        read(root)
    other = Path(path).parent.with_name("shard=shard-7")
    Path(path).parent.rename(other)
    with pytest.raises(ArchiveError, match=r"damaged \(it holds a record of shard-0\)"):
        read(root)


def test_the_command_line_starts_without_pyarrow() -> None:
    program = "import sys, telefold.cli.main; print('pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "False\n"


# telefold archive describe


def describe(tmp_path: Path, path: str | None, *arguments: str) -> Result:
    groups = {
        "telefold.source": {"stream.name": "events", "aws.region": "us-east-1"},
        "telefold.views": {"dynamodb.table": "views", "redis.url": "redis://127.0.0.1"},
        "telefold.dead-letter": {"stream.name": "dead-letters"},
    } | ({"telefold.archive": {"path": path}} if path else {})
    properties = tmp_path / "application_properties.json"
    groups_list = [{"PropertyGroupId": name, "PropertyMap": group} for name, group in groups.items()]
    properties.write_text(json.dumps(groups_list))
    options = ["describe", *arguments, "--properties", str(properties)]
    result = CliRunner().invoke(command.app, options, env={"COLUMNS": "120"})
    if isinstance(result.exception, TelefoldError):
        raise result.exception
    return result


def event(number: int, version: int) -> bytes:
    one = DeviceEvent(f"e{number}", f"device-{number % 3}", "telemetry", NOON, number, {"heat": 1.0})
    return encode(one, version)


def test_describe_counts_everything(tmp_path: Path, root: Path) -> None:
    datas = [event(n, 1 + n % 2) for n in range(9)] + [b"", b"junk", event(0, 2)[:-1]]
    log = [record(n, NOON + n, f"shard-{n % 2}", data) for n, data in enumerate(datas)]
    archive.write(str(root), log, records_a_file=4)
    found = json.loads(describe(tmp_path, str(root), "--json").stdout)
    assert found == {
        "path": str(root),
        "records": 12,
        "bytes": sum(map(len, datas)),
        "file_bytes": sum(path.stat().st_size for path in root.rglob("*.avro")),
        "files": 4,
        "shards": ["shard-0", "shard-1"],
        "first_arrival": NOON,
        "last_arrival": NOON + 11,
        "devices": 3,
        "versions": {"1": 5, "2": 5},
        "rejected": {"bad_header": 1, "empty_record": 1, "truncated_body": 1},
        "corrections": 0,
        "holes": [],
        "silent_files": 0,
    }
    shown = describe(tmp_path, str(root)).stdout
    assert "12" in shown
    assert "truncated_body" in shown
    assert "Next: " in shown


def test_describe_of_no_archive_says_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"telefold.archive/path is not set"):
        describe(tmp_path, None)
    with pytest.raises(ArchiveError, match="no archive at /nowhere"):
        describe(tmp_path, "/nowhere")


def test_describe_of_an_archive_without_files(tmp_path: Path, root: Path) -> None:
    root.mkdir()
    assert json.loads(describe(tmp_path, str(root), "--json").stdout)["first_arrival"] is None
    assert "no records" in describe(tmp_path, str(root)).stdout


@pytest.mark.parametrize("words", [["archive", "describe"], ["verify"], ["query", "device"]])
def test_the_commands_on_the_log_are_on_the_command_line(words: list[str]) -> None:
    from telefold.cli.main import app

    result = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "120"})
    assert result.exit_code == 0
    assert "--json" in result.stdout
