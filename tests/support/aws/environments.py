"""The templates for AWS, and what they make of an environment's parameters."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from telefold.deploy import checkout
from telefold.deploy.managed import environments
from tests.support.aws.templates import Resolved, read

TEMPLATES = [environments.ARTIFACTS_TEMPLATE, environments.APPLICATION_TEMPLATE]
ENVIRONMENTS = sorted(path.stem for path in (checkout.TEMPLATES / "environments").glob("*.json"))
FROM_DEPLOY = {"ArtifactBucket": "artifacts", "ArtifactKeyArn": "arn:aws:kms:x:1:key/k", "CodeKey": "code/abc.zip"}


@cache
def template(path: Path) -> dict[str, Any]:
    return read(path.read_text("utf-8"))


def statements(part: Any) -> Iterator[dict[str, Any]]:
    """Every policy statement in a part of a template, wherever it is."""
    if isinstance(part, dict):
        if "Effect" in part:
            yield part
        for value in part.values():
            yield from statements(value)
    elif isinstance(part, list):
        for value in part:
            yield from statements(value)


def application(environment: str = "dev", **parameters: str) -> Resolved:
    given = environments.load(environment).parameters | FROM_DEPLOY | parameters
    return Resolved(template(environments.APPLICATION_TEMPLATE), given)


def groups(resolved: Resolved) -> dict[str, dict[str, str]]:
    configuration = resolved.resources["Application"]["Properties"]["ApplicationConfiguration"]
    return {
        one["PropertyGroupId"]: one["PropertyMap"] for one in configuration["EnvironmentProperties"]["PropertyGroups"]
    }


def of_type(kind: str) -> list[dict[str, Any]]:
    return [one for one in application().resources.values() if one["Type"] == kind]
