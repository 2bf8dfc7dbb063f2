"""The properties file of the local stack: written once, then only pointed at where the servers are."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from telefold.deploy.local.servers import DYNAMODB, KINESIS, REDIS
from telefold.deploy.local.tables import (
    ALERT_STREAM,
    DEAD_LETTER_STREAM,
    EVENT_STREAM,
    REGION,
    RULES_STREAM,
    VIEWS_TABLE,
)
from telefold.schemas.errors import LocalStackError

ARCHIVE = "archive"
"""The folder of the archive, beside the properties file."""

_ENDPOINTS = {
    ("telefold.source", "aws.endpoint"): KINESIS,
    ("telefold.views", "dynamodb.endpoint"): DYNAMODB,
    ("telefold.views", "redis.url"): REDIS,
}


def write(path: Path, urls: Mapping[str, str], parallelism: int) -> None:
    """Point the file at `urls` (server name -> URL), and make it where it is missing; a user's other edits stay."""
    groups = _read(path) if path.exists() else _defaults(parallelism, path.resolve().parent / ARCHIVE)
    for group in groups:
        _point(group["PropertyGroupId"], group["PropertyMap"], urls)
    _replace(path, json.dumps(groups, indent=2) + "\n")


def _point(group: str, values: dict[str, str], urls: Mapping[str, str]) -> None:
    for (owner, key), server in _ENDPOINTS.items():
        if owner == group and key in values:
            values[key] = urls[server]


def _defaults(parallelism: int, archive: Path) -> list[dict[str, Any]]:
    groups = {
        "telefold.source": {
            "stream.name": EVENT_STREAM,
            "aws.region": REGION,
            "aws.endpoint": "",
            "init.position": "TRIM_HORIZON",
        },
        "telefold.views": {
            "dynamodb.table": VIEWS_TABLE,
            "dynamodb.endpoint": "",
            "aws.region": REGION,
            "redis.url": "",
        },
        "telefold.dead-letter": {"stream.name": DEAD_LETTER_STREAM},
        "telefold.archive": {"path": str(archive)},
        "telefold.alerts": {"rules.stream.name": RULES_STREAM, "stream.name": ALERT_STREAM},
        # Writes cost nothing here, and whoever tries things out looks at once.
        "telefold.job": {"parallelism": str(parallelism), "durable.interval": "1s"},
    }
    return [{"PropertyGroupId": name, "PropertyMap": values} for name, values in groups.items()]


def _read(path: Path) -> list[dict[str, Any]]:
    try:
        groups = json.loads(path.read_text("utf-8"))
        if all(isinstance(group["PropertyMap"], dict) and group["PropertyGroupId"] for group in groups):
            return list(groups)
    except (OSError, ValueError, TypeError, KeyError):
        pass
    raise LocalStackError(f"{path} is not a properties file: mend it, or delete it and run `telefold local up`.")


def _replace(path: Path, text: str) -> None:
    """Replace a file at once, so that a job which starts now reads the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".tmp")
    scratch.write_text(text, "utf-8")
    os.replace(scratch, path)
