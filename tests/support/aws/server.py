"""One server for CloudFormation (form requests, XML answers) and Managed Service for Apache Flink (JSON)."""

import json
import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from tests.support.aws.application import ApiError
from tests.support.aws.stacks import ValidationError

Call = Callable[[str, dict[str, Any]], dict[str, Any]]


class Server:
    """`flink` and `stacks` take the name of an operation and its request; `lock` is held meanwhile."""

    def __init__(self, flink: Call, stacks: Call, lock: Any) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                target = self.headers.get("X-Amz-Target")
                with lock:
                    answer = _json(flink, target, body) if target else _xml(stacks, body)
                self._send(*answer)

            def _send(self, status: int, kind: str, text: str) -> None:
                content = text.encode()
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *arguments: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self) -> "Server":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _json(call: Call, target: str, body: str) -> tuple[int, str, str]:
    try:
        answer = call(target.rpartition(".")[2], json.loads(body))
    except ApiError as error:
        return 400, "application/x-amz-json-1.1", json.dumps({"__type": error.code, "message": str(error)})
    return 200, "application/x-amz-json-1.1", json.dumps(answer)


def _xml(call: Call, body: str) -> tuple[int, str, str]:
    request = _nested(parse_qsl(body, keep_blank_values=True))
    action = request["Action"]
    try:
        result = _element(call(action, request))
    except ValidationError as error:
        said = f"<Error><Type>Sender</Type><Code>ValidationError</Code><Message>{escape(str(error))}</Message></Error>"
        return 400, "text/xml", f"<ErrorResponse>{said}<RequestId>r</RequestId></ErrorResponse>"
    name = f"{action}Response"
    meta = "<ResponseMetadata><RequestId>r</RequestId></ResponseMetadata>"
    return 200, "text/xml", f"<{name}><{action}Result>{result}</{action}Result>{meta}</{name}>"


def _nested(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """`Tags.member.1.Key` and so on as lists of dictionaries."""
    request: dict[str, Any] = {}
    for key, value in pairs:
        listed = re.fullmatch(r"(\w+)\.member\.(\d+)(?:\.(\w+))?", key)
        if listed is None:
            request[key] = value
            continue
        items = request.setdefault(listed[1], [])
        while len(items) < int(listed[2]):
            items.append({})
        if listed[3]:
            items[int(listed[2]) - 1][listed[3]] = value
        else:
            items[int(listed[2]) - 1] = value
    return request


def _element(value: Any) -> str:
    match value:
        case dict():
            return "".join(f"<{key}>{_element(one)}</{key}>" for key, one in value.items())
        case list():
            return "".join(f"<member>{_element(one)}</member>" for one in value)
        case _:
            return escape(str(value))
