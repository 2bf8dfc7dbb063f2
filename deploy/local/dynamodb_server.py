"""DynamoDB for one machine: MiniStack's, and nothing else of MiniStack, on 127.0.0.1 behind a small HTTP server.

MiniStack checks what PutItem and its like are given, but not all that PartiQL statements are. Here keys that are empty,
too long, of another type or not there, numbers that DynamoDB cannot hold, and batches that name an item twice or mix
reads with writes are refused as DynamoDB refuses them, and numbers are written out in full.

MiniStack keeps its state where it ends in order. Here each item is stored as it is written, so that none is lost when
the server is killed.
"""

import argparse
import json
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import RLock
from typing import Any

from ministack.core import persistence
from ministack.core.responses import AccountRegionScopedDict, error_response_json
from ministack.services import dynamodb

from telefold.deploy.local.kept import Kept, readable

Answer = tuple[int, dict[str, str], bytes]
"""Status, headers and body."""
Values = Mapping[str, Any]
"""Attribute name -> value as the wire has it: `{"S": "text"}`."""

_HOST = "127.0.0.1"
_REQUESTS = RLock()
_parse, _insert, _key_target = dynamodb._parse_partiql, dynamodb._partiql_insert, dynamodb._partiql_key_target
_execute_each = dynamodb._batch_execute_statement
_set_item, _remove_item, _items_replaced = dynamodb._set_item, dynamodb._remove_item, dynamodb._items_replaced
_parsed: dict[int, Any] = {}


class Refused(ValueError):
    """A request that DynamoDB answers with a ValidationException, as MiniStack does with any ValueError."""


def _execute_batch(data: dict[str, Any]) -> Answer:
    """Execute the statements of a batch, unless one of them makes the whole of it invalid."""
    statements = data.get("Statements") or []
    try:
        for statement in statements:
            statement["Parameters"] = statement.get("Parameters") or []
            _check_values(statement["Parameters"])
        with _parsed_once(statements) as parsed:
            _check_batch(parsed)
            return _execute_each(data)  # type: ignore[no-any-return]
    except Refused as refused:
        return _invalid(str(refused))


def _check_values(parameters: list[dict[str, Any]]) -> None:
    """Write their numbers out in full. Raises Refused for one that DynamoDB cannot hold."""
    for value in parameters:
        reason = dynamodb._attribute_value_error(value)
        if reason:
            raise Refused(reason)
        dynamodb._validate_attribute_value("", value)


@contextmanager
def _parsed_once(statements: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Parse the statements that can be parsed; within the block MiniStack need not parse them again."""
    try:
        for statement in statements:
            with suppress(ValueError):  # an error of this statement alone
                parameters = statement["Parameters"]
                _parsed[id(parameters)] = _parse(statement.get("Statement", ""), parameters)
        yield list(_parsed.values())
    finally:
        _parsed.clear()


def _parse_or_recall(statement: str, parameters: list[dict[str, Any]]) -> Any:
    if id(parameters) in _parsed:
        return _parsed[id(parameters)]
    _check_values(parameters)
    return _parse(statement, parameters)


def _check_batch(parsed: list[dict[str, Any]]) -> None:
    if len({one["op"] == "SELECT" for one in parsed}) > 1:
        raise Refused("Read and write requests together in the same batch is not supported.")
    written = [key for one in parsed if one["op"] != "SELECT" and (key := _key_text(one))]
    if len(set(written)) < len(written):
        raise Refused("Provided list of item keys contains duplicates")


def _key_text(parsed: dict[str, Any]) -> str:
    """The table and key of the item that a statement writes; empty if it names none."""
    table = dynamodb._tables.get(parsed["table"])
    return repr((parsed["table"], [_named(parsed).get(name) for name in _key_names(table)])) if table else ""


def _key_names(table: Mapping[str, Any]) -> list[str]:
    return [name for name in (table["pk_name"], table["sk_name"]) if name]


def _named(parsed: dict[str, Any]) -> Values:
    """The attributes that an INSERT gives, or that a WHERE asks to be equal to something."""
    if parsed["op"] == "INSERT":
        item: Values = parsed.get("item", {})
        return item["M"] if set(item) == {"M"} else item
    return {name: value for name, operator, value in parsed.get("conditions") or [] if operator == "="}


def _insert_checked(table: dict[str, Any], parsed: dict[str, Any]) -> Answer:
    return _key_error(table, _named(parsed)) or _insert(table, parsed)


def _key_target_checked(table: dict[str, Any], parsed: dict[str, Any]) -> tuple[Any, Any, Any, Answer | None]:
    *target, error = _key_target(table, parsed)
    return *target, error or _key_error(table, _named(parsed))


def _key_error(table: Mapping[str, Any], attributes: Values) -> Answer | None:
    for name in _key_names(table):
        if name not in attributes:
            return _invalid(f"Key attribute should be present in the item: Key {name}")
        if set(attributes[name]) != {dynamodb._get_attr_type(table, name)}:
            return _invalid(f"Key attribute's data type should match its data type in table's schema: Key {name}")
        empty: Answer | None = dynamodb._empty_key_value_error(name, attributes[name])
        if empty:
            return empty
    too_long: Answer | None = dynamodb._key_length_error(attributes, table["pk_name"], table["sk_name"])
    return too_long


def _invalid(message: str) -> Answer:
    answer: Answer = error_response_json("ValidationException", message, 400)
    return answer


_REPLACEMENTS: dict[str, Callable[..., Any]] = {
    "_batch_execute_statement": _execute_batch,
    "_parse_partiql": _parse_or_recall,
    "_partiql_insert": _insert_checked,
    "_partiql_key_target": _key_target_checked,
}


def _patch() -> None:
    for name, function in _REPLACEMENTS.items():
        setattr(dynamodb, name, function)
    dynamodb._lock = _REQUESTS  # MiniStack removes expired items under it, in a thread of its own


class _Tables:
    """The tables and their items, stored in a file as they change."""

    _CHANGED_BY = frozenset({"CreateTable", "DeleteTable", "UpdateTable", "UpdateTimeToLive"})
    _SETTINGS: Mapping[str, Any] = {"ttl_settings": dynamodb._ttl_settings, "tags": dynamodb._tags}

    def __init__(self, kept: Kept) -> None:
        self._kept = kept
        self._restore()
        dynamodb._set_item, dynamodb._remove_item = self._set_item, self._remove_item
        dynamodb._items_replaced = self._items_replaced

    @contextmanager
    def kept_after(self, target: str) -> Iterator[None]:
        """A block for answering the request that names `target`: its changes are stored together."""
        with self._kept.together():
            yield
            if target.rpartition(".")[2] in self._CHANGED_BY:
                self._keep_tables()

    def _keep_tables(self) -> None:
        tables = AccountRegionScopedDict()
        for place, table in dynamodb._tables.all_items():
            tables.set_scoped(*place, {**table, "items": {}} | {dynamodb._INDEX_MEMBERS: None})
        state = {"tables": tables, **self._SETTINGS}
        self._kept.put_document(json.dumps(state, default=persistence._json_default).encode())
        for name in self._kept.places():
            if name not in dynamodb._tables:
                self._kept.forget(name)

    def _restore(self) -> None:
        document = self._kept.document()
        if document is None:
            return
        dynamodb.load_persisted_state(json.loads(document, object_hook=persistence._json_object_hook))
        for name in self._kept.places():
            table = dynamodb._tables[name]
            for value in self._kept.values(name):
                partition, sort, item = json.loads(value)
                table["items"][partition][sort] = item
            _items_replaced(table)

    def _set_item(self, table: dict[str, Any], partition: str, sort: str, item: dict[str, Any]) -> Any:
        value = json.dumps([partition, sort, item]).encode()
        self._kept.put(table["TableName"], _key(partition, sort), value)
        return _set_item(table, partition, sort, item)

    def _remove_item(self, table: dict[str, Any], partition: str, sort: str) -> Any:
        self._kept.remove(table["TableName"], _key(partition, sort))
        return _remove_item(table, partition, sort)

    def _items_replaced(self, table: dict[str, Any]) -> None:
        self._kept.forget(table["TableName"])
        for partition, items in table["items"].items():
            for sort, item in items.items():
                self._set_item(table, partition, sort, item)
        _items_replaced(table)


def _key(partition: str, sort: str) -> str:
    return json.dumps([partition, sort])


def answer(headers: Mapping[str, str], body: bytes, tables: _Tables | None) -> Answer:
    """Answer one request at a time."""
    with _REQUESTS, tables.kept_after(headers.get("x-amz-target", "")) if tables else nullcontext():
        try:
            # It never waits for anything, so it needs no event loop.
            dynamodb.handle_request("POST", "/", headers, body, {}).send(None)
        except StopIteration as answered:
            result: Answer = answered.value
            return result
    raise AssertionError("a handler of MiniStack's DynamoDB waits for something")


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    tables: _Tables | None = None

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        asked = {name.lower(): value for name, value in self.headers.items()}
        status, headers, content = self._answer(asked, body)
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def _answer(self, asked: Mapping[str, str], body: bytes) -> Answer:
        try:
            return answer(asked, body, self.tables)
        except Exception:
            traceback.print_exc()
            failed: Answer = error_response_json("InternalServerError", "see the log of this server", 500)
            return failed

    def log_request(self, *args: object) -> None:
        """Log nothing: requests are not worth a line each."""


class _Server(ThreadingHTTPServer):
    request_queue_size = 128


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("-H", "--host", default=_HOST)
    arguments.add_argument("-p", "--port", type=int, required=True)
    arguments.add_argument("-k", "--keep", type=Path, help="The file that keeps tables and items.")
    chosen = arguments.parse_args()
    _patch()
    if chosen.keep:
        with readable(chosen.keep):
            _Connection.tables = _Tables(Kept(chosen.keep))
    _Server((chosen.host, chosen.port), _Connection).serve_forever()


if __name__ == "__main__":
    main()
