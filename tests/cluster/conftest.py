"""A local stack and a job for one test each; neither outlives it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from telefold.deploy.local.stack import LocalStack
from tests.support.processes import Job


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[LocalStack]:
    with LocalStack(tmp_path / "telefold") as up:
        yield up


@pytest.fixture
def properties(stack: LocalStack) -> Path:
    return Path(stack.status.properties)


@pytest.fixture
def job(properties: Path) -> Iterator[Job]:
    job = Job(properties)
    yield job
    job.end()
