"""A server that gives the answers of Flink's REST API which a test puts into its mouth."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote


class Answer:
    """What the server says: `status`, and `body` as JSON; with `silence` seconds before, or the end of it cut off."""

    def __init__(self, body: Any, status: int = 200, silence: float = 0.0, cut_off: bool = False) -> None:
        self.body = json.dumps(body).encode()
        self.status = status
        self.silence = silence
        self.cut_off = cut_off


class FakeCluster:
    """Answers each request, "METHOD path", with the next of its answers, and with the last one from then on."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Answer]] = {}
        self.asked: list[tuple[str, Any]] = []

    def says(self, request: str, *bodies: Any) -> None:
        self.answers[request] = [body if isinstance(body, Answer) else Answer(body) for body in bodies]

    def answer(self, request: str, body: bytes) -> Answer:
        self.asked.append((request, json.loads(body) if body else None))
        left = self.answers.get(request, [Answer({"errors": [f"Not found: {request}"]}, 404)])
        return left.pop(0) if len(left) > 1 else left[0]


def handler(cluster: FakeCluster) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            answer = cluster.answer(f"{self.command} {unquote(self.path)}", body)
            time.sleep(answer.silence)
            self.send_response(answer.status)
            self.send_header("Content-Length", str(len(answer.body) + (10 if answer.cut_off else 0)))
            self.end_headers()
            with suppress(ConnectionError):  # nobody waited for a silent one
                self.wfile.write(answer.body)

        do_GET = do_POST = do_PATCH = _answer  # noqa: N815 - the names that the server calls

        def log_message(self, *_: object) -> None: ...

    return Handler


@contextmanager
def serving(cluster: FakeCluster) -> Iterator[str]:
    """Where it answers, on a free port, until the end of the block."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler(cluster)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()
