"""A leaner way for one DynamoDB call onto the wire: botocore walks every value of a request, orjson does not."""

from typing import Any

import orjson

_OPERATION = "dynamodb.BatchExecuteStatement"
_HELD_BACK = "telefold_statements"


def serialise_leanly(client: Any) -> None:
    """From now on `client` sends the statements of BatchExecuteStatement as they are; signing and retries stay."""
    client.meta.events.register(f"before-parameter-build.{_OPERATION}", _hold_back)
    client.meta.events.register(f"before-call.{_OPERATION}", _put_in)


def _hold_back(params: dict[str, Any], context: dict[str, Any], **event: Any) -> None:
    context[_HELD_BACK] = params["Statements"]
    params["Statements"] = []


def _put_in(params: dict[str, Any], context: dict[str, Any], **event: Any) -> None:
    params["body"] = orjson.dumps({"Statements": context.pop(_HELD_BACK)})
