"""Where the servers of this machine listen when somebody else listens there already."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from telefold.deploy.cluster import processes
from telefold.deploy.local import servers, stack
from telefold.deploy.local.stack import Ports
from telefold.deploy.processes import Process
from telefold.schemas.errors import LocalStackError


@pytest.fixture
def taken() -> Iterator[list[int]]:
    with ExitStack() as listeners:
        made = [listeners.enter_context(closing(socket.create_server((servers.HOST, 0)))) for _ in range(2)]
        yield [listener.getsockname()[1] for listener in made]


def test_ports_that_are_drawn_together_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(set(servers.free_ports(50))) == 50
    besides, *others = servers.free_ports(3)
    handed_out = iter([besides, others[0], *others])
    monkeypatch.setattr(servers, "_random", SimpleNamespace(randrange=lambda *bounds: next(handed_out)))
    assert servers.free_ports(2, besides=[besides]) == others


def test_all_ports_that_are_asked_for_and_taken_are_told_at_once_and_nothing_is_started(
    tmp_path: Path, taken: list[int]
) -> None:
    with pytest.raises(LocalStackError) as told:
        stack.up(tmp_path, Ports(kinesis=taken[0], redis=taken[1]))
    assert str(told.value).splitlines() == [
        f"Port {taken[0]} is taken by another program: pass --kinesis-port to choose another.",
        f"Port {taken[1]} is taken by another program: pass --redis-port to choose another.",
    ]
    assert not stack._state_file(tmp_path).exists()


def test_all_servers_that_are_up_and_asked_to_move_are_told_at_once() -> None:
    alive = {name: Process(name, 10 + index, 1, 0.0) for index, name in enumerate(("kinesis", "dynamodb", "redis"))}
    with pytest.raises(LocalStackError) as told:
        stack._check_not_moved(alive, {"kinesis": 1, "dynamodb": 11, "redis": 3})
    assert str(told.value).splitlines() == [
        "The local kinesis is up on port 10: run `telefold local down` before you move it.",
        "The local redis is up on port 12: run `telefold local down` before you move it.",
    ]


def test_a_port_that_there_cannot_be_is_told_like_one_that_is_taken() -> None:
    with pytest.raises(LocalStackError, match=r"Port 70000 cannot be used .*pass --redis-port"):
        servers.check_ports({"redis": 70_000})


def test_usual_ports_that_are_taken_give_way_to_free_ones_and_those_are_told(taken: list[int]) -> None:
    free = servers.free_port()
    wanted, said = {"kinesis": taken[0], "dynamodb": free, "redis": taken[1]}, list[str]()
    found = stack._moved(wanted, ["kinesis", "dynamodb"], said.append)
    assert found == {**wanted, "kinesis": found["kinesis"]}
    assert found["kinesis"] not in wanted.values()
    assert said == [f"port {taken[0]} of kinesis is taken by another program: it takes port {found['kinesis']}"]


def test_the_web_page_of_a_cluster_gives_way_unless_its_port_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, taken: list[int]
) -> None:
    said: list[str] = []
    monkeypatch.setattr(processes, "DEFAULT_REST_PORT", taken[0])
    rest, rpc = processes._ports(None, said.append)
    assert len({rest, rpc, taken[0]}) == 3
    assert said == [f"port {taken[0]} of Flink's web page is taken by another program: it takes port {rest}"]
    free = servers.free_port()
    assert processes._ports(free, said.append).rest == free
    with pytest.raises(LocalStackError, match=f"Port {taken[1]} is taken .* --rest-port"):
        processes._ports(taken[1], said.append)
    monkeypatch.setattr(processes, "DEFAULT_REST_PORT", free)
    assert processes._ports(None, said.append).rest == free
    assert len(said) == 1
