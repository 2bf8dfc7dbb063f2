"""The proxy itself, in front of a server that counts what reached it."""

import http.client
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.support.aws_faults import Faulty, answer_lost, partly_refused, refused
from tests.support.fault_proxy import FaultProxy
from tests.support.waiting import PATIENCE_S


class _Server(ThreadingHTTPServer):
    """Says of each statement in a request that it was done."""

    def __init__(self) -> None:
        self.seen: list[list[str]] = []
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        statements = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["Statements"]
        self.server.seen.append(statements)
        body = json.dumps({"Responses": [{"done": one} for one in statements]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[_Server]:
    with _Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def proxy(server: _Server) -> Iterator[FaultProxy]:
    with FaultProxy(f"http://127.0.0.1:{server.server_port}") as proxy:
        yield proxy


def call(proxy: FaultProxy, *statements: str, operation: str = "BatchExecuteStatement") -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection(proxy.url.removeprefix("http://"), timeout=PATIENCE_S)
    try:
        body = json.dumps({"Statements": statements})
        connection.request("POST", "/", body, {"X-Amz-Target": f"DynamoDB_20120810.{operation}"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def test_without_a_fault_all_passes(proxy: FaultProxy, server: _Server) -> None:
    assert call(proxy, "a", "b") == (200, {"Responses": [{"done": "a"}, {"done": "b"}]})
    assert server.seen == [["a", "b"]]


def test_a_call_that_is_refused_does_nothing(proxy: FaultProxy, server: _Server) -> None:
    proxy.fault = Faulty(refused("ThrottlingException"), ["BatchExecuteStatement"], share=1)
    status, said = call(proxy, "a")
    assert (status, said["__type"].rpartition("#")[2]) == (400, "ThrottlingException")
    assert server.seen == []


def test_a_call_whose_answer_is_lost_is_done(proxy: FaultProxy, server: _Server) -> None:
    proxy.fault = Faulty(answer_lost, ["BatchExecuteStatement"], share=1)
    with pytest.raises(http.client.RemoteDisconnected):
        call(proxy, "a")
    assert server.seen == [["a"]]


def test_statements_that_are_refused_are_not_done(proxy: FaultProxy, server: _Server) -> None:
    proxy.fault = fault = Faulty(partly_refused, ["BatchExecuteStatement"], share=1)
    status, said = call(proxy, "a", "b", "c")
    assert status == 200
    done, throttled, also_done = said["Responses"]
    assert (done, also_done) == ({"done": "a"}, {"done": "c"})
    assert throttled["Error"]["Code"] == "ThrottlingError"
    assert server.seen == [["a", "c"]]
    assert call(proxy, "d")[1]["Responses"] == [throttled]
    assert fault.struck == 2


def test_other_operations_pass(proxy: FaultProxy, server: _Server) -> None:
    proxy.fault = fault = Faulty(answer_lost, ["GetRecords"], share=1)
    assert call(proxy, "a")[0] == 200
    assert fault.struck == 0


def test_a_server_that_is_away_gives_no_answer(server: _Server) -> None:
    with FaultProxy("http://127.0.0.1:1") as proxy, pytest.raises(http.client.RemoteDisconnected):
        call(proxy, "a")
