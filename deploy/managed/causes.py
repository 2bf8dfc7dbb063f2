"""Why a job does not work, as its log shows."""

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

_PYTHON = "PythonDriver"
"""The logger of the process that runs main.py. It writes at INFO, a line an event, whatever Python said."""
_FAILED_TASK = "switched from RUNNING to"
_THROWABLE = "throwableInformation"
_PATTERN = f'?"{_PYTHON}" ?"{_THROWABLE}"'
_TRACEBACK = "Traceback (most recent call last)"
_MOST_EVENTS = 2_000
_MOST_LINES = 15


def cause(client: "CloudWatchLogsClient", log_group: str, since: float) -> list[str]:
    """The lines of the job's log since then (epoch seconds) that say most; empty if it says nothing, or there is none.

    What Python said while the job was submitted comes first: a job that failed there has nothing else. Else it is the
    first failure of a task; those after it are of the attempts to start again.
    """
    events = list(_events(client, log_group, since))
    return (_from_python(events) or _from_tasks(events))[-_MOST_LINES:]


def program_failed(client: "CloudWatchLogsClient", log_group: str, since: float) -> bool:
    """Whether main.py ended with an exception since then (epoch seconds): whatever the service says, no job runs."""
    return any(_TRACEBACK in line for line in _python_lines(list(_events(client, log_group, since))))


def _events(client: "CloudWatchLogsClient", log_group: str, since: float) -> Iterable[dict[str, Any]]:
    pages = client.get_paginator("filter_log_events").paginate(
        logGroupName=log_group,
        startTime=int(since * 1_000),
        filterPattern=_PATTERN,
        PaginationConfig={"MaxItems": _MOST_EVENTS},
    )
    try:
        for page in pages:
            yield from (_parsed(event["message"]) for event in page["events"])
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise


def _parsed(message: str) -> dict[str, Any]:
    """The service writes JSON; what is none is a message by itself."""
    try:
        event = json.loads(message)
    except ValueError:
        return {"message": message}
    return event if isinstance(event, dict) else {"message": message}


def _python_lines(events: Sequence[dict[str, Any]]) -> list[str]:
    return [
        line
        for event in events
        if _PYTHON in str(event.get("logger", ""))
        for line in str(event.get("message", "")).splitlines()
    ]


def _from_python(events: Sequence[dict[str, Any]]) -> list[str]:
    lines = _python_lines(events)
    starts = [place for place, line in enumerate(lines) if _TRACEBACK in line]
    if starts:
        return lines[starts[-1] :]
    return lines if any("rror" in line for line in lines) else []


def _from_tasks(events: Sequence[dict[str, Any]]) -> list[str]:
    thrown = [event for event in events if event.get(_THROWABLE)]
    first = next((event for event in thrown if _FAILED_TASK in str(event.get("message", ""))), None)
    if first is None:
        first = next(iter(thrown), None)
    return [] if first is None else _root(_text(first[_THROWABLE]))


def _text(throwable: Any) -> str:
    return "\n".join(map(str, throwable)) if isinstance(throwable, list) else str(throwable)


def _root(trace: str) -> list[str]:
    """The lines from the last `Caused by` on, which is where it began."""
    lines = trace.splitlines()
    causes = [place for place, line in enumerate(lines) if line.lstrip().startswith("Caused by:")]
    return lines[causes[-1] :] if causes else lines
