"""The local stack as a whole: it comes up, survives a lost server, and leaves nothing behind."""

import json
import socket
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from connectors import aws
from deploy.local import properties, servers, stack
from deploy.local.stack import LocalStack, Ports
from schemas.errors import LocalStackError


def _processes(root: Path) -> dict[str, servers.Process]:
    return msgspec.json.decode((root / "local/stack.json").read_bytes(), type=dict[str, servers.Process])


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
        _starts_all_anew_when_kinesis_is_lost(tmp_path)
        last = _processes(tmp_path)
    assert not any(servers.is_alive(process) for process in [*first.values(), *last.values()])
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
    assert groups["telefold.job"] == {"parallelism": "1"}


def _stays_as_it_is_when_up_again(root: Path, processes: dict[str, servers.Process]) -> None:
    _add_state(root)
    stack.up(root)
    assert _processes(root) == processes
    assert _state(root) == [*stack.STATE]


def _refuses_to_move(root: Path) -> None:
    with pytest.raises(LocalStackError, match="redis is up on port"):
        stack.up(root, Ports(redis=servers.free_port()))


def _keeps_kinesis_when_redis_is_lost(root: Path, processes: dict[str, servers.Process]) -> None:
    servers.stop(processes["redis"])
    with pytest.raises(LocalStackError, match="The local redis ended: run `telefold local up`"):
        stack.status(root)
    stack.up(root)
    assert _processes(root)["kinesis"] == processes["kinesis"]
    assert _state(root) == [*stack.STATE]


def _starts_all_anew_when_kinesis_is_lost(root: Path) -> None:
    before = _processes(root)
    servers.stop(before["kinesis"])
    said: list[str] = []
    stack.up(root, say=said.append)
    assert _state(root) == []
    assert any("checkpoints" in line for line in said)
    assert all(_processes(root)[name].pid != before[name].pid for name in before)
    assert all(_processes(root)[name].port == before[name].port for name in before)


def test_edits_of_the_properties_file_outlive_new_ports(tmp_path: Path) -> None:
    path = tmp_path / "application_properties.json"
    properties.write(path, {"kinesis": "http://a", "dynamodb": "http://b", "redis": "redis://c"}, parallelism=2)
    groups = json.loads(path.read_text())
    edited = [group for group in groups if group["PropertyGroupId"] != "telefold.source"]
    edited[0]["PropertyMap"]["retention.rollups"] = "7d"
    path.write_text(json.dumps(edited))
    properties.write(path, {"kinesis": "http://x", "dynamodb": "http://y", "redis": "redis://z"}, parallelism=1)
    found = _properties(tmp_path)
    assert "telefold.source" not in found
    assert found["telefold.job"] == {"parallelism": "2"}
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
        properties.write(path, {}, parallelism=1)
    assert path.read_text() == "[{}]"


def test_servers_that_started_before_one_could_not_are_found_by_down(tmp_path: Path) -> None:
    with closing(socket.create_server((servers.HOST, 0))) as taken:
        ports = Ports(servers.free_port(), taken.getsockname()[1], servers.free_port())
        with pytest.raises(LocalStackError, match="--dynamodb-port"):
            stack.up(tmp_path, ports)
    started = _processes(tmp_path)["kinesis"]
    assert servers.is_alive(started)
    assert stack.down(tmp_path)
    assert not servers.is_alive(started)
    assert not stack.down(tmp_path)
