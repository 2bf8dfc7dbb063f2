"""`telefold dead-letters show` and `redrive` against a real Kinesis API."""

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from typer.testing import CliRunner, Result

from telefold.cli import dead_letters
from telefold.connectors.event_log import append, read_stream
from telefold.deploy.local.tables import REGION
from telefold.schemas import set_aside
from telefold.schemas.codec import encode
from telefold.schemas.errors import SettingsError, StreamError
from telefold.schemas.events import DeviceEvent
from telefold.simulator.generator import GeneratedRecord
from telefold.verify.oracle import Reckoning, fold

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

ARRIVAL = 1_769_860_800_000
SHARD = "shardId-000000000000"


@pytest.fixture
def streams(client: "KinesisClient") -> Iterator[tuple[str, str]]:
    names = (f"events-{uuid4().hex[:8]}", f"dead-letters-{uuid4().hex[:8]}")
    for name in names:
        client.create_stream(StreamName=name, ShardCount=1)
        client.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig={"Delay": 1})
    yield names
    for name in names:
        client.delete_stream(StreamName=name)


@pytest.fixture
def properties(tmp_path: Path, kinesis_endpoint: str, streams: tuple[str, str]) -> Path:
    groups = {
        "telefold.source": {"stream.name": streams[0], "aws.region": REGION, "aws.endpoint": kinesis_endpoint},
        "telefold.views": {"dynamodb.table": "views", "redis.url": "redis://127.0.0.1"},
        "telefold.dead-letter": {"stream.name": streams[1]},
    }
    path = tmp_path / "application_properties.json"
    path.write_text(json.dumps([{"PropertyGroupId": name, "PropertyMap": group} for name, group in groups.items()]))
    return path


def run(properties: Path, *arguments: str) -> Result:
    result = CliRunner().invoke(dead_letters.app, [*arguments, "--properties", str(properties)], env={"COLUMNS": "80"})
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def as_json(properties: Path, *arguments: str) -> Any:
    return json.loads(run(properties, *arguments, "--json").stdout)


def event(number: int) -> bytes:
    return encode(DeviceEvent(f"e-{number}", "device-1", "telemetry", ARRIVAL - 1_000, number, {"t": 1.0}))


def identity(number: int) -> str:
    return f"{SHARD}:{number}"


LETTERS = [
    (20, "unknown_fingerprint", event(20)),
    (3, "unknown_fingerprint", event(3)),
    (4, "bad_header", b"\x00[bold]not an event"),
    (5, "too_late", event(5)),
    (6, "empty_record", b""),
    (7, "too_late", event(5)),
]


@pytest.fixture(autouse=True)
def written(client: "KinesisClient", streams: tuple[str, str]) -> None:
    for number, reason, payload in LETTERS:
        letter = {
            "reason": reason,
            "detail": f"detail {number}",
            "payload": b64encode(payload).decode(),
            "partition_key": "device-1",
            "shard": SHARD,
            "sequence_number": str(number),
            "arrival": ARRIVAL + number,
        }
        append(client, streams[1], [GeneratedRecord(json.dumps(letter).encode(), str(number), "event")])


def log(client: "KinesisClient", streams: tuple[str, str]) -> list[bytes]:
    records = list(read_stream(client, streams[0]))
    assert {record.partition_key for record in records} <= {"device-1"}
    return [record.data for record in records]


def test_listed_identities_can_be_copied_and_copies_are_one(properties: Path) -> None:
    shown = run(properties, "list").stdout
    assert "5 dead letters" in shown
    assert f"  {identity(5)}\n" in shown
    assert "2 copies" in shown
    listed = {one["sequence_number"]: one.get("copies", 1) for one in as_json(properties, "list")}
    assert listed == {"3": 1, "4": 1, "5": 2, "6": 1, "20": 1}


def test_show_says_everything_about_a_letter_that_can_be_redriven(properties: Path) -> None:
    shown = as_json(properties, "show", identity(3))
    assert (shown["id"], shown["reason"], shown["detail"]) == (identity(3), "unknown_fingerprint", "detail 3")
    assert shown["event"]["event_id"] == "e-3"
    assert shown["rejected"] is None
    assert shown["next"] == "redrive"
    assert b64decode(shown["payload"]) == event(3)


def test_show_says_why_a_letter_is_still_rejected_and_dumps_its_bytes(properties: Path) -> None:
    text = run(properties, "show", SHARD, "4").stdout
    assert "still rejected: bad_header: the record does not begin" in text
    assert "00000000  00 5b 62 6f 6c 64 5d 6e 6f 74 20 61 6e 20 65 76  .[bold]not an ev" in text
    assert "Next: Nothing can be done" in text
    assert as_json(properties, "show", identity(4))["rejected"]["reason"] == "bad_header"


def test_show_names_the_copies_and_what_a_late_letter_needs(properties: Path) -> None:
    shown = as_json(properties, "show", identity(7))
    assert shown["copies"] == [identity(5), identity(7)]
    assert shown["next"] == "nothing"
    assert "telefold.archive/path" in shown["advice"]
    groups = json.loads(properties.read_text())
    groups.append({"PropertyGroupId": "telefold.archive", "PropertyMap": {"path": "/tmp/archive"}})
    properties.write_text(json.dumps(groups))
    assert as_json(properties, "show", identity(7))["next"] == "rebuild"


def test_show_writes_the_exact_bytes(properties: Path, tmp_path: Path) -> None:
    run(properties, "show", identity(4), "--payload", str(tmp_path / "record"))
    assert (tmp_path / "record").read_bytes() == b"\x00[bold]not an event"
    with pytest.raises(SettingsError, match="cannot be written"):
        run(properties, "show", identity(4), "--payload", str(tmp_path / "none" / "record"))


def test_redrive_sends_what_can_be_folded_by_now_in_order(
    client: "KinesisClient", streams: tuple[str, str], properties: Path
) -> None:
    counts = as_json(properties, "redrive")
    assert counts == {
        "read": 6,
        "to_send": 2,
        "sent": 2,
        "too_late": 1,
        "set_aside": 0,
        "still_rejected": {"bad_header": 1, "empty_record": 1},
        "dry_run": False,
    }
    assert log(client, streams) == [event(3), event(20)]


def test_redriving_twice_changes_nothing(client: "KinesisClient", streams: tuple[str, str], properties: Path) -> None:
    def reckon() -> Reckoning:
        return fold(read_stream(client, streams[0]), {"1m": 60_000}, 3_600_000, {})

    run(properties, "redrive")
    once = reckon()
    run(properties, "redrive")
    twice = reckon()
    assert twice.rows == once.rows != {}
    assert (twice.accepted, twice.duplicates, twice.rejected) == (2, 2, {})


def test_a_dry_run_sends_nothing(client: "KinesisClient", streams: tuple[str, str], properties: Path) -> None:
    text = run(properties, "redrive", "--dry-run").stdout
    assert f"Would send 2 letters to {streams[0]}." in text
    assert "still rejected: 1 bad_header, 1 empty_record" in text
    assert "too late: 1. `telefold rebuild`" in text
    assert log(client, streams) == []


def test_letters_are_chosen_by_identity(client: "KinesisClient", streams: tuple[str, str], properties: Path) -> None:
    assert as_json(properties, "redrive", "--id", identity(20), "--id", identity(5))["sent"] == 1
    assert log(client, streams) == [event(20)]


def test_late_letters_go_only_when_they_are_named(
    client: "KinesisClient", streams: tuple[str, str], properties: Path
) -> None:
    late = {"reason": "too_late", "payload": b64encode(event(30)).decode(), "arrival": ARRIVAL + 99}
    late |= {"partition_key": "device-1", "shard": SHARD, "sequence_number": "99"}
    late["detail"] = "event_time 1 is 3600000 ms behind the newest event of its device, and so on"
    append(client, streams[1], [GeneratedRecord(json.dumps(late).encode(), "k", "event")])
    found = as_json(properties, "redrive", "--reason", "too_late")
    assert (found["sent"], found["too_late"]) == (1, 1)
    assert log(client, streams) == [event(30)]


def test_letters_that_hold_no_record_are_shown_and_never_sent(
    client: "KinesisClient", streams: tuple[str, str], properties: Path
) -> None:
    failed = DeviceEvent("e-1", "device-1", "telemetry", ARRIVAL, 1, {"t": 1.0})
    for one in set_aside.fold_failed("fleet", failed, "ValueError: no", ARRIVAL):
        append(client, streams[1], [GeneratedRecord(one.text.encode(), "k", "event")])
    (listed,) = as_json(properties, "list", "--reason", "fold_failed")
    name = f"fold_failed:{listed['sequence_number']}"
    assert f"  {name}\n" in run(properties, "list").stdout
    shown = run(properties, "show", name).stdout
    assert "fold: fleet" in shown
    assert '"event_id":"e-1"' in shown
    assert "Next: The fold fleet failed on this event" in shown
    found = as_json(properties, "redrive", "--reason", "fold_failed")
    assert (found["sent"], found["set_aside"]) == (0, 1)
    assert as_json(properties, "redrive", "--id", name)["sent"] == 0
    assert log(client, streams) == []


def test_what_was_redriven_and_came_too_late_is_not_sent_again(
    client: "KinesisClient", streams: tuple[str, str], properties: Path
) -> None:
    late = {"reason": "too_late", "detail": "late", "payload": b64encode(event(20)).decode(), "arrival": ARRIVAL + 99}
    late |= {"partition_key": "device-1", "shard": SHARD, "sequence_number": "99"}
    append(client, streams[1], [GeneratedRecord(json.dumps(late).encode(), "k", "event")])
    assert as_json(properties, "redrive")["sent"] == 1
    assert log(client, streams) == [event(3)]


@pytest.mark.parametrize("command", [["show"], ["redrive", "--id"]])
def test_identities_nobody_has_are_refused(
    client: "KinesisClient", streams: tuple[str, str], properties: Path, command: list[str]
) -> None:
    with pytest.raises(StreamError, match=f"holds no dead letter {SHARD}:8: take"):
        run(properties, *command, identity(8))
    with pytest.raises(SettingsError, match="The ID 4711 is not <shard>:<sequence number>"):
        run(properties, *command, "4711")
    assert log(client, streams) == []
