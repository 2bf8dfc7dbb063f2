"""The local stack as a whole: it comes up, survives a lost server, and leaves nothing behind."""

import json
import os
import signal
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import redis
from typer.testing import CliRunner

from telefold.cli.local import app
from telefold.connectors import aws
from telefold.deploy.local import properties_file, servers, stack
from telefold.deploy.local.stack import LocalStack, Ports
from telefold.deploy.processes import Process, is_alive, stop
from telefold.schemas.errors import LocalStackError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef
    from mypy_boto3_kinesis import KinesisClient
    from mypy_boto3_kinesis.type_defs import PutRecordsRequestEntryTypeDef, RecordTypeDef


def _processes(root: Path) -> dict[str, Process]:
    return msgspec.json.decode((root / "local/stack.json").read_bytes(), type=dict[str, Process])


def _properties(root: Path) -> dict[str, dict[str, str]]:
    groups = json.loads((root / "application_properties.json").read_text())
    return {group["PropertyGroupId"]: group["PropertyMap"] for group in groups}


def _add_state(root: Path) -> None:
    """Of a run, and of the cluster of this machine."""
    for folder in stack.STATE:
        (root / folder / "chk-1").mkdir(parents=True)


def _state(root: Path) -> list[str]:
    return [folder for folder in stack.STATE if (root / folder).exists()]


def test_a_stack_lives_through_losses_and_ends_without_a_trace(tmp_path: Path) -> None:
    with LocalStack(tmp_path) as up:
        first = _processes(tmp_path)
        _holds_streams_and_table(up.status)
        _writes_properties(tmp_path, up.status)
        _stays_as_it_is_when_up_again(tmp_path, first)
        _refuses_to_move(tmp_path)
        _keeps_kinesis_when_redis_is_lost(tmp_path, first)
        _forgets_the_state_of_a_table_that_is_gone(tmp_path)
        _starts_all_anew_when_the_log_is_gone(tmp_path)
        last = _processes(tmp_path)
    assert not any(is_alive(process) for process in [*first.values(), *last.values()])
    assert not stack.keeps_data(tmp_path)
    with pytest.raises(LocalStackError, match="telefold local up"):
        stack.status(tmp_path)


def _holds_streams_and_table(status: stack.Status) -> None:
    kinesis = aws.client("kinesis", status.region, status.kinesis)
    shards = {
        name: len(kinesis.list_shards(StreamName=name)["Shards"]) for name in kinesis.list_streams()["StreamNames"]
    }
    assert shards == {"telemetry": 4, "telemetry-dead-letters": 1, "telemetry-rules": 1, "telemetry-alerts": 1}
    assert aws.client("dynamodb", status.region, status.dynamodb).list_tables()["TableNames"] == ["telefold-views"]


def _writes_properties(root: Path, status: stack.Status) -> None:
    groups = _properties(root)
    assert groups["telefold.source"]["aws.endpoint"] == status.kinesis
    assert groups["telefold.views"]["dynamodb.endpoint"] == status.dynamodb
    assert groups["telefold.views"]["redis.url"] == status.redis
    assert groups["telefold.job"] == {"parallelism": "1", "durable.interval": "1s"}


def _stays_as_it_is_when_up_again(root: Path, processes: dict[str, Process]) -> None:
    _add_state(root)
    stack.up(root)
    assert _processes(root) == processes
    assert _state(root) == [*stack.STATE]


def _refuses_to_move(root: Path) -> None:
    with pytest.raises(LocalStackError, match="redis is up on port"):
        stack.up(root, Ports(redis=servers.free_port()))


def _keeps_kinesis_when_redis_is_lost(root: Path, processes: dict[str, Process]) -> None:
    stop(processes["redis"])
    with pytest.raises(LocalStackError, match="The local redis ended: run `telefold local up`"):
        stack.status(root)
    stack.up(root)
    assert _processes(root)["kinesis"] == processes["kinesis"]
    assert _state(root) == [*stack.STATE]


def _forgets_the_state_of_a_table_that_is_gone(root: Path) -> None:
    stop(_processes(root)["dynamodb"])
    (root / "local/data/dynamodb").unlink()
    said: list[str] = []
    stack.up(root, say=said.append)
    assert _state(root) == []
    assert any("checkpoints: its rows are gone" in line for line in said)


def _starts_all_anew_when_the_log_is_gone(root: Path) -> None:
    _add_state(root)
    before = _processes(root)
    stop(before["kinesis"])
    (root / "local/data/kinesis").unlink()
    said: list[str] = []
    stack.up(root, say=said.append)
    assert _state(root) == []
    assert any("an event log that is gone" in line for line in said)
    assert all(_processes(root)[name].pid != before[name].pid for name in before)
    assert all(_processes(root)[name].port == before[name].port for name in before)


EVENTS: "list[PutRecordsRequestEntryTypeDef]" = [{"Data": b"%d" % n, "PartitionKey": str(n)} for n in range(20)]
ITEM: "dict[str, AttributeValueTypeDef]" = {
    "pk": {"S": "device#\u00fc"},
    "sk": {"S": "a"},
    "version": {"N": "1200000000000000000"},
    "more": {"M": {}},
}


def _fill(status: stack.Status) -> None:
    with closing(aws.client("kinesis", status.region, status.kinesis)) as kinesis:
        kinesis.put_records(StreamName="telemetry", Records=EVENTS)
        kinesis.update_shard_count(StreamName="telemetry", TargetShardCount=2, ScalingType="UNIFORM_SCALING")
        kinesis.put_records(StreamName="telemetry", Records=EVENTS)
    with closing(aws.client("dynamodb", status.region, status.dynamodb)) as dynamodb:
        for item in (ITEM, {**ITEM, "sk": {"S": "removed"}}):
            dynamodb.put_item(TableName="telefold-views", Item=item)
        dynamodb.delete_item(TableName="telefold-views", Key={"pk": ITEM["pk"], "sk": {"S": "removed"}})
    with redis.Redis.from_url(status.redis) as cache:
        cache.set("hot", "row")


def _held(status: stack.Status) -> tuple[Any, ...]:
    """Shards with their records, closed ones too, the table with its items, and what is in Redis."""
    with closing(aws.client("kinesis", status.region, status.kinesis)) as kinesis:
        shards = kinesis.list_shards(StreamName="telemetry")["Shards"]
        records = [_records(kinesis, shard["ShardId"]) for shard in shards]
    with closing(aws.client("dynamodb", status.region, status.dynamodb)) as dynamodb:
        table = dynamodb.describe_table(TableName="telefold-views")["Table"]
        expiry = dynamodb.describe_time_to_live(TableName="telefold-views")["TimeToLiveDescription"]
        items = dynamodb.scan(TableName="telefold-views")["Items"]
    with redis.Redis.from_url(status.redis) as cache:
        return shards, records, table, expiry, items, cache.get("hot")


def _records(kinesis: "KinesisClient", shard: str) -> "tuple[list[RecordTypeDef], bool]":
    start = kinesis.get_shard_iterator(StreamName="telemetry", ShardId=shard, ShardIteratorType="TRIM_HORIZON")
    answer = kinesis.get_records(ShardIterator=start["ShardIterator"])
    return answer["Records"], "NextShardIterator" in answer


def _kill(processes: Iterable[Process]) -> None:
    for process in processes:
        os.kill(process.pid, signal.SIGKILL)
        while is_alive(process):
            time.sleep(0.01)


@pytest.mark.parametrize("how", ["killed", "down"])
def test_servers_go_on_with_what_they_held(tmp_path: Path, how: str) -> None:
    with LocalStack(tmp_path) as up:
        _fill(up.status)
        _add_state(tmp_path)
        before = _held(up.status)
        ports = Ports(**{name: process.port for name, process in _processes(tmp_path).items()})
        if how == "killed":
            _kill(_processes(tmp_path).values())
        else:
            stack.down(tmp_path)
        assert _held(stack.up(tmp_path, ports)) == before
        assert _state(tmp_path) == [*stack.STATE]
        assert before[4] == [ITEM]


def test_what_a_stack_holds_is_removed_when_asked_to_alone(tmp_path: Path) -> None:
    with LocalStack(tmp_path):
        _add_state(tmp_path)
        (tmp_path / properties_file.ARCHIVE).mkdir()
        kept = CliRunner().invoke(app, ["down", "--root", str(tmp_path)])
        assert "`telefold local down --delete` removes it" in kept.stdout
        assert stack.keeps_data(tmp_path)
        assert (tmp_path / properties_file.ARCHIVE).exists()
        gone = CliRunner().invoke(app, ["down", "--root", str(tmp_path), "--delete"])
    assert "archive: as you asked" in gone.stdout.replace("\n", "")
    assert not stack.keeps_data(tmp_path)
    assert not (tmp_path / properties_file.ARCHIVE).exists()
    assert _state(tmp_path) == []


def test_edits_of_the_properties_file_outlive_new_ports(tmp_path: Path) -> None:
    path = tmp_path / "application_properties.json"
    properties_file.write(path, {"kinesis": "http://a", "dynamodb": "http://b", "redis": "redis://c"}, parallelism=2)
    groups = json.loads(path.read_text())
    edited = [group for group in groups if group["PropertyGroupId"] != "telefold.source"]
    edited[0]["PropertyMap"]["retention.rollups"] = "7d"
    path.write_text(json.dumps(edited))
    properties_file.write(path, {"kinesis": "http://x", "dynamodb": "http://y", "redis": "redis://z"}, parallelism=1)
    found = _properties(tmp_path)
    assert "telefold.source" not in found
    assert found["telefold.job"] == {"parallelism": "2", "durable.interval": "1s"}
    views = found["telefold.views"]
    assert (views["dynamodb.endpoint"], views["redis.url"], views["retention.rollups"]) == (
        "http://y",
        "redis://z",
        "7d",
    )


def test_a_broken_properties_file_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "application_properties.json"
    path.write_text("[{}]")
    with pytest.raises(LocalStackError, match="mend it"):
        properties_file.write(path, {}, parallelism=1)
    assert path.read_text() == "[{}]"


def test_servers_that_started_before_one_could_not_are_found_by_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(stack._MAKERS, "dynamodb", lambda port, keep: servers.redis(port, "--no-such-option", "1"))
    with pytest.raises(LocalStackError, match="ended while it started"):
        stack.up(tmp_path, Ports(*servers.free_ports(3)))
    started = _processes(tmp_path)["kinesis"]
    assert is_alive(started)
    assert stack.down(tmp_path)
    assert not is_alive(started)
    assert not stack.down(tmp_path)
