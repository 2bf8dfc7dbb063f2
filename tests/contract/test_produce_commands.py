"""`telefold produce` and `telefold dead-letters` against a real Kinesis API."""

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
import typer
from typer.testing import CliRunner, Result

from telefold.cli import dead_letters
from telefold.cli.produce import produce
from telefold.connectors.event_log import append, read_stream
from telefold.deploy.local.tables import REGION
from telefold.schemas.errors import StreamError
from telefold.simulator.generator import GeneratedRecord
from telefold.verify.oracle import fold

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient

HOUR = 3_600_000
producer = typer.Typer()
producer.command()(produce)


@pytest.fixture
def streams(client: "KinesisClient") -> Iterator[tuple[str, str]]:
    names = (f"events-{uuid4().hex[:8]}", f"dead-letters-{uuid4().hex[:8]}")
    for name in names:
        client.create_stream(StreamName=name, ShardCount=2)
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


def run(app: typer.Typer, properties: Path, *arguments: str) -> Result:
    result = CliRunner().invoke(app, [*arguments, "--properties", str(properties)], env={"COLUMNS": "200"})
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_what_was_produced_is_in_the_log(client: "KinesisClient", streams: tuple[str, str], properties: Path) -> None:
    options = "--events 2000 --devices 20 --duplicates 0.1 --out-of-order 0.2 --poison 0.02 --schema-version mixed"
    summary = json.loads(run(producer, properties, *options.split(), "--json").stdout)
    reckoning = fold(read_stream(client, streams[0]), {"1m": 60_000}, HOUR, {})
    assert summary["events"] == reckoning.accepted == 2_000
    assert summary["duplicates"] == reckoning.duplicates > 0
    assert summary["poison"] == sum(reckoning.rejected.values()) > 0
    assert summary["records"] == reckoning.sent
    assert summary["seconds"] > 0
    assert summary["rate"] > 0


def test_a_seed_and_a_start_make_the_same_bytes(
    client: "KinesisClient", streams: tuple[str, str], properties: Path
) -> None:
    for _ in range(2):
        run(producer, properties, "--events", "50", "--seed", "7", "--start", "2026-01-31T12:00:00Z")
    log = [record.data for record in read_stream(client, streams[0])]
    assert len(log) == 100
    assert len(set(log)) == 50


def test_with_a_rate_events_are_as_fresh_as_their_arrival(
    client: "KinesisClient", streams: tuple[str, str], properties: Path
) -> None:
    summary = json.loads(run(producer, properties, "--events", "60", "--rate", "60", "--json").stdout)
    assert 0.8 < summary["seconds"] < 3
    reckoning = fold(read_stream(client, streams[0]), {"1m": 60_000}, 2_000, {})
    assert reckoning.accepted == 60


def test_people_are_told_what_to_do_next(properties: Path) -> None:
    shown = run(producer, properties, "--events", "10", "--seed", "1").stdout
    assert "Sent 10 records" in shown
    assert "(seed 1)" in shown
    assert "telefold run telemetry" in shown


def test_a_missing_stream_is_refused(properties: Path) -> None:
    with pytest.raises(StreamError, match="There is no stream none in us-east-1"):
        run(producer, properties, "--events", "1", "--stream", "none")


def test_without_a_properties_file_stream_region_and_endpoint_are_enough(
    tmp_path: Path, kinesis_endpoint: str, streams: tuple[str, str]
) -> None:
    where = ["--stream", streams[0], "--region", REGION, "--endpoint", kinesis_endpoint]
    assert run(producer, tmp_path / "none.json", "--events", "1", *where).exit_code == 0


@pytest.fixture
def three_letters(client: "KinesisClient", streams: tuple[str, str]) -> None:
    reasons = ("bad_header", "empty_id", "bad_header")
    for number, reason in enumerate(reasons):
        letter = {
            "reason": reason,
            "detail": f"detail {number}",
            "payload": b64encode(bytes([number])).decode(),
            "partition_key": "device-1",
            "shard": "shardId-000000000000",
            "sequence_number": str(number),
            "arrival": 1_769_860_800_000 + number,
        }
        record = GeneratedRecord(json.dumps(letter).encode(), str(number), "event")
        append(client, streams[1], [record])


@pytest.mark.usefixtures("three_letters")
def test_letters_are_listed_with_their_bytes(properties: Path) -> None:
    letters = json.loads(run(dead_letters.app, properties, "list", "--json").stdout)
    assert [b64decode(letter["payload"]) for letter in letters] == [b"\x00", b"\x01", b"\x02"]
    assert letters[0] == {
        "reason": "bad_header",
        "detail": "detail 0",
        "payload": "AA==",
        "partition_key": "device-1",
        "shard": "shardId-000000000000",
        "sequence_number": "0",
        "arrival": 1_769_860_800_000,
    }


@pytest.mark.usefixtures("three_letters")
def test_letters_are_chosen_by_reason_and_the_newest_are_kept(properties: Path) -> None:
    options = ("list", "--json", "--reason", "bad_header", "--limit", "1")
    assert [letter["detail"] for letter in json.loads(run(dead_letters.app, properties, *options).stdout)] == [
        "detail 2"
    ]


@pytest.mark.usefixtures("three_letters")
def test_people_see_counts_and_rows(properties: Path) -> None:
    shown = run(dead_letters.app, properties, "list").stdout
    assert "3 dead letters" in shown
    assert "2026-01-31 12:00:00" in shown


def test_no_letters_are_a_sentence(properties: Path) -> None:
    assert run(dead_letters.app, properties, "list").stdout == "There are no dead letters.\n"
    assert json.loads(run(dead_letters.app, properties, "list", "--json").stdout) == []
