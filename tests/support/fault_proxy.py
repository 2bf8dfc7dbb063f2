"""An HTTP server in front of another: it passes requests on, except for those that a fault is made for."""

import http.client
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

_HOST = "127.0.0.1"
_TIMEOUT_S = 30.0
_BETWEEN_TWO = frozenset(
    {"connection", "content-length", "date", "keep-alive", "server", "transfer-encoding", "x-amz-crc32"}
)
"""Headers that belong to one connection, or that do not hold for an answer that was changed."""


class Request(NamedTuple):
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def operation(self) -> str:
        """Of AWS's JSON protocols, such as `GetRecords`; empty for anything else."""
        return self.headers.get("X-Amz-Target", "").rpartition(".")[2]


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes


Forward = Callable[[Request], Answer]
Fault = Callable[[Request, Forward], Answer | None]
"""Answers in the place of the server behind, which it may ask; with None the connection ends without an answer."""


class FaultProxy:
    """Listens at `url`, on a free port of 127.0.0.1, within a `with` block. `fault` may be set at any time."""

    def __init__(self, target: str) -> None:
        self.fault: Fault | None = None
        self._target = target
        self._server = _Server((_HOST, 0), self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)
        self.url = f"http://{_HOST}:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, request: Request) -> Answer | None:
        fault = self.fault
        return self._forward(request) if fault is None else fault(request, self._forward)

    def _forward(self, request: Request) -> Answer:
        target = urlsplit(self._target)
        connection = http.client.HTTPConnection(target.hostname or _HOST, target.port, timeout=_TIMEOUT_S)
        try:
            connection.request(request.method, request.path, request.body, dict(request.headers))
            answer = connection.getresponse()
            return Answer(answer.status, _kept(answer.headers), answer.read())
        finally:
            connection.close()


def _kept(headers: Any) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.lower() not in _BETWEEN_TWO}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], proxy: FaultProxy) -> None:
        self.proxy = proxy
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever asked was killed, or the server behind is away: that is what this is for."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    """An answer leaves as a whole."""
    server: _Server

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        answer = None
        with suppress(OSError, http.client.HTTPException):
            answer = self.server.proxy.answer(Request(self.command, self.path, _kept(self.headers), body))
        if answer is None:
            self.close_connection = True
            return
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    do_GET = do_POST = do_PUT = do_DELETE = _pass_on  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass
