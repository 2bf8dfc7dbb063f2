"""The environments that there are: a name, and a file of parameters for its stacks."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from telefold.deploy.checkout import TEMPLATES
from telefold.schemas.errors import DeployError

ARTIFACTS_TEMPLATE = TEMPLATES / "artifacts.yaml"
APPLICATION_TEMPLATE = TEMPLATES / "application.yaml"
_FILES = TEMPLATES / "environments"


@dataclass(frozen=True)
class Environment:
    """The parameters of the templates for one environment; the rest of them comes with each deploy."""

    name: str
    parameters: dict[str, str]
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def application(self) -> str:
        return f"telefold-{self.name}"

    @property
    def application_stack(self) -> str:
        return f"telefold-{self.name}"

    @property
    def artifact_stack(self) -> str:
        return f"telefold-{self.name}-artifacts"


def load(name: str, folder: Path = _FILES) -> Environment:
    """The environment of this name; raises DeployError if there is none, or its file is not in its form."""
    path = folder / f"{name}.json"
    if not path.exists():
        known = ", ".join(sorted(file.stem for file in folder.glob("*.json")))
        raise DeployError(f"There is no environment {name} (there are {known}): name one of these, or write {path}.")
    try:
        content = json.loads(path.read_text("utf-8"))
        environment = Environment(name, _texts(content["Parameters"]), _texts(content.get("Tags", {})))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DeployError(
            f'{path} is not in its form, {{"Parameters": {{...}}, "Tags": {{...}}}} of texts alone ({error}): mend it.'
        ) from error
    if environment.parameters.get("Environment") != name:
        raise DeployError(f"{path}: the parameter Environment must be {name}, as the file is named: mend it.")
    return environment


def _texts(values: dict[str, str]) -> dict[str, str]:
    wrong = [key for key, value in values.items() if not isinstance(value, str)]
    if wrong:
        raise TypeError(f"{wrong[0]} is no text")
    return dict(values)
