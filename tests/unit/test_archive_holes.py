"""What is missing from an archive is found, named and refused, whatever was taken out of it."""

import json
import random
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from telefold.cli import archive as command
from telefold.connectors import archive
from telefold.connectors.archive import Archive
from telefold.connectors.archive_holes import Hole
from telefold.jobs.settings import Settings, parse
from telefold.schemas.archived_record import SCHEMA_TEXT
from telefold.schemas.errors import ArchiveError
from telefold.schemas.log_records import LogRecord, position_order
from telefold.verify.event_log import Log, check_holes
from tests.support.stand_in import stand_in

NOON = 1_769_860_800_000  # 2026-01-31T12:00:00Z
HOUR = 3_600_000


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "_FILES_APPEAR_WITHIN_S", 0.0)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "archive"


def record(number: int, arrival: int = NOON, shard: str = "shard-0", sub: int | None = None) -> LogRecord:
    return LogRecord(b"data", arrival, "device", shard, str(number), sub)


def groups(root: Path, **more: str) -> dict[str, dict[str, str]]:
    return {
        "telefold.source": {"stream.name": "events", "aws.region": "us-east-1"},
        "telefold.views": {"dynamodb.table": "views", "redis.url": "redis://127.0.0.1"},
        "telefold.dead-letter": {"stream.name": "dead-letters"},
        "telefold.archive": {"path": str(root)} | {key.replace("_", "."): value for key, value in more.items()},
    }


def settings(root: Path, **more: str) -> Settings:
    return parse(groups(root, **more))


Span = tuple[str, str | None, str | None, str]


def spans(holes: Sequence[Hole]) -> list[Span]:
    return [(hole.shard, hole.behind, hole.last, hole.next) for hole in holes]


SUBS: list[list[int | None]] = [[None], [None], [0], [0, 1, 2]]
"""Places in an aggregate of the records of one sequence number."""


@st.composite
def logs(draw: st.DrawFn) -> list[LogRecord]:
    """Shards that were read in turns, with aggregates, and arrivals that waver around the hour."""
    log: list[LogRecord] = []
    for shard in range(draw(st.integers(1, 2))):
        number = 0
        for _ in range(draw(st.integers(1, 8))):
            number += draw(st.integers(1, 50))
            arrival = NOON + draw(st.sampled_from([-1, 0, 1, HOUR]))
            for sub in draw(st.sampled_from(SUBS)):
                log.append(record(number, arrival, f"shard-{shard}", sub))
    return log


def chopped(root: str, log: list[LogRecord], dice: random.Random) -> list[str]:
    """The files of several runs of a job; some go on from a checkpoint before the end of the one before."""
    paths: list[str] = []
    start = 0
    while start < len(log):
        end = dice.randint(start + 1, len(log))
        begin = max(0, start - dice.choice([0, 0, 2]))
        behind = {one.shard: one.position for one in log[:begin]}
        paths += archive.write(root, log[begin:end], dice.randint(1, 4), behind=behind)
        start = end
    return paths


def positions_in(path: str) -> Iterator[tuple[str, str]]:
    with Path(path).open("rb") as file:
        reader: Any = fastavro.reader(file)
        for fields in reader:
            one = LogRecord(b"", 0, "", fields["shard"], fields["sequence_number"], fields["sub_sequence_number"])
            yield one.shard, one.position


def missing(log: list[LogRecord], there: set[tuple[str, str]]) -> list[Span]:
    """The runs of records that are not there, each before one that is."""
    by_shard: defaultdict[str, list[str]] = defaultdict(list)
    for one in log:
        by_shard[one.shard].append(one.position)
    found: list[Span] = []
    for shard in sorted(by_shard):
        last: str | None = None
        previous: str | None = None
        for position in by_shard[shard]:
            if (shard, position) in there:
                if previous != last:
                    found.append((shard, last, previous, position))
                last = position
            previous = position
    return found


@given(logs(), st.randoms(use_true_random=False), st.sets(st.integers(0, 30), max_size=4))
def test_whatever_files_are_taken_out_the_holes_are_named_exactly(
    log: list[LogRecord], dice: random.Random, gone: set[int]
) -> None:
    with TemporaryDirectory() as folder:
        paths = chopped(folder, log, dice)
        assert Archive(folder).holes() == []
        assert sorted((one.shard, position_order(one.position)) for one in Archive(folder).read()) == sorted(
            (one.shard, position_order(one.position)) for one in log
        )
        for number in {number % len(paths) for number in gone}:
            Path(paths[number]).unlink()
        there = {place for path in paths if Path(path).exists() for place in positions_in(path)}
        assert spans(Archive(folder).holes()) == missing(log, there)


def test_a_hole_says_its_times_and_the_files_around_it(root: Path) -> None:
    paths = archive.write(str(root), [record(n, NOON + n * 1000) for n in range(1, 10)], records_a_file=3)
    Path(paths[1]).unlink()
    (hole,) = Archive(str(root)).holes()
    assert hole == Hole("shard-0", "3", "6", "7", NOON + 3000, NOON + 7000, paths[0], paths[2])
    assert str(hole) == (
        f"shard-0: from behind 3 (2026-01-31 12:00:03.000Z, the end of {paths[0]}) up to 6; what follows arrived at"
        f" 2026-01-31 12:00:07.000Z and is in {paths[2]}"
    )
    Path(paths[0]).unlink()
    assert str(Archive(str(root)).holes()[0]).startswith("shard-0: from its first record up to 6;")


def test_an_archive_that_began_behind_what_the_job_had_read_lacks_that(root: Path) -> None:
    archive.write(str(root), [record(5)], behind={"shard-0": "4"})
    assert spans(Archive(str(root)).holes()) == [("shard-0", None, "4", "5")]


def test_a_shard_that_was_begun_anew_behind_archived_records_may_lack_some(root: Path) -> None:
    archive.write(str(root), [record(5)])
    archive.write(str(root), [record(9)])
    assert spans(Archive(str(root)).holes()) == [("shard-0", "5", None, "9")]


def test_bounds_show_the_holes_in_them_alone(root: Path) -> None:
    paths = archive.write(str(root), [record(n, NOON + n * HOUR) for n in range(9)])
    for number in (2, 6):
        Path(paths[number]).unlink()
    early, late = ("shard-0", "1", "2", "3"), ("shard-0", "5", "6", "7")
    opened = Archive(str(root))
    assert spans(opened.holes()) == [early, late]
    assert spans(opened.holes(until_ms=NOON + 4 * HOUR)) == [early]
    assert spans(opened.holes(since_ms=NOON + 4 * HOUR)) == [late]
    assert spans(opened.holes(NOON + 3 * HOUR + 1, NOON + 5 * HOUR)) == []
    assert spans(opened.holes(since_ms=NOON + 2 * HOUR + 1)) == [early, late]
    assert spans(opened.holes(since_ms=NOON + 8 * HOUR)) == []


def test_a_shard_that_is_silent_for_hours_is_no_hole(root: Path) -> None:
    archive.write(str(root), [record(1, NOON), record(2, NOON + 50 * HOUR)])
    for since in (NOON, NOON + HOUR, NOON + 50 * HOUR):
        assert Archive(str(root)).holes(since_ms=since) == []


def test_files_that_are_just_being_put_in_place_are_waited_for(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = archive.write(str(root), [record(n) for n in range(1, 7)], records_a_file=2)
    hidden = Path(paths[1]).rename(Path(paths[1]).with_name(".unfinished"))
    monkeypatch.setattr(time, "sleep", lambda seconds: hidden.rename(paths[1]))
    assert Archive(str(root)).holes() == []


def as_earlier_builds_wrote(path: str) -> None:
    schema = json.loads(SCHEMA_TEXT)
    schema["fields"] = [one for one in schema["fields"] if one["name"] not in ("previous", "sub_sequence_number")]
    with Path(path).open("rb") as file:
        records: list[Any] = list(fastavro.reader(file))
    with Path(path).open("wb") as file:
        fastavro.writer(file, fastavro.parse_schema(schema), records)


def test_files_of_earlier_builds_are_read_and_said_not_to_know(tmp_path: Path, root: Path) -> None:
    paths = archive.write(str(root), [record(n) for n in range(1, 10)], records_a_file=3)
    as_earlier_builds_wrote(paths[1])
    opened = Archive(str(root))
    assert [one.position for one in opened.read()] == [str(n) for n in range(1, 10)]
    assert opened.holes() == []
    found = described(tmp_path, root)
    assert (found["holes"], found["silent_files"]) == ([], 1)
    Path(paths[0]).unlink()
    assert opened.holes() == []
    Path(paths[1]).unlink()
    assert spans(opened.holes()) == [("shard-0", None, "6", "7")]


def described(tmp_path: Path, root: Path, exit_code: int = 0) -> Any:
    properties = tmp_path / "application_properties.json"
    named = [{"PropertyGroupId": name, "PropertyMap": group} for name, group in groups(root).items()]
    properties.write_text(json.dumps(named))
    result = CliRunner().invoke(command.app, ["describe", "--json", "--properties", str(properties)])
    assert result.exit_code == exit_code
    shown = CliRunner().invoke(command.app, ["describe", "--properties", str(properties)])
    assert shown.exit_code == exit_code
    assert ("Missing: shard-0: from behind" in shown.stdout) == bool(exit_code)
    return json.loads(result.stdout)


def with_a_hole(root: Path) -> None:
    paths = archive.write(str(root), [record(n) for n in range(1, 10)], records_a_file=3)
    Path(paths[1]).unlink()


def test_describe_names_a_hole_and_exits_1(tmp_path: Path, root: Path) -> None:
    with_a_hole(root)
    (hole,) = described(tmp_path, root, 1)["holes"]
    assert (hole["shard"], hole["behind"], hole["last"], hole["next"]) == ("shard-0", "3", "6", "7")


def test_reading_the_log_ends_at_a_hole_unless_told_to_go_on(root: Path) -> None:
    with_a_hole(root)
    names_it = r"lacks records in 1 places: restore .*--despite-holes(.|\n)*shard-0: from behind 3 .* up to 6"
    with pytest.raises(ArchiveError, match=names_it):
        list(Log(settings(root), stand_in(None)).archived())
    for told in (settings(root).despite_holes(), settings(root, despite_holes="true")):
        log = Log(told, stand_in(None))
        assert [one.position for one in log.archived()] == ["1", "2", "3", "7", "8", "9"]
        assert spans(log.holes) == [("shard-0", "3", "6", "7")]


def test_what_begins_anew_from_the_archive_is_refused_at_a_hole_unless_told_to_go_on(root: Path) -> None:
    assert check_holes(settings(root)) == []
    with_a_hole(root)
    with pytest.raises(ArchiveError, match=r"shard-0: from behind 3 .* up to 6"):
        check_holes(settings(root))
    assert spans(check_holes(settings(root).despite_holes())) == [("shard-0", "3", "6", "7")]
    assert check_holes(settings(root), until_ms=NOON) == []


def test_a_damaged_file_may_be_moved_away_and_is_then_a_hole(root: Path) -> None:
    paths = archive.write(str(root), [record(n) for n in range(1, 10)], records_a_file=3)
    Path(paths[1]).write_bytes(b"junk")
    with pytest.raises(ArchiveError, match=r"Without one, move it away: its records are then a hole"):
        check_holes(settings(root))
    Path(paths[1]).rename(root.parent / "aside")
    with pytest.raises(ArchiveError, match=r"up to 6"):
        check_holes(settings(root))
