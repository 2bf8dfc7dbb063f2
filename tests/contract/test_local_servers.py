"""The servers behind the other tests: each behaves as the service it stands for."""

import socket
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from telefold.connectors import aws
from telefold.deploy.local import servers, tables
from telefold.deploy.local.tables import REGION
from telefold.deploy.processes import Process, is_alive, stop
from telefold.schemas.errors import LocalStackError

if TYPE_CHECKING:
    from mypy_boto3_kinesis import KinesisClient


def test_streams_take_and_return_records(kinesis_endpoint: str) -> None:
    with closing(aws.client("kinesis", REGION, kinesis_endpoint)) as kinesis:
        tables.create_streams(kinesis)
        tables.create_streams(kinesis)
        kinesis.put_records(
            StreamName="telemetry", Records=[{"Data": b"%d" % n, "PartitionKey": "a"} for n in range(9)]
        )
        assert _read(kinesis, "telemetry") == [b"%d" % n for n in range(9)]


def _read(kinesis: "KinesisClient", stream: str) -> list[bytes]:
    """Three records a call, so that reading goes on from where it stopped."""
    found = []
    for shard in kinesis.list_shards(StreamName=stream)["Shards"]:
        iterator = kinesis.get_shard_iterator(
            StreamName=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        for _ in range(4):
            answer = kinesis.get_records(ShardIterator=iterator, Limit=3)
            iterator = answer["NextShardIterator"]
            found += [record["Data"] for record in answer["Records"]]
    return found


def test_the_views_table_expires_rows(dynamodb_endpoint: str, views_table: str) -> None:
    with closing(aws.client("dynamodb", REGION, dynamodb_endpoint)) as dynamodb:
        described = dynamodb.describe_time_to_live(TableName=views_table)["TimeToLiveDescription"]
    assert described["AttributeName"] == "expires_at"


@pytest.mark.parametrize("fixture", ["kinesis_endpoint", "dynamodb_endpoint", "redis_server"])
def test_servers_listen_on_this_machine_only(fixture: str, request: pytest.FixtureRequest) -> None:
    """And nothing else of them does."""
    port = int(request.getfixturevalue(fixture).removesuffix("/0").rsplit(":", 1)[1])
    listening = [one for one in psutil.net_connections("inet") if one.status == "LISTEN"]
    server = {one.pid for one in listening if one.laddr and one.laddr.port == port}
    assert {one.laddr for one in listening if one.pid in server} == {("127.0.0.1", port)}


def test_a_port_in_use_is_named_with_the_option_that_changes_it(tmp_path: Path) -> None:
    with closing(socket.create_server((servers.HOST, 0))) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(LocalStackError, match=f"Port {port} is taken .* --redis-port"):
            servers.start(servers.redis(port), tmp_path)


def test_a_server_that_ends_at_once_shows_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(LocalStackError, match=r"redis ended while it started(.|\n)*no-such-option"):
        servers.start(servers.redis(servers.free_port(), "--no-such-option", "1"), tmp_path)


@pytest.mark.parametrize("make", [servers.kinesis, servers.dynamodb])
def test_what_was_kept_and_cannot_be_read_is_named_with_what_removes_it(
    tmp_path: Path, make: Callable[..., servers.Server]
) -> None:
    kept = tmp_path / "kept"
    kept.write_bytes(b"no file of such a server" * 100)
    with pytest.raises(LocalStackError, match=r"What is kept in .*kept cannot be read .*local down --delete"):
        servers.start(make(servers.free_port(), kept), tmp_path)


def test_stopped_servers_are_gone_and_strangers_are_spared(tmp_path: Path) -> None:
    server = servers.start(servers.redis(servers.free_port()), tmp_path)
    stranger = Process(server.name, server.port, server.pid, server.created - 100)
    stop(stranger)
    assert is_alive(server)
    stop(server)
    stop(server)
    assert not is_alive(server)
