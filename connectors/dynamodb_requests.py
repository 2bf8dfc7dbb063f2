"""A leaner way for one DynamoDB call onto the wire and back: botocore walks every value, orjson does not."""

from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_OPERATION = "dynamodb.BatchExecuteStatement"
_HELD_BACK = "telefold_statements"


def make_lean(client: "DynamoDBClient") -> None:
    """Let statements and answers of BatchExecuteStatement be what the wire has; the rest stays botocore's."""
    client.meta.events.register(f"before-parameter-build.{_OPERATION}", _hold_back)
    client.meta.events.register(f"before-call.{_OPERATION}", _put_in)
    client.meta.events.register(f"before-parse.{_OPERATION}", _take_out)


def _hold_back(params: dict[str, Any], context: dict[str, Any], **event: Any) -> None:
    context[_HELD_BACK] = params["Statements"]
    params["Statements"] = []


def _put_in(params: dict[str, Any], context: dict[str, Any], **event: Any) -> None:
    params["body"] = orjson.dumps({"Statements": context.pop(_HELD_BACK)})


def _take_out(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **event: Any) -> None:
    """Take the statements' results out of an answer that is no error; botocore has its headers left to parse."""
    if response_dict["status_code"] == 200:
        customized_response_dict.update(orjson.loads(response_dict["body"]))
        response_dict["body"] = b"{}"
